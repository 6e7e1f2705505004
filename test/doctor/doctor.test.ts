import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Redis } from 'ioredis'
import { examine, type Report } from '../../lib/doctor/doctor.js'
import { renderReport } from '../../lib/doctor/render.js'
import type { OidcOptions } from '../../lib/index.js'
import { startHostileProvider } from '../support/hostile-provider.js'
import { startNginx } from '../support/nginx.js'
import { startProvider, type TestProvider } from '../support/provider.js'
import { type RedisServer, startCluster, startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { type Site, startSite } from '../support/site.js'

const NODE_VERSION = process.versions.node

let provider: TestProvider
let redis: RedisServer
let site: Site
let sound: OidcOptions

before(async () => {
  provider = await startProvider()
  redis = await startRedis({ args: ['--appendonly', 'yes'] })
  const { issuer, clientId, clientSecret } = provider
  const options = { issuer, clientId, clientSecret, redis: redis.url, scope: 'openid profile offline_access' }
  site = await startSite({ oidc: options })
  provider.register(site.url)
  sound = { ...options, baseUrl: site.url, secret: secret('session secret') }
})

after(async () => {
  await site?.close()
  await provider?.close()
  await redis?.stop()
})

function examined(changes: OidcOptions = {}, environment: Readonly<Record<string, string>> = {}): Promise<Report> {
  return examine({
    options: { ...sound, ...changes },
    environment,
    nodeVersion: NODE_VERSION,
    opensSite: true,
  })
}

/** Findings that ask for something. */
function complaints({ findings }: Report): string[] {
  return findings.filter(({ level }) => level === 'error' || level === 'warning').map(({ id }) => id)
}

function find({ findings }: Report, id: string) {
  const found = findings.find(finding => finding.id === id)
  assert.ok(found, `${id} is not among ${findings.map(finding => finding.id).join(', ')}`)
  return found
}

/** A broken set-up is named by one finding, which says what to do, and nothing else is said to be wrong. */
function assertNamed(report: Report, id: string, remedy: RegExp): void {
  const finding = find(report, id)
  assert.equal(finding.level, 'error', finding.sentence)
  assert.match(`${finding.sentence} ${finding.remedy}`, remedy)
  assert.deepEqual(
    complaints(report).filter(name => name !== 'redis.version'),
    [id],
  )
  assert.equal(report.ok, false)
}

describe('a sound set-up', () => {
  test('has no error, every area is looked at, and the registration is complete', async () => {
    const report = await examined()
    assert.deepEqual(
      complaints(report).filter(id => id !== 'redis.version'),
      [],
      JSON.stringify(report.findings, null, 1),
    )
    assert.equal(report.ok, true)
    for (const id of [
      'node',
      'options',
      'redis.commands',
      'redis.latency',
      'redis.eviction',
      'provider.metadata',
      'clock',
      'provider.keys',
      'client',
      'redirect-uri',
      'logout',
      'site',
      'site.heads',
    ])
      assert.equal(find(report, id).level, 'good', id)
    assert.deepEqual(Object.fromEntries(report.registration.map(({ name, value }) => [name, value])), {
      client_id: provider.clientId,
      redirect_uris: `${site.url}/callback`,
      post_logout_redirect_uris: `${site.url}/logout/callback`,
      backchannel_logout_uri: `${site.url}/logout/backchannel`,
      frontchannel_logout_uri: `${site.url}/logout/frontchannel`,
      response_types: 'code id_token',
      grant_types: 'authorization_code implicit refresh_token',
      scope: 'openid profile offline_access',
    })
  })

  test('nothing that is secret is in the report, and nothing is left in Redis', async () => {
    const before = await redis.command('DBSIZE')
    const report = JSON.stringify(await examined())
    assert.ok(!report.includes(String(sound.secret)))
    assert.ok(!report.includes(provider.clientSecret))
    const keys = (await redis.command('KEYS', '*doctor:*')) as string[]
    assert.deepEqual(keys, [])
    assert.ok(Number(await redis.command('DBSIZE')) >= Number(before))
  })
})

describe('a broken set-up is named in one run', () => {
  test('a wrong client secret', async () => {
    assertNamed(await examined({ clientSecret: secret('another secret') }), 'client.rejected', /clientSecret/)
  })

  test('a redirect URI that is not registered', async () => {
    const { baseUrl: _, ...rest } = sound
    const other = await startSite({ oidc: rest })
    try {
      const report = await examined({ baseUrl: other.url })
      const finding = find(report, 'redirect-uri.refused')
      assert.match(finding.remedy ?? '', new RegExp(`Register exactly this redirect URI .*${other.url}/callback`))
      assert.deepEqual(
        complaints(report).filter(id => id !== 'redis.version'),
        ['redirect-uri.refused', 'logout.refused'],
      )
    } finally {
      await other.close()
    }
  })

  test('a base URL with plain http', async () => {
    assertNamed(await examined({ baseUrl: 'http://shop.example.com' }), 'options.refused', /baseUrl.*https/)
  })

  test('a clock that is off, either way', async () => {
    for (const [seconds, words] of [
      [90, 'ahead of'],
      [-90, 'behind'],
    ] as const) {
      const report = await examined({ now: () => new Date(Date.now() + seconds * 1000) })
      const finding = find(report, 'clock.off')
      assert.equal(finding.level, 'error')
      assert.match(finding.sentence, new RegExp(`(?:89|90|91) seconds ${words} the provider's`))
      assert.deepEqual(
        complaints(report).filter(id => id !== 'redis.version'),
        ['redis.clock', 'clock.off'],
      )
    }
  })

  test('a Redis that evicts', async () => {
    await redis.config('maxmemory', '200mb')
    await redis.config('maxmemory-policy', 'allkeys-lru')
    try {
      assertNamed(await examined(), 'redis.eviction', /noeviction/)
    } finally {
      await redis.config('maxmemory-policy', 'noeviction')
      await redis.config('maxmemory', '0')
    }
  })

  test('a Redis Cluster given by the URL of a node', async () => {
    const cluster = await startCluster()
    try {
      assertNamed(await examined({ redis: cluster.nodes[0]?.url ?? '' }), 'redis.cluster', /new Cluster/)
    } finally {
      await cluster.stop()
    }
  })

  test('a provider without form_post', async () => {
    const other = await startHostileProvider({
      metadata: { response_modes_supported: ['query', 'fragment'], response_types_supported: ['code'] },
    })
    const { issuer, clientId, clientSecret } = other
    try {
      assertNamed(
        await examined({ issuer, clientId, clientSecret }),
        'provider.unsupported',
        /responseType|response type/,
      )
    } finally {
      await other.close()
    }
  })

  test('an issuer with a slash too many', async () => {
    assertNamed(await examined({ issuer: `${provider.issuer}/` }), 'provider.issuer', /slash/)
  })

  test('a scope that the provider does not have', async () => {
    const report = await examined({ scope: 'openid offline_access orders.read' })
    const finding = find(report, 'scope.unknown')
    assert.match(finding.sentence, /"orders\.read"/)
    assert.deepEqual(
      complaints(report).filter(id => id !== 'redis.version'),
      ['scope.unknown'],
    )
  })

  test('a proxy that takes heads of 4 KB', async () => {
    const port = Number(new URL(site.url).port)
    const nginx = await startNginx({
      upstream: port,
      server: 'client_header_buffer_size 1k; large_client_header_buffers 4 4k;',
    })
    const url = `http://localhost:${nginx.port}`
    const behind = await startSite({ oidc: { ...sound, baseUrl: url } })
    const other = await startNginx({
      upstream: Number(new URL(behind.url).port),
      port: await free(nginx),
      server: 'client_header_buffer_size 1k; large_client_header_buffers 4 4k;',
    })
    try {
      provider.register(url)
      assertNamed(await examined({ baseUrl: url }), 'site.request-head', /large_client_header_buffers/)
    } finally {
      provider.register(site.url)
      await other.close()
      await behind.close()
    }
  })
})

/** Ends a server and returns its port, which is free then. */
async function free(server: { readonly port: number; close(): Promise<void> }): Promise<number> {
  await server.close()
  return server.port
}

describe('more that can be wrong', () => {
  test('a provider that is not there, by name, by port, and that is no provider', async () => {
    assertNamed(await examined({ issuer: 'https://no-such-host.invalid' }), 'provider.dns', /DNS/)
    assertNamed(await examined({ issuer: 'http://127.0.0.1:1' }), 'provider.unavailable', /address/)
    assertNamed(await examined({ issuer: site.url }), 'provider.metadata', /metadataUrl/)
  })

  test('a Redis that is not there, wants another password, or allows too little', async () => {
    assertNamed(await examined({ redis: 'redis://127.0.0.1:1' }), 'redis.unavailable', /Start Redis/)
    const guarded = await startRedis()
    try {
      await guarded.command('ACL', 'SETUSER', 'site', 'on', '>pass-word', '~*', '+@all', '-eval', '-evalsha')
      const url = (user: string) => `redis://${user}@127.0.0.1:${guarded.port}`
      const few = await examined({ redis: url('site:pass-word') })
      assert.match(find(few, 'redis.command').remedy ?? '', /ACL/)
      assert.equal(find(few, 'redis.command').cause, 'NOPERM')
      const wrong = await examined({ redis: url('site:another') })
      assertNamed(wrong, 'redis.password', /password/)
      assert.ok(!JSON.stringify(wrong).includes('another'))
    } finally {
      await guarded.stop()
    }
  })

  test('a Redis that hangs, by URL and as a client, ends the check in time', async () => {
    const hanging = await startRedis()
    const client = new Redis(hanging.url)
    try {
      await client.ping()
      hanging.pause()
      const [byUrl, asClient] = await Promise.all([
        examined({ redis: hanging.url }),
        examined({ redis: client, timeouts: { redis: 200 } }),
      ])
      assertNamed(byUrl, 'redis.unavailable', /Start Redis/)
      assert.equal(find(asClient, 'redis.command').level, 'error')
    } finally {
      hanging.resume()
      client.disconnect()
      await hanging.stop()
    }
  })

  test('a response type that is not allowed for the client', async () => {
    provider.register(site.url, { response_types: ['code'] })
    try {
      const report = await examined()
      assert.match(find(report, 'authorization.refused').remedy ?? '', /Set responseType/)
    } finally {
      provider.register(site.url)
    }
  })

  test('a site that runs with other options, and one that does not run', async () => {
    const report = await examined({ routes: { callback: '/elsewhere' } })
    assert.ok(complaints(report).includes('site.options'))
    const closed = await examined({ baseUrl: 'http://localhost:1' })
    assert.equal(find(closed, 'site.unavailable').level, 'info')
  })

  test('every option that is missing, without a provider', async () => {
    const report = await examine({ options: {}, environment: {}, nodeVersion: '18.0.0', opensSite: true })
    assert.deepEqual(complaints(report), ['node.old', ...Array(4).fill('options.refused')])
    const text = report.findings.map(({ sentence }) => sentence).join('\n')
    for (const name of ['OIDC_ISSUER', 'OIDC_CLIENT_ID', 'OIDC_BASE_URL', 'SESSION_SECRET'])
      assert.ok(text.includes(name), `${name} in ${text}`)
    assert.ok(!text.includes('placeholder'))
    assert.deepEqual(report.registration, [])
    const { baseUrl: _, ...rest } = sound
    const wrong = await examined({ ...rest, baseUrl: undefined, scope: 7, secret: undefined } as unknown as OidcOptions)
    // What comes after the first option that is wrong cannot be read.
    const refusals = wrong.findings.filter(({ id }) => id === 'options.refused').map(({ sentence }) => sentence)
    assert.match(refusals.join('\n'), /^baseUrl is missing.*\nscope must be/)
  })
})

describe('several providers', () => {
  const several = (more: object = {}) => {
    const { issuer, clientId, clientSecret, scope, ...shared } = sound
    const own = { issuer, clientId, clientSecret }
    const wrong = { ...own, clientId: 'other' }
    return { ...shared, scope, providers: { a: own, b: wrong }, ...more }
  }
  const examineSeveral = (options: object, providers: readonly string[] = []) =>
    examine({ options, environment: {}, nodeVersion: NODE_VERSION, opensSite: false, providers })
  const about = ({ findings }: Report, name: string | undefined) =>
    findings.filter(({ provider: of, level }) => of === name && level === 'error').map(({ id }) => id)

  before(() => provider.register(site.url, { redirect_uris: [`${site.url}/callback`, `${site.url}/callback/a`] }))

  test('each of them is checked, a finding says which it is about, and each has a registration of its own', async () => {
    const report = await examineSeveral(several())
    assert.deepEqual(about(report, 'a'), [])
    assert.ok(report.findings.some(({ id, provider: of }) => id === 'redirect-uri' && of === 'a'))
    assert.ok(about(report, 'b').includes('client.rejected'))
    assert.deepEqual(about(report, undefined), [])
    assert.deepEqual(
      report.registration.filter(({ name }) => name === 'redirect_uris').map(({ provider: of, value }) => [of, value]),
      [
        ['a', `${site.url}/callback/a`],
        ['b', `${site.url}/callback/b`],
      ],
    )
    const addresses = report.registration.filter(({ provider: of }) => of === 'a')
    assert.ok(
      addresses.some(({ name, value }) => name === 'backchannel_logout_uri' && value.endsWith('/backchannel/a')),
    )
    const text = renderReport(report, { colours: false })
    assert.match(text, /✗ b: .*\[client\.rejected\]/)
    assert.match(text, /To register at the provider a\n {2}client_id[\s\S]*To register at the provider b\n/)
  })

  test('those that the caller names are checked alone, resolved ones too', async () => {
    const { providers, ...options } = several()
    const resolveProvider = (name: string) => (name === 'acme' ? providers.a : undefined)
    const unnamed = await examineSeveral({ ...options, resolveProvider })
    assert.ok(unnamed.findings.some(({ id }) => id === 'providers.unnamed'))
    assert.deepEqual(unnamed.registration, [])
    const named = await examineSeveral({ ...options, resolveProvider }, ['acme', 'globex'])
    assert.deepEqual(about(named, 'globex'), ['providers.unknown'])
    assert.ok(named.findings.some(({ id, provider: of }) => id === 'client' && of === 'acme'))
    assert.ok(!named.findings.some(({ id }) => id === 'providers.unnamed'))
    const only = await examineSeveral(several(), ['a'])
    assert.ok(!only.findings.some(({ provider: of }) => of === 'b'))
    const single = await examineSeveral(sound, ['a'])
    assert.ok(single.findings.some(({ id }) => id === 'providers.single'))
  })
})
