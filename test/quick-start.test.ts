import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createAgent } from './support/agent.js'
import { startHostileProvider } from './support/hostile-provider.js'
import { startRedis } from './support/redis.js'
import { secret } from './support/secrets.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const quickStart = /```ts\n(import express[\s\S]*?)```/.exec(readme)?.[1] ?? ''

describe('the quick start of the README', () => {
  let folder: string

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'oidc-quick-start-'))
    const packages = join(folder, 'node_modules')
    mkdirSync(join(packages, 'express-hybrid-oidc'), { recursive: true })
    for (const name of ['express', 'ioredis', '@types', 'typescript', 'jose', 'express-session', 'connect-redis']) {
      symlinkSync(join(root, 'node_modules', name), join(packages, name))
    }
    const compile = ['-p', 'lib/tsconfig.json', '--outDir', join(packages, 'express-hybrid-oidc', 'dist')]
    execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...compile], { cwd: root })
    for (const name of ['cookie', 'on-headers', 'raw-body', 'bytes', 'http-errors', 'iconv-lite', 'unpipe']) {
      symlinkSync(join(root, 'node_modules', name), join(packages, name))
    }
    writeFileSync(join(packages, 'express-hybrid-oidc/package.json'), readFileSync(join(root, 'package.json')))
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  test('has at most 15 lines', () => {
    const lines = quickStart.split('\n').filter(line => line.trim() !== '')
    assert.ok(lines.length > 5 && lines.length <= 15, `${lines.length} lines`)
  })

  test('compiles as it stands, under the strictest settings', () => {
    writeFileSync(join(folder, 'app.ts'), quickStart)
    const strict =
      '--noEmit --strict --exactOptionalPropertyTypes --skipLibCheck false --module nodenext --target es2023 --types node'
    const run = [join(root, 'node_modules/typescript/bin/tsc'), ...strict.split(' '), 'app.ts']
    assert.doesNotThrow(() => execFileSync(process.execPath, run, { cwd: folder, encoding: 'utf8', stdio: 'pipe' }))
  })

  test('signs in, run from an empty folder', async () => {
    const [provider, redis, port] = [
      await startHostileProvider({ clientId: 'katanaclient' }),
      await startRedis(),
      await freePort(),
    ]
    const url = `http://localhost:${port}`
    const source = quickStart
      .replace('https://idsrv.example.com', provider.issuer)
      .replace('https://www.example.com', url)
      .replace('listen(3000)', `listen(${port})`)
    writeFileSync(join(folder, 'app.js'), source)
    const environment = {
      PATH: process.env.PATH,
      OIDC_CLIENT_SECRET: provider.clientSecret,
      SESSION_SECRET: secret('secret of the quick start'),
      REDIS_URL: redis.url,
    }
    const site = spawn(process.execPath, ['app.js'], {
      cwd: folder,
      env: environment,
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    try {
      const page = await firstAnswer(`${url}/claims`)
      assert.equal(page.url, `${url}/claims`)
      assert.equal(page.json<{ sub: string }>().sub, 'alice-0001')
    } finally {
      site.kill()
      await once(site, 'exit')
      await redis.stop()
      await provider.close()
    }
  })
})

/** The site needs a moment to start. */
async function firstAnswer(url: string) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await createAgent().visit(url)
    } catch (error) {
      if (attempt === 100) throw error
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  return port
}
