import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { type RedisServer, startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { asCommonJs, asModule, asTypeScript, withNodeRedis } from './consumer.js'
import {
  installNode,
  installProject,
  linkProject,
  lockedPackages,
  manifest,
  type Packed,
  type Peers,
  type Project,
  pack,
  root,
} from './project.js'

/** The whole matrix installs four projects and three versions of Node from the registry. */
const isLongRun = Number(process.env.OIDC_TEST_SCALE ?? 1) > 1

const peers: readonly Peers[] = [
  { express: 4, ioredis: 5 },
  { express: 4, ioredis: 6 },
  { express: 5, ioredis: 5 },
  { express: 5, ioredis: 6 },
]

/** `.mts` is a module, `.cts` CommonJS. */
const resolutions = [
  ['nodenext', ['site.mts', 'site.cts']],
  ['bundler', ['site.ts']],
] as const

function majorOf(version: string): string {
  return version.split('.', 1)[0] ?? ''
}

describe('the package', { timeout: isLongRun ? 1_700_000 : 280_000 }, () => {
  let packed: Packed
  let redis: RedisServer

  before(async () => {
    packed = pack()
    redis = await startRedis()
  })
  after(async () => {
    await redis?.stop()
    packed?.remove()
  })

  async function assertSignsIn(project: Project, file: string, binary = process.execPath): Promise<string> {
    const env = { REDIS_URL: redis.url, SESSION_SECRET: secret('session secret of a consumer') }
    const output = await project.node(file, { binary, env })
    const { node, status, user } = JSON.parse(output) as { node: string; status: number; user: { sub: string } }
    assert.equal(status, 200)
    assert.equal(user.sub, 'bob')
    return node
  }

  test('holds what was compiled, the documentation, and nothing else', () => {
    const expected =
      /^(?:package\.json|LICENSE|(?:README|CHANGELOG|SECURITY)\.md|docs\/(?:providers\/)?[\w-]+\.md|dist\/[\w/-]+(?:\.d\.ts|\.js))$/
    assert.deepEqual(
      packed.files.filter(file => !expected.test(file)),
      [],
    )
    for (const file of ['dist/index.js', 'dist/index.d.ts', 'dist/testing/index.js', 'LICENSE', 'README.md']) {
      assert.ok(packed.files.includes(file), file)
    }
  })

  test('has what a site loads at its start in few files, and loads the rest when it is used', t => {
    const folder = join(packed.folder, 'stage/dist')
    const loaded = new Set<string>()
    const load = (file: string) => {
      if (loaded.has(file)) return
      loaded.add(file)
      const source = readFileSync(file, 'utf8')
      for (const [, path = ''] of source.matchAll(/^(?:import|export|\}).*?["'](\.{1,2}\/[^"']+)["'];$/gm))
        load(join(file, '..', path))
    }
    load(join(folder, 'index.js'))
    t.diagnostic(`${loaded.size} files`)
    assert.ok(loaded.size > 1 && loaded.size <= 5, [...loaded].join())
    const text = [...loaded].map(file => readFileSync(file, 'utf8')).join()
    const lazily = ['session/device-route.js', 'http/languages/ja.js', 'sign-in/popup-page.js', 'doctor/doctor.js']
    for (const lazy of lazily) assert.ok(!text.includes(`// dist/${lazy}\n`), `${lazy} is loaded at the start`)
    // Some milliseconds, and few sites serve HTTP/2 themselves.
    assert.doesNotMatch(text, /from ["']node:http2["']/)
    for (const used of ['openid-connect.js', 'store/seal.js']) assert.ok(text.includes(`// dist/${used}\n`), used)
  })

  test('is small', t => {
    t.diagnostic(`${packed.size} bytes`)
    assert.ok(packed.size < 530_000, `${packed.size} bytes`)
  })

  test('has a script for browsers that is one file of a kilobyte', () => {
    const file = join(packed.folder, 'stage/dist/session-watch/index.js')
    const text = readFileSync(file, 'utf8')
    assert.ok(Buffer.byteLength(text) <= 1024, `${Buffer.byteLength(text)} bytes`)
    assert.doesNotMatch(text, /\bimport\b/)
  })

  test('runs nothing when it is installed, and neither does what it brings along', () => {
    const hooks = ['preinstall', 'install', 'postinstall', 'prepublish', 'preprepare', 'prepare', 'postprepare']
    assert.deepEqual(
      hooks.filter(hook => hook in manifest.scripts),
      [],
    )
    assert.deepEqual(
      lockedPackages().filter(({ hasInstallScript }) => hasInstallScript),
      [],
    )
  })

  test('pleases publint', async () => {
    const tarball = new Uint8Array(readFileSync(packed.tarball)).buffer
    const { messages } = await publint({ pack: { tarball }, strict: true })
    assert.deepEqual(
      messages.map(({ code, path }) => `${code} ${path.join('.')}`),
      [],
    )
  })

  test('has right types for every way to import it', async () => {
    const data = new Uint8Array(readFileSync(packed.tarball))
    const analysis = await checkPackage(createPackageFromTarballData(data))
    assert.ok(analysis.types, 'no types')
    // The package is ESM: what require() gets is the module itself (Node 20.19 and later), and "node10" knows no exports.
    const problems = analysis.problems.filter(
      problem =>
        problem.kind !== 'CJSResolvesToESM' && !('resolutionKind' in problem && problem.resolutionKind === 'node10'),
    )
    assert.deepEqual(problems, [])
    assert.deepEqual(Object.keys(analysis.entrypoints).sort(), [
      '.',
      './metrics',
      './package.json',
      './register',
      './session-watch',
      './testing',
    ])
  })

  for (const pair of peers) {
    test(`signs in with Express ${pair.express} and ioredis ${pair.ioredis}, by import and by require`, async () => {
      const project = linkProject(packed, pair)
      project.write('site.mjs', asModule)
      project.write('site.cjs', asCommonJs)
      await assertSignsIn(project, 'site.mjs')
      await assertSignsIn(project, 'site.cjs')
      assert.ok(Number(await redis.command('DBSIZE')) > 0, 'Redis is empty')
    })
  }

  for (const redisMajor of [5, 6] as const) {
    test(`signs in with node-redis ${redisMajor} and without ioredis, by import and by require`, async () => {
      const project = linkProject(packed, { express: 5, redis: redisMajor })
      project.write('site.mjs', withNodeRedis(asModule))
      project.write('site.cjs', withNodeRedis(asCommonJs))
      project.write('site.mts', withNodeRedis(asTypeScript))
      await redis.command('FLUSHALL')
      await assertSignsIn(project, 'site.mjs')
      await assertSignsIn(project, 'site.cjs')
      assert.ok(Number(await redis.command('DBSIZE')) > 0, 'Redis is empty')
      assert.equal(await project.compile(['site.mts'], 'nodenext'), '')
    })
  }

  test('brings the command as a program', () => {
    const project = linkProject(packed, { express: 5, ioredis: 6 })
    const program = join(project.folder, 'node_modules/express-hybrid-oidc', manifest.bin['express-hybrid-oidc'] ?? '')
    assert.match(readFileSync(program, 'utf8'), /^#!\/usr\/bin\/env node\n/)
    assert.match(
      execFileSync(process.execPath, [program, '--help'], { encoding: 'utf8' }),
      /^Usage: express-hybrid-oidc/,
    )
  })

  for (const [module, files] of resolutions) {
    test(`compiles with the module resolution ${module}`, async () => {
      const project = linkProject(packed, { express: 5, ioredis: 6 })
      for (const file of files) project.write(file, asTypeScript)
      assert.equal(await project.compile(files, module), '')
    })
  }

  /** Node 20 and 22 refuse to start with it. */
  function verifyMlDsa(binary: string): void {
    const args = ['--import', 'tsx', '--test', join(root, 'test/provider/ml-dsa.test.ts')]
    const env = { ...process.env, NODE_TEST_CONTEXT: undefined }
    const output = execFileSync(binary, args, { cwd: root, env, encoding: 'utf8' })
    const version = execFileSync(binary, ['--version'], { encoding: 'utf8' })
    assert.equal(/this Node has no ML-DSA/.test(output), Number(majorOf(version).slice(1)) < 24, version)
  }

  async function walkMatrix(): Promise<void> {
    const binaries = [process.execPath, ...(await Promise.all([22, 24, 26].map(major => installNode(packed, major))))]
    for (const binary of binaries) verifyMlDsa(binary)
    const versions = new Set<string>()
    for (const pair of peers) {
      const project = await installProject(packed, pair)
      project.write('site.mjs', asModule)
      project.write('site.cjs', asCommonJs)
      for (const binary of binaries) {
        for (const file of ['site.mjs', 'site.cjs']) versions.add(majorOf(await assertSignsIn(project, file, binary)))
      }
      for (const [module, files] of resolutions) {
        for (const file of files) project.write(file, asTypeScript)
        assert.equal(
          await project.compile(files, module),
          '',
          `Express ${pair.express}, ioredis ${pair.ioredis}, ${module}`,
        )
      }
    }
    assert.deepEqual([...versions].sort(), [...new Set([majorOf(process.version), 'v22', 'v24', 'v26'])].sort())
  }

  if (isLongRun) test('signs in on every Node it is for, installed from the registry', walkMatrix)

  test('is released by a workflow that proves where the tarball comes from', () => {
    const workflow = readFileSync(join(root, '.github/workflows/release.yml'), 'utf8')
    assert.match(workflow, /^\s+id-token: write$/m)
    assert.match(workflow, /npm publish .*--provenance/)
    assert.match(workflow, /run: .*\.ci\/run/)
    assert.doesNotMatch(workflow, /NODE_AUTH_TOKEN|NPM_TOKEN|pull_request_target/)
  })
})
