import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createAgent } from './support/agent.js'
import { startHostileProvider } from './support/hostile-provider.js'
import { createReadersFolder, type ReadersFolder } from './support/installed-package.js'
import { startRedis } from './support/redis.js'
import { findFreePort, startSiteProcess } from './support/running-site.js'
import { secret } from './support/secrets.js'
import { readPage } from './tools/documentation.js'

const { text: readme } = readPage('README.md')
const quickStart = /```ts\n(import express[\s\S]*?)```/.exec(readme)?.[1] ?? ''
const ownProvider = /```ts\n(app\.use[\s\S]*?)```/.exec(readme)?.[1] ?? ''
const environment = /```sh\n(OIDC_ISSUER[\s\S]*?)```/.exec(readme)?.[1] ?? ''

/** The README says so: the lines of the test provider go, and the options come from the environment. */
const withOwnProvider = quickStart
  .split('\n')
  .filter(line => !/FakeProvider/.test(line))
  .map(line => (line.startsWith('app.use(') ? ownProvider.trim() : line))
  .join('\n')

describe('the quick start of the README', () => {
  let folder: ReadersFolder

  before(() => {
    folder = createReadersFolder()
  })
  after(() => folder.remove())

  test('has at most 15 lines, two of them for the test provider', () => {
    const lines = quickStart.split('\n').filter(line => line.trim() !== '')
    assert.ok(lines.length > 5 && lines.length <= 15, `${lines.length} lines`)
    assert.equal(lines.filter(line => /FakeProvider/.test(line)).length, 2)
  })

  for (const [name, source] of [
    ['with the test provider', quickStart],
    ['with a provider of your own', withOwnProvider],
  ] as const) {
    test(`${name} compiles as it stands, under the strictest settings`, () => {
      folder.write('app.ts', source)
      const strict =
        '--strict --exactOptionalPropertyTypes --skipLibCheck false --module nodenext --target es2023 --types node'
      assert.equal(folder.check(...strict.split(' '), 'app.ts'), '')
    })
  }

  /** Signs in by the link, looks at the guarded page, and signs out by the form. */
  async function assertWorks(url: string, sub: string): Promise<void> {
    const agent = createAgent()
    const start = await agent.open(`${url}/`)
    assert.match(start.text, /<a href="\/login">Sign in<\/a>/)
    const page = await createAgent().visit(`${url}/me`)
    assert.equal(page.url, `${url}/me`)
    assert.equal(page.json<{ sub: string }>().sub, sub)
    assert.equal((await agent.visit(`${url}/login`)).url, `${url}/`)
    assert.match((await agent.open(`${url}/`)).text, /<form method="post" action="\/logout"><button>Sign out<\/button>/)
    await agent.post(`${url}/logout`, {})
    assert.match((await agent.open(`${url}/`)).text, /Sign in/)
  }

  test('runs at once, in a folder with nothing but the package', async () => {
    const port = await findFreePort()
    folder.write('app.mjs', quickStart.replaceAll('3000', String(port)))
    const url = `http://localhost:${port}`
    const site = await startSiteProcess(folder.path, ['app.mjs'], { url, env: {} })
    try {
      await assertWorks(url, 'alice')
    } finally {
      await site.stop()
    }
  })

  test('signs in by another provider and keeps sessions in Redis, with the file .env it shows', async () => {
    const port = await findFreePort()
    const [provider, redis] = [await startHostileProvider({ clientId: 'my-site' }), await startRedis()]
    const url = `http://localhost:${port}`
    const values: Readonly<Record<string, string>> = {
      'https://idsrv.example.com': provider.issuer,
      'the-secret-from-the-provider': provider.clientSecret,
      'at-least-32-random-characters': secret('secret of the quick start'),
      'http://localhost:3000': url,
    }
    folder.write(
      '.env',
      environment.replace(/(?<==).*$/gm, value => values[value] ?? value),
    )
    folder.write('app.mjs', withOwnProvider.replace('listen(3000)', `listen(${port})`))
    const env = { REDIS_URL: redis.url }
    const site = await startSiteProcess(folder.path, ['--env-file=.env', 'app.mjs'], { url, env })
    try {
      await assertWorks(url, 'alice-0001')
      assert.ok(Number(await redis.command('DBSIZE')) > 0, 'nothing in Redis')
    } finally {
      await site.stop()
      await redis.stop()
      await provider.close()
    }
  })
})
