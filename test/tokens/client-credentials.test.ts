import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import type { ClientCredentialsOptions } from '../../lib/index.js'
import { type OidcOptions, type OpenIdConnect, openIdConnect } from '../../lib/index.js'
import { type HostileProvider, startHostileProvider } from '../support/hostile-provider.js'
import { type RedisServer, startRedis, until } from '../support/redis.js'
import { secret } from '../support/secrets.js'

const LIFE = 300
const sessionSecret = secret('session secret')

let redis: RedisServer
let provider: HostileProvider
let seconds = 1_780_272_000
const open: OpenIdConnect[] = []

before(async () => {
  redis = await startRedis()
})
afterEach(async () => {
  for (const oidc of open.splice(0)) await oidc.close()
  await provider.close()
  await redis.command('FLUSHALL')
})
after(() => redis.stop())

async function start(count: number, options: OidcOptions = {}): Promise<OpenIdConnect[]> {
  provider = await startHostileProvider({ expiresIn: LIFE, now: () => seconds })
  for (let at = 0; at < count; at += 1) {
    open.push(
      openIdConnect({
        issuer: provider.issuer,
        clientId: provider.clientId,
        clientSecret: provider.clientSecret,
        baseUrl: 'http://localhost:3000',
        secret: sessionSecret,
        redis: redis.url,
        now: () => new Date(seconds * 1000),
        log: () => {},
        ...options,
      }),
    )
  }
  await Promise.all(open.map(oidc => oidc.ready()))
  return open
}

const first = () => open[0] as OpenIdConnect
const ask = (options?: ClientCredentialsOptions) => first().clientCredentials(options)

test('a token for the site itself is asked for once by all processes, and kept', async () => {
  const processes = await start(3)
  const asked = processes.flatMap(oidc => Array.from({ length: 20 }, () => oidc.clientCredentials({ scope: 'jobs' })))
  const tokens = await Promise.all(asked)
  assert.equal(new Set(tokens.map(({ value }) => value)).size, 1)
  assert.deepEqual([tokens[0]?.type, tokens[0]?.scope, tokens[0]?.expiresAt], ['Bearer', 'jobs', seconds + LIFE])
  assert.equal(provider.count('token'), 1)
  const { grant_type, scope } = provider.requestsTo('token')[0]?.form ?? {}
  assert.deepEqual([grant_type, scope], ['client_credentials', 'jobs'])
})

test('tokens for other purposes are apart, also when asked for at once', async () => {
  await start(1)
  const [a, b, c, d] = await Promise.all([
    ask({ scope: 'a' }),
    ask({ scope: 'b' }),
    ask({ resource: 'https://c.example.com' }),
    ask({ scope: 'b a' }),
  ])
  assert.equal(new Set([a, b, c, d].map(({ value }) => value)).size, 4)
  assert.equal((await ask({ scope: 'a b' })).value, d.value)
  assert.equal(provider.requestsTo('token').filter(({ form }) => form.resource !== undefined).length, 1)
})

test('it is sealed in Redis, and ends there with its life', async () => {
  await start(1)
  const { value } = await ask({ scope: 'jobs' })
  assert.equal((await redis.contents()).includes(value), false)
  const [key] = (await redis.command('KEYS', 'oidc:c:*')) as string[]
  const life = Number(await redis.command('TTL', key ?? ''))
  assert.ok(life > LIFE - 60 && life <= LIFE, `${life} s`)
})

test('it is fetched again ahead of time, in the background', async () => {
  await start(1)
  const { value } = await ask()
  seconds += LIFE - 60
  assert.equal((await ask()).value, value)
  await until('the new one is there', async () => (await ask()).value !== value)
  assert.equal(provider.count('token'), 2)
})

test('it is fetched again before it is returned with less than a minute left', async () => {
  await start(1)
  const { value } = await ask()
  seconds += LIFE - 30
  assert.notEqual((await ask()).value, value)
})

test('a failure is not kept as a token, and not repeated by all callers at once', async () => {
  await start(2)
  provider.break({ token: { status: 503 } })
  for (const oidc of open) await assert.rejects(oidc.clientCredentials(), { code: 'ERR_OIDC_PROVIDER_UNAVAILABLE' })
  await assert.rejects(ask(), { code: 'ERR_OIDC_PROVIDER_UNAVAILABLE' })
  assert.equal(provider.count('token'), 1)
  provider.heal()
  seconds += 2
  assert.ok((await ask()).value, 'no token')
})

test('while the provider is away, a token that still works serves', async () => {
  await start(1)
  const { value } = await ask()
  provider.break({ token: { status: 503 } })
  seconds += LIFE - 30
  assert.equal((await ask()).value, value)
})

test('refused scope and refused client are told apart', async () => {
  await start(1)
  provider.break({ token: { status: 400, body: { error: 'invalid_scope' } } })
  await assert.rejects(ask({ scope: 'a' }), { code: 'ERR_OIDC_TOKEN_DENIED' })
  provider.break({ token: { status: 401, body: { error: 'invalid_client' } } })
  await assert.rejects(ask({ scope: 'b' }), { code: 'ERR_OIDC_CLIENT_REJECTED' })
})

test('Redis away: a token can be had all the same', async () => {
  await start(1, { timeouts: { redis: 200 } })
  redis.pause()
  try {
    const { value } = await ask()
    assert.equal((await ask()).value, value)
    assert.equal(provider.count('token'), 1)
  } finally {
    redis.resume()
  }
})

test('without Redis it works within the process', async () => {
  provider = await startHostileProvider({ expiresIn: LIFE, now: () => seconds })
  const { issuer, clientId, clientSecret } = provider
  const now = () => new Date(seconds * 1000)
  open.push(
    openIdConnect({
      issuer,
      clientId,
      clientSecret,
      baseUrl: 'http://localhost:3000',
      secret: sessionSecret,
      now,
      log: () => {},
    }),
  )
  const tokens = await Promise.all([ask(), ask(), ask()])
  assert.equal(new Set(tokens.map(({ value }) => value)).size, 1)
  assert.equal(provider.count('token'), 1)
})
