import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
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
      [['doctor', '--save', 'x'], /--save is no option of doctor/],
      [['register', '--no-site'], /--no-site is no option of register/],
      [['register'], /Where is the client kept/],
      [['register', '--save', write('there.json', '{}')], /is there already/],
      [['register', '--save', 'x', '--update', 'y'], /leave --save out/],
      [['register', '--delete', 'x', '--update', 'y'], /--delete goes with/],
      [['register', '--delete', join(folder, 'absent.json')], /cannot be read as JSON/],
      [['register', '--save', 'x', '--provider', 'a', '--provider', 'b'], /Only one --provider/],
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

describe('register', () => {
  test('keeps the client in a file of its own user, prints no secret, changes and deletes it', async () => {
    const initialAccessToken = secret('initial access token')
    const features = {
      registration: { enabled: true, initialAccessToken },
      registrationManagement: { enabled: true, rotateRegistrationAccessToken: true },
    }
    const provider = await startProvider({ features })
    const config = (more: string) =>
      write(
        `register-${more.length}.mjs`,
        `export default { issuer: '${provider.issuer}', baseUrl: 'http://localhost:1', ${more} }`,
      )
    const file = join(folder, 'client.json')
    const names = write('names.json', '{ "client_name": "Shop" }')
    const environment = { OIDC_INITIAL_ACCESS_TOKEN: initialAccessToken }
    try {
      const refused = await run(['register', '--config', config(''), '--save', file])
      assert.deepEqual([refused.status, existsSync(file)], [1, false])
      assert.match(refused.out, /initialAccessToken.*\[ERR_OIDC_REGISTRATION_REJECTED\]/)
      const args = ['register', '--config', config(''), '--save', file, '--metadata', names]
      const { status, out, error } = await run(args, environment)
      assert.equal(status, 0, out + error)
      const client = JSON.parse(readFileSync(file, 'utf8'))
      assert.equal(client.metadata.client_name, 'Shop')
      assert.equal(statSync(file).mode & 0o777, 0o600)
      assert.ok(out.includes(client.credentials.clientId))
      const secrets = (kept: typeof client) => [kept.credentials.clientSecret, kept.registrationAccessToken]
      const show = (text: string, kept: typeof client) => secrets(kept).some(value => text.includes(value))
      assert.equal(show(out + error, client), false)
      const changed = config("routes: { logoutBackchannel: '/bye' }")
      const updated = await run(['register', '--config', changed, '--update', file, '--json'])
      const next = JSON.parse(readFileSync(file, 'utf8'))
      assert.deepEqual(
        [updated.status, JSON.parse(updated.out).metadata.backchannel_logout_uri, show(updated.out, next)],
        [0, 'http://localhost:1/bye', false],
      )
      assert.notEqual(next.registrationAccessToken, client.registrationAccessToken)
      const removed = await run(['register', '--config', changed, '--delete', file])
      assert.match(removed.out, /is deleted/)
      assert.equal((await run(['register', '--config', changed, '--update', file])).status, 1)
      const printed = await run(['register', '--config', changed, '--print-secrets', '--json'], environment)
      assert.equal(typeof JSON.parse(printed.out).credentials.clientSecret, 'string')
    } finally {
      await provider.close()
    }
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
