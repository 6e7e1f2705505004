import assert from 'node:assert/strict'
import { Agent as HttpAgent, request } from 'node:http'
import { after, before, test } from 'node:test'
import { OidcError } from '../../lib/errors.js'
import { createRecordStore } from '../../lib/store/store.js'
import { createRequestLimiter } from '../../lib/tokens/request-limiter.js'
import { isDue, isFresh } from '../../lib/tokens/token-freshness.js'
import { delay, type LoopbackServer, readBody, startLoopbackServer } from '../support/loopback-server.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { type Site, startSite } from '../support/site.js'

/** Epoch s. */
const START = 1_780_272_000
const SESSIONS = 10_000
/** Requests of browsers that are under way at once. */
const BROWSERS = 500
const client = { clientId: 'client', clientSecret: secret('client secret') }
const siteSecret = secret('site secret')

/** A provider of refreshed tokens, over HTTP like any other. */
interface Refresher {
  readonly issuer: string
  /** Refresh tokens in the order they came. */
  readonly seen: readonly string[]
  /** Token requests under way at once, at most. */
  readonly most: number
  status: number
  stop(): Promise<void>
}

async function startRefresher(): Promise<Refresher> {
  const seen: string[] = []
  let underWay = 0
  let most = 0
  let issuer = ''
  const metadata = () => ({
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ['code id_token'],
  })
  const server: LoopbackServer = await startLoopbackServer(async (req, res) => {
    if (req.url !== '/token')
      return void res.setHeader('content-type', 'application/json').end(JSON.stringify(metadata()))
    underWay += 1
    most = Math.max(most, underWay)
    const token = new URLSearchParams(await readBody(req)).get('refresh_token') ?? ''
    seen.push(token)
    await delay(5)
    underWay -= 1
    const body = { access_token: `second ${token}`.replaceAll(' ', '-'), token_type: 'Bearer', expires_in: 3600 }
    res.writeHead(refresher.status, { 'content-type': 'application/json' })
    res.end(JSON.stringify(refresher.status === 200 ? body : {}))
  })
  issuer = `http://127.0.0.1:${server.port}`
  const refresher: Refresher = {
    issuer,
    seen,
    get most() {
      return most
    },
    status: 200,
    stop: server.stop,
  }
  return refresher
}

let redis: RedisServer
let ids: readonly string[] = []
const sockets = new HttpAgent({ keepAlive: true, maxSockets: BROWSERS })

before(async () => {
  redis = await startRedis()
})
after(async () => {
  sockets.destroy()
  await redis.stop()
})

/** A site, and ten thousand people who signed in to it in the same second. */
async function openFixture() {
  await redis.command('FLUSHALL')
  const provider = await startRefresher()
  const { issuer } = provider
  let seconds = START
  const now = () => new Date(seconds * 1000)
  const session = { idle: 7200, absolute: 36_000 }
  const site = await startSite({
    oidc: { issuer, ...client, secret: siteSecret, redis: redis.url, session, now, timeouts: { redis: 10_000 } },
    routes: app => {
      app.get('/fresh', (req, res, next) => void req.oidc.accessToken().then(token => res.json(token), next))
    },
  })
  const common = { redis: redis.url, secrets: [siteSecret], ...session, timeout: 10_000, now, log: () => {} }
  const store = createRecordStore({ ...common, realm: JSON.stringify([issuer, client.clientId]) })
  const times = { signedInAt: START, expiresAt: START + session.absolute }
  const signIn = async (at: number) => {
    const ticket = { issuer, subject: `user ${at}`, claims: {}, scope: 'openid', ...times }
    const own = { accessToken: 'first', refreshToken: `refresh ${at}`, issuedAt: START, expiresAt: START + 3600 }
    return store.sealer.signId(
      await store.signIn({ ticket, tokens: { scope: 'openid', ...own }, previous: [], keep: [] }),
    )
  }
  const made: string[] = []
  for (let at = 0; at < SESSIONS; at += 100) {
    made.push(...(await Promise.all(Array.from({ length: 100 }, (_, more) => signIn(at + more)))))
  }
  ids = made
  seconds += 3600
  return {
    provider,
    site,
    advance(more: number) {
      seconds += more
    },
    async close() {
      await store.close()
      await site.close()
      await provider.stop()
    },
  }
}

function ask({ url }: Site, id: string): Promise<{ status: number; value?: string; code?: string }> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(url)
    const options = { host: '127.0.0.1', port, path: '/fresh', headers: { cookie: `sid=${id}` }, agent: sockets }
    const outgoing = request(options, async response => {
      const chunks: Buffer[] = []
      for await (const chunk of response) chunks.push(chunk as Buffer)
      resolve({ status: response.statusCode ?? 0, ...(JSON.parse(Buffer.concat(chunks).toString()) as object) })
    })
    outgoing.on('error', reject)
    outgoing.end()
  })
}

const askAll = (site: Site, some = ids) => Promise.all(some.map(id => ask(site, id)))

test('10,000 sessions that expire in one second: each is refreshed once, and never more than 50 at a time', async t => {
  const { site, provider, close } = await openFixture()
  try {
    const responses = await askAll(site)
    t.diagnostic(`${provider.seen.length} token requests for ${SESSIONS} sessions, at most ${provider.most} at a time`)
    for (const [at, { status, value, code }] of responses.entries()) {
      assert.equal(status, 200, `session ${at}: ${code}`)
      assert.equal(value, `second-refresh-${at}`, 'the token of that session')
    }
    assert.equal(provider.seen.length, SESSIONS)
    assert.equal(new Set(provider.seen).size, SESSIONS)
    assert.equal(provider.most, 50)
  } finally {
    await close()
  }
})

test('the same with a provider that is down: after a few dozen requests it gets a rest, and all sessions stay', async t => {
  const { site, provider, advance, close } = await openFixture()
  try {
    provider.status = 503
    const first = await askAll(site)
    const before = provider.seen.length
    assert.deepEqual([...new Set(first.map(({ code }) => code))], ['ERR_OIDC_PROVIDER_UNAVAILABLE'])
    assert.ok(before < 60, `${before} requests`)
    advance(120)
    const second = await askAll(site)
    const more = provider.seen.length - before
    assert.deepEqual([...new Set(second.map(({ status }) => status))], [503])
    t.diagnostic(`${before} token requests for ${SESSIONS} sessions, and ${more} more after the rest`)
    assert.equal(more, 1)
    advance(120)
    provider.status = 200
    const third = await askAll(site, ids.slice(0, 500))
    assert.deepEqual([...new Set(third.map(({ status }) => status))], [200], 'all of them go on')
  } finally {
    await close()
  }
})

function createGate() {
  let seconds = START
  const limiter = createRequestLimiter(() => new Date(seconds * 1000))
  return {
    gate: limiter,
    advance(more: number) {
      seconds += more
    },
  }
}

test('the gate opens again with the first success', async () => {
  const { gate: limiter, advance } = createGate()
  const down = new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'down')
  for (let at = 0; at < 3; at += 1) {
    const leave = await limiter.enter(10)
    limiter.report(down)
    leave()
  }
  await assert.rejects(limiter.enter(10), down)
  advance(2)
  const leave = await limiter.enter(10)
  await assert.rejects(limiter.enter(10), { code: 'ERR_OIDC_PROVIDER_UNAVAILABLE' })
  limiter.report(undefined)
  leave()
  await Promise.all(Array.from({ length: 50 }, () => limiter.enter(10)))
})

test('while a probe gets no response, the others get the last failure after two seconds, and not when it ends', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { gate: limiter } = createGate()
  const full = await Promise.all(Array.from({ length: 50 }, () => limiter.enter(15_600)))
  const settled: unknown[] = []
  const wait = () =>
    limiter.enter(15_600).then(
      () => settled.push('its turn'),
      error => settled.push(error),
    )
  const down = new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'down')
  const early = wait()
  limiter.report(down)
  for (const leave of full.slice(1)) leave()
  // The last of the fifty is the request that finds out how the provider is, and gets no response.
  const late = wait()
  t.mock.timers.tick(1_999)
  await new Promise(setImmediate)
  assert.deepEqual(settled, [])
  t.mock.timers.tick(1)
  await new Promise(setImmediate)
  assert.deepEqual(settled, [down, down])
  await Promise.all([early, late])
  limiter.report(undefined)
  full[0]?.()
  await limiter.enter(15_600)
})

test('requests that wait behind fifty slow ones of a healthy provider keep their patience', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { gate: limiter } = createGate()
  const full = await Promise.all(Array.from({ length: 50 }, () => limiter.enter(15_600)))
  const next = limiter.enter(15_600)
  for (let second = 0; second < 15; second += 1) t.mock.timers.tick(1_000)
  full[0]?.()
  const leave = await next
  const last = assert.rejects(limiter.enter(15_600), { message: 'too many refreshes are waiting for the provider' })
  for (let second = 0; second < 16; second += 1) t.mock.timers.tick(1_000)
  await last
  leave()
})

test('failures that are about one session give the provider no rest', async () => {
  const { gate: limiter } = createGate()
  for (let at = 0; at < 10; at += 1) {
    const leave = await limiter.enter(10)
    limiter.report(new OidcError('ERR_OIDC_REFRESH_REJECTED', 'void'))
    leave()
  }
})

test('refreshes ahead of time are spread: sessions that began together are not due together', () => {
  const token = { issuedAt: 0, expiresAt: 3600 }
  const due = (now: number) =>
    Array.from({ length: 1000 }, (_, at) => isDue(token, 60, now, `session ${at}`)).filter(Boolean).length
  assert.equal(due(3600 - 181), 0)
  assert.ok(due(3600 - 120) > 400 && due(3600 - 120) < 600, `${due(3600 - 120)} of 1000 in the middle`)
  assert.equal(due(3600 - 60 + 1), 1000)
  assert.ok(isFresh(token, 60, 3600 - 60), 'not fresh')
})
