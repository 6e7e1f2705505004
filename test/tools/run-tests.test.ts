import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const runner = fileURLToPath(new URL('./run-tests.ts', import.meta.url))
const secrets = new URL('../support/secrets.ts', import.meta.url).href

let folder: string
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'oidc-runner-'))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
})
after(() => rmSync(folder, { recursive: true, force: true }))

function run(files: Record<string, string>, filters: readonly string[] = [], seconds = 60) {
  const testFolder = mkdtempSync(join(folder, 'run-'))
  for (const [name, body] of Object.entries(files)) {
    const imports = `import { test } from 'node:test'\nimport { secret, keepSecret } from '${secrets}'\n`
    writeFileSync(join(testFolder, name), imports + body)
  }
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), runner, ...filters],
    {
      env: { ...env, TEST_FOLDER: testFolder, TEST_FILE_TIMEOUT: `${seconds}` },
      encoding: 'utf8',
    },
  )
  return { status, text: stdout + stderr, stdout }
}

const good = "test('adds', () => {})\ntest('again', () => {})\n"

describe('a run that fails', () => {
  const failures: Record<
    string,
    { files: Record<string, string>; filters?: string[]; seconds?: number; says: RegExp }
  > = {
    'because a test fails': {
      files: { 'a.test.ts': `${good}test('breaks', () => { throw new Error('the reason') })` },
      says: /✖ breaks[\s\S]*the reason[\s\S]*# tests 3\n# suites 0\n# pass 2\n# fail 1\n/,
    },
    'because a file cannot be loaded': {
      files: { 'a.test.ts': good, 'b.test.ts': "import './missing.js'" },
      says: /b\.test\.ts[\s\S]*the file ended with exit code 1[\s\S]*# pass 2\n# fail 1\n/,
    },
    'because a file ends in the middle': {
      files: { 'a.test.ts': `${good}test('late', async () => { process.exit(3) })` },
      says: /the file ended with exit code 3/,
    },
    'because a file never ends': {
      files: { 'a.test.ts': `${good}setInterval(() => {}, 1000)` },
      seconds: 3,
      says: /did not end within 3 s/,
    },
    'because there is no test file': { files: {}, says: /no test ran/ },
    'because no path fits the filter': {
      files: { 'a.test.ts': good },
      filters: ['nowhere'],
      says: /no test file has "nowhere"[\s\S]*no test ran/,
    },
    'because a file holds no test': { files: { 'a.test.ts': good, 'b.test.ts': '' }, says: /holds no test/ },
    'because a test is skipped': {
      files: { 'a.test.ts': `${good}test.skip('later', () => {})` },
      says: /proves nothing[\s\S]*# skipped 1\n/,
    },
    'because a test wrote a secret': {
      files: { 'a.test.ts': `${good}test('leaks', () => console.log('x', secret('cookie key')))` },
      says: /a\.test\.ts wrote the secret "cookie key" \(raw\), line 1\n[\s\S]*# fail 1\n/,
    },
    'because a test wrote a secret to stderr, in Basic credentials': {
      files: {
        'a.test.ts': `test('leaks', () => console.error(Buffer.from('me:' + secret('client secret')).toString('base64')))`,
      },
      says: /wrote the secret "client secret" \(base64\)/,
    },
    'because one file wrote the secret of another': {
      files: {
        'a.test.ts': "test('registers', () => { keepSecret('token', 'abcdefghijklmnop'.repeat(2)) })",
        'b.test.ts': "test('writes', () => console.log('abcdefghijklmnop'.repeat(2)))",
      },
      says: /b\.test\.ts wrote the secret "token"/,
    },
    'because a process a test started wrote a secret': {
      files: {
        'a.test.ts': `import { spawnSync } from 'node:child_process'
          test('leaks', () => { spawnSync('echo', [secret('argument')], { stdio: 'inherit' }) })`,
      },
      says: /wrote the secret "argument"/,
    },
  }
  for (const [name, { files, filters, seconds, says }] of Object.entries(failures)) {
    test(name, () => {
      const { status, text } = run(files, filters, seconds)
      assert.equal(status, 1, text)
      assert.match(text, says)
    })
  }
})

test('a good run ends with the summary of Node and leaves no process behind', () => {
  const { status, stdout } = run({
    'a.test.ts': `import { spawn } from 'node:child_process'
      import { describe } from 'node:test'
      describe('a suite', () => { ${good} })
      test('leaves a process that holds the streams', () => {
        secret('never written')
        spawn('sleep', ['60'], { stdio: 'inherit' }).unref()
      })`,
  })
  assert.equal(status, 0, stdout)
  const summary =
    /# tests 3\n# suites 1\n# pass 3\n# fail 0\n# cancelled 0\n# skipped 0\n# todo 0\n# duration_ms \d+\n$/
  assert.match(stdout, summary)
  assert.match(stdout, /✔ 1 secrets searched for/)
  assert.match(stdout, /^ℹ tests by group: run-\S+ 3$/m)
})

test('a report about a leak does not repeat the secret when the file was otherwise good', () => {
  const { text } = run({ 'a.test.ts': "test('leaks', () => console.log(secret('key')))" })
  assert.doesNotMatch(text, /s3cr3t-/)
})
