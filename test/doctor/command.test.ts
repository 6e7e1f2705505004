import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { renderReport } from '../../lib/doctor/render.js'
import { startProvider } from '../support/provider.js'
import { secret } from '../support/secrets.js'

const COMMAND = fileURLToPath(new URL('../../lib/doctor/command.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'oidc-doctor-'))

after(() => rmSync(folder, { recursive: true, force: true }))

interface Ended {
  readonly status: number | null
  readonly out: string
  readonly error: string
}

function run(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const { PATH } = process.env
  const child = spawn(process.execPath, ['--import', 'tsx', COMMAND, ...args], {
    env: { PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const texts = { out: '', error: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    texts.out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    texts.error += text
  })
  return new Promise(resolve => child.once('close', status => resolve({ status, ...texts })))
}

function write(name: string, text: string): string {
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}

describe('the command', () => {
  test('reads the environment, and a file of it; what is set already counts for more', async () => {
    const file = write('variables', 'OIDC_ISSUER=http://127.0.0.1:1\nOIDC_CLIENT_ID=from-file\n')
    const { status, out } = await run(['doctor', '--env', file, '--json'], {
      OIDC_CLIENT_ID: 'from-environment',
      OIDC_BASE_URL: 'http://localhost:1',
      SESSION_SECRET: secret('session secret'),
    })
    assert.equal(status, 1)
    const report = JSON.parse(out)
    assert.equal(report.ok, false)
    assert.ok(report.findings.some(({ id }: { id: string }) => id === 'provider.unavailable'))
    assert.equal(report.registration[0].value, 'from-environment')
  })

  test('reads the options from a module: an object, a name, a function', async () => {
    const provider = await startProvider({ site: 'http://localhost:1' })
    const { issuer, clientId, clientSecret } = provider
    const options = JSON.stringify({
      issuer,
      clientId,
      clientSecret,
      baseUrl: 'http://localhost:1',
      secret: secret('session secret'),
    })
    try {
      for (const [name, text] of [
        ['object.mjs', `export default ${options}`],
        ['name.mjs', `export const options = ${options}`],
        ['function.mjs', `export default async () => (${options})`],
        ['common.cjs', `module.exports = ${options}`],
      ] as const) {
        const { status, out, error } = await run(['doctor', '--config', write(name, text), '--no-site'])
        assert.equal(status, 0, `${name}: ${out}${error}`)
        assert.match(out, /✓ The provider knows the redirect URI/)
        assert.match(out, /To register at the provider\n {2}client_id +client\n/)
      }
    } finally {
      await provider.close()
    }
  })

  test('a mistake of the caller is said with the usage, and is another status than a broken set-up', async () => {
    for (const [args, words] of [
      [[], /Which command/],
      [['docter'], /no command "docter"/],
      [['doctor', 'now'], /no command "doctor now"/],
      [['doctor', '--jsno'], /--jsno/],
      [['doctor', '--config', join(folder, 'absent.mjs')], /absent\.mjs cannot be loaded/],
      [['doctor', '--config', write('number.mjs', 'export default 1')], /has to export the options/],
      [
        ['doctor', '--config', write('middleware.mjs', 'const m = () => {}\nm.ready = 1\nexport default m')],
        /exports the middleware/,
      ],
      [['doctor', '--env', join(folder, 'absent')], /absent cannot be read/],
    ] as const) {
      const { status, out, error } = await run(args)
      assert.equal(status, 2, `${args.join(' ')}: ${out}`)
      assert.match(error, words)
      assert.match(error, /Usage: express-hybrid-oidc doctor/)
    }
    const { status, out } = await run(['--help'])
    assert.deepEqual([status, out.startsWith('Usage:')], [0, true])
  })
})

describe('the text', () => {
  const report = {
    ok: false,
    findings: [
      { id: 'a.good', level: 'good', sentence: 'All is well.' },
      { id: 'b.bad', level: 'error', sentence: 'It is broken.', cause: 'a stone', remedy: 'Remove it.' },
      { id: 'c.bad', level: 'error', sentence: 'So is this.' },
    ],
    registration: [{ name: 'client_id', value: 'shop' }],
  } as const

  test('has the sentence, the cause, the remedy and the id of each finding', () => {
    assert.equal(
      renderReport(report, { colours: false }),
      '✓ All is well. [a.good]\n✗ It is broken. [b.bad]\n    Cause:  a stone\n    Remedy: Remove it.\n✗ So is this. [c.bad]\n\n' +
        'To register at the provider\n  client_id  shop\n\n3 findings: 2 errors, 1 good.\n',
    )
  })

  test('has colours where they are wanted, and the same words', () => {
    const coloured = renderReport(report, { colours: true })
    assert.ok(coloured.includes('\u001b[31m✗\u001b[0m It is broken'))
    const withoutColours = coloured
      .split('\u001b[')
      .map((part, at) => (at === 0 ? part : part.slice(part.indexOf('m') + 1)))
      .join('')
    assert.equal(withoutColours, renderReport(report, { colours: false }))
  })
})
