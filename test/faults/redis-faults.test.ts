import assert from 'node:assert/strict'
import { after, afterEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { type OidcOptions, requiresAuth } from '../../lib/index.js'
import { createAgent, type Page } from '../support/agent.js'
import { type Fixture, openFixture, sessionCookieOf } from '../support/handler-fixture.js'
import { type RedisServer, startRedis, until } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { type Site, startSite } from '../support/site.js'
import { scale } from './scale.js'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.js'
import { watchProcess } from './watch.js'

/** Redis, and the wire to it, seen by the people whose sessions it keeps. */

interface RedisFixture extends Fixture {
  readonly redis: RedisServer
  readonly wire: TcpProxy
}

const watch = watchProcess()
const ES256 = { idTokenAlgorithm: 'ES256', timeouts: { redis: 400 } } as const satisfies OidcOptions
const closers: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})
after(watch.check)

function later<T>(thing: T, close: (thing: T) => Promise<unknown>): T {
  closers.push(() => close(thing))
  return thing
}

async function openRedisFixture(args: readonly string[] = []): Promise<RedisFixture> {
  const redis = later(await startRedis({ args }), it => it.stop())
  const wire = later(await startTcpProxy(redis.port), it => it.close())
  const url = `redis://127.0.0.1:${wire.port}`
  const fixture = later(await openFixture({ provider: { alg: 'ES256' }, oidc: { ...ES256, redis: url } }), it =>
    it.close(),
  )
  return { ...fixture, redis, wire }
}

const signIn = ({ site }: { site: Site }, agent = createAgent()): Promise<Page> =>
  agent.visit(`${site.url}/login?returnTo=/claims`, { from: null })

const look = ({ agent, site }: Fixture, path = '/claims'): Promise<Page> =>
  agent.fetch(`${site.url}${path}`, { from: `${site.url}/` })

/** An honest 503 that takes nothing away. */
function assertAway(page: Page): void {
  assert.equal(page.status, 503, page.text)
  assert.equal(page.headers['retry-after'], '5')
  assert.deepEqual(page.hops.at(-1)?.setCookies, [], 'the cookie is left alone')
}

async function recovers(fixture: Fixture): Promise<void> {
  await until('the same cookie works again', async () => (await look(fixture)).status === 200)
}

type Trouble = readonly [begin: (fixture: RedisFixture) => unknown, end: (fixture: RedisFixture) => unknown]

const troubles: Readonly<Record<string, Trouble>> = {
  'refuses connections': [({ wire }) => wire.refuse(), ({ wire }) => wire.accept()],
  'takes requests and never answers': [({ wire }) => wire.turn('black hole'), ({ wire }) => wire.turn('fine')],
  'is out of reach for a while': [({ wire }) => wire.turn('held'), ({ wire }) => wire.turn('fine')],
  'does what it is told and the responses are lost': [
    ({ wire }) => wire.turn('no answers'),
    ({ wire }) => wire.turn('fine'),
  ],
  'is stopped in its tracks': [({ redis }) => redis.pause(), ({ redis }) => redis.resume()],
  'is slower than every deadline': [({ wire }) => wire.delay(1500), ({ wire }) => wire.delay(0)],
  'wants a password': [
    ({ redis, wire }) => redis.config('requirepass', 'other').then(() => wire.cut()),
    ({ redis }) => redis.config('requirepass', ''),
  ],
}

describe('Redis away', { concurrency: 1 }, () => {
  for (const [name, [begin, end]] of Object.entries(troubles)) {
    test(`${name}: 503 for people with a session, their cookie kept, and the same cookie works afterwards`, async () => {
      const fixture = await openRedisFixture()
      const { agent, site, provider } = fixture
      await signIn(fixture, agent)
      const cookie = sessionCookieOf(fixture)
      assert.ok(cookie, 'no cookie')
      await begin(fixture)
      for (const path of ['/claims', '/user', '/session', '/token', '/']) assertAway(await look(fixture, path))
      assertAway(await agent.post(`${site.url}/logout?local=1`, {}))
      assert.equal(sessionCookieOf(fixture), cookie)

      const stranger = createAgent()
      assert.equal((await stranger.open(`${site.url}/`)).status, 200, 'people without a session notice nothing')
      const tokens = provider.count('token')
      assertAway(await signIn(fixture, createAgent()))
      assert.equal(provider.count('token'), tokens, 'no code is spent on a session that cannot be kept')

      await end(fixture)
      await recovers(fixture)
      assert.equal((await signIn(fixture)).status, 200)
      assert.equal(sessionCookieOf(fixture), cookie)
    })
  }

  test('from the start: the site is there, not ready, and finds it by itself', async () => {
    const redis = later(await startRedis(), it => it.stop())
    await redis.kill()
    const fixture = later(await openFixture({ provider: { alg: 'ES256' }, oidc: { ...ES256, redis: redis.url } }), it =>
      it.close(),
    )
    await assert.rejects(fixture.site.oidc.ready(), { code: 'ERR_OIDC_STORE_UNAVAILABLE' })
    assert.equal((await fixture.site.oidc.health()).ok, false)
    assert.equal((await fixture.agent.open(`${fixture.site.url}/`)).status, 200)
    assertAway(await signIn(fixture))
    await redis.restart()
    await until('it works', async () => (await signIn(fixture)).status === 200)
    await fixture.site.oidc.ready()
  })

  test('for a short time, repeatedly, during traffic: only 200 and 503, and no user is signed out', async () => {
    const fixture = await openRedisFixture()
    const people = Array.from({ length: 5 }, () => createAgent())
    for (const person of people) await signIn(fixture, person)
    let goes = true
    const traffic = people.map(async agent => {
      while (goes) {
        const { status } = await look({ ...fixture, agent })
        assert.ok(status === 200 || status === 503, `${status}`)
        await sleep(5)
      }
    })
    for (let round = 0; round < 4 * scale; round += 1) {
      await sleep(100)
      if (round % 2 === 0) fixture.wire.cut()
      else {
        await fixture.wire.refuse()
        await sleep(100)
        await fixture.wire.accept()
      }
    }
    goes = false
    await Promise.all(traffic)
    for (const agent of people) await recovers({ ...fixture, agent })
  })

  test('for a long time: connections do not pile up', async () => {
    const fixture = await openRedisFixture()
    await signIn(fixture, fixture.agent)
    const before = fixture.wire.total
    fixture.wire.turn('black hole')
    await Promise.all(Array.from({ length: 50 }, () => look(fixture)))
    assert.equal(fixture.wire.open, 1)
    assert.ok(fixture.wire.total - before <= 1, `${fixture.wire.total - before} connections`)
    fixture.wire.turn('fine')
    await recovers(fixture)
  })
})

describe('Redis that reads and does not write', () => {
  const ways: Readonly<Record<string, Trouble>> = {
    'a replica': [
      ({ redis }) => redis.command('REPLICAOF', '127.0.0.1', 1),
      ({ redis }) => redis.command('REPLICAOF', 'NO', 'ONE'),
    ],
    full: [({ redis }) => redis.config('maxmemory', '1'), ({ redis }) => redis.config('maxmemory', '0')],
    'forbidden to write': [
      ({ redis }) => redis.command('ACL', 'SETUSER', 'default', '-@write'),
      ({ redis }) => redis.command('ACL', 'SETUSER', 'default', '+@all'),
    ],
  }
  for (const [name, [begin, end]] of Object.entries(ways)) {
    test(`${name}: no half sign-in, no session cookie that claims one, and no code is spent`, async () => {
      const fixture = await openRedisFixture()
      const { agent, provider, site } = fixture
      await signIn(fixture, agent)
      const cookie = sessionCookieOf(fixture)
      const tokens = provider.count('token')
      await begin(fixture)
      const stranger = createAgent()
      const refused = await signIn(fixture, stranger)
      assertAway(refused)
      assert.equal(
        stranger.cookies(site.url).some(({ name }) => name === 'sid'),
        false,
      )
      assert.equal(provider.count('token'), tokens)
      const saved = await agent.fetch(`${site.url}/session?a=1`, { method: 'POST', from: `${site.url}/` })
      assert.equal(saved.status, 503)
      await end(fixture)
      await recovers(fixture)
      assert.equal(sessionCookieOf(fixture), cookie)
      assert.deepEqual((await look(fixture, '/session')).json(), {})
      assert.equal((await signIn(fixture)).status, 200)
    })
  }

  test('from the moment the code was sent: 503, the earlier sign-in stays, and the next attempt works', async () => {
    const fixture = await openRedisFixture()
    const { agent, provider, redis } = fixture
    await signIn(fixture, agent)
    provider.break({ token: { until: () => redis.command('REPLICAOF', '127.0.0.1', 1), times: 1 } })
    const refused = await signIn(fixture, agent)
    assert.equal(refused.status, 503)
    assert.equal(
      refused.hops.at(-1)?.setCookies.some(cookie => cookie.startsWith('sid=')),
      false,
    )
    await redis.command('REPLICAOF', 'NO', 'ONE')
    await recovers(fixture)
    assert.equal((await signIn(fixture, agent)).status, 200)
  })

  test('full by its own rules (volatile-lru): sessions may go, people sign in again, nothing breaks', async () => {
    const fixture = await openRedisFixture(['--maxmemory', '3mb', '--maxmemory-policy', 'volatile-lru'])
    await signIn(fixture, fixture.agent)
    for (let n = 0; n < 200; n += 1) {
      const page = await createAgent().fetch(`${fixture.site.url}/session?v=${'x'.repeat(8000)}`, {
        method: 'POST',
        from: `${fixture.site.url}/`,
      })
      assert.ok(page.status === 200 || page.status === 503, `${page.status}`)
    }
    const { status } = await look(fixture)
    assert.ok([200, 401, 503].includes(status), `${status}`)
    await until('people sign in', async () => (await signIn(fixture, fixture.agent)).status === 200)
  })
})

describe('Redis that lost things', () => {
  test('a session evicted between the callback and the page: one clean new sign-in', async () => {
    const fixture = await openRedisFixture()
    const { agent, site, redis } = fixture
    const page = await agent.visit(`${site.url}/claims`, { headers: { 'x-marker': '1' } })
    assert.equal(page.status, 200)
    await redis.command('FLUSHALL')
    const again = await agent.visit(`${site.url}/claims`)
    assert.equal(again.status, 200)
    assert.equal(fixture.provider.count('token'), 2)
  })

  test('everything, during sign-ins: they end well or are started anew, and none loops', async () => {
    const fixture = await openRedisFixture()
    let goes = true
    const flushing = (async () => {
      while (goes) {
        await fixture.redis.command('FLUSHALL')
        await sleep(30)
      }
    })()
    for (let n = 0; n < 20 * scale; n += 1) {
      const page = await signIn(fixture)
      assert.ok([200, 400].includes(page.status), `${page.status} ${page.text}`)
    }
    goes = false
    await flushing
    assert.equal((await signIn(fixture)).status, 200)
  })

  test('marks of used responses cannot be written: a replay is refused, not let through', async () => {
    const fixture = await openRedisFixture()
    const { agent, provider, redis, site } = fixture
    const left = await agent.open(`${site.url}/login`)
    const [form] = left.forms
    assert.ok(form, 'no form')
    await redis.config('maxmemory', '1')
    assertAway(await agent.submitForm())
    assert.equal(provider.count('token'), 0)
    await redis.config('maxmemory', '0')
  })

  test('damaged values count as no session, not as an error for ever', async () => {
    const fixture = await openRedisFixture()
    const { redis } = fixture
    await signIn(fixture, fixture.agent)
    const keys = (await redis.command('KEYS', 'oidc:*')) as string[]
    for (const key of keys) {
      if ((await redis.command('TYPE', key)) !== 'hash') continue
      for (const field of ['t', 'k', 's']) await redis.command('HSET', key, field, 'damaged')
    }
    assert.equal((await look(fixture)).status, 401)
    assert.equal((await look(fixture, '/session')).status, 200)
    assert.equal((await signIn(fixture, fixture.agent)).status, 200)
  })

  test('a record that another version has written counts as no session: one new sign-in, and no loop', async () => {
    const fixture = await openRedisFixture()
    const { agent, provider, redis, site } = fixture
    await signIn(fixture, agent)
    const client = later(new Redis(redis.url), async it => it.disconnect())
    for (const key of await client.keys('oidc:*')) {
      if ((await client.type(key)) !== 'hash') continue
      for (const [field, value] of Object.entries(await client.hgetallBuffer(key))) {
        if (!['t', 'k', 's', 'i'].includes(field)) continue
        assert.equal(value[0], 1, 'the version is the first byte')
        value[0] = 2
        await client.hset(key, field, value)
      }
    }
    assert.equal((await look(fixture)).status, 401)
    assert.equal((await look(fixture, '/session')).status, 200)
    const before = provider.count('authorize')
    assert.equal((await agent.visit(`${site.url}/claims`)).status, 200)
    assert.equal(provider.count('authorize') - before, 1)
    assert.equal((await look(fixture)).status, 200)
  })

  test('a key of another type in the place of a session: 503 for that session only', async () => {
    const fixture = await openRedisFixture()
    const { redis } = fixture
    await signIn(fixture, fixture.agent)
    for (const key of (await redis.command('KEYS', 'oidc:*')) as string[]) {
      if ((await redis.command('TYPE', key)) === 'hash') await redis.command('SET', key, 'x')
    }
    const { status } = await look(fixture)
    assert.ok([401, 503].includes(status), `status ${status}`)
    assert.equal((await signIn(fixture, createAgent())).status, 200)
    assert.equal((await signIn(fixture, fixture.agent)).status >= 200, true)
  })
})

describe('Redis that is late', () => {
  test('a save that takes half a second is there on the page after the sign-in, on another instance', async () => {
    const fixture = await openRedisFixture()
    const { provider, redis, wire } = fixture
    const sealing = secret('shared secret')
    const common = { issuer: provider.issuer, clientId: provider.clientId, clientSecret: provider.clientSecret }
    const oidc = { ...common, ...ES256, timeouts: { redis: 3000 }, secret: sealing }
    const first = later(await startSite({ oidc: { ...oidc, redis: `redis://127.0.0.1:${wire.port}` } }), it =>
      it.close(),
    )
    const second = later(await startSite({ oidc: { ...oidc, redis: redis.url, baseUrl: first.url } }), it => it.close())
    const agent = createAgent()
    await agent.open(`${first.url}/login?returnTo=/claims`)
    wire.delay(250)
    const posted = await agent.submitForm({}, { redirect: 'manual' })
    assert.equal(posted.status, 303)
    const cookie = agent.cookies(first.url).find(({ name }) => name === 'sid')
    const landing = await createAgent().fetch(`${second.url}/claims`, {
      from: `${second.url}/`,
      headers: { cookie: `sid=${cookie?.value}` },
    })
    assert.equal(landing.status, 200)
  })

  test('a slow request that saves after the sign-out brings nothing back', async () => {
    const redis = later(await startRedis(), it => it.stop())
    let release = () => {}
    const site = {
      routes: (app: Site['app']) =>
        void app.get('/slow', requiresAuth(), (req, res) => {
          Object.assign(req.session, { late: true })
          release = () => void res.json({})
        }),
    }
    const fixture = later(
      await openFixture({ provider: { alg: 'ES256' }, oidc: { ...ES256, redis: redis.url }, site }),
      it => it.close(),
    )
    const { agent } = fixture
    for (let trial = 0; trial < 20 * scale; trial += 1) {
      await signIn(fixture, agent)
      release = () => {}
      const waits = release
      const slow = look(fixture, '/slow')
      await until('it has begun', () => release !== waits)
      const cookie = sessionCookieOf(fixture)
      const out = agent.tab().post(`${fixture.site.url}/logout?local=1`, {}, { from: `${fixture.site.url}/` })
      if (trial % 2 === 0) await out
      release()
      await Promise.all([slow, out])
      const old = await createAgent().fetch(`${fixture.site.url}/user`, {
        from: `${fixture.site.url}/`,
        headers: { cookie: `sid=${cookie}` },
      })
      assert.equal(old.json<{ isAuthenticated: boolean }>().isAuthenticated, false)
    }
    const hashes = []
    for (const key of (await redis.command('KEYS', 'oidc:*')) as string[])
      if ((await redis.command('TYPE', key)) === 'hash') hashes.push(key)
    assert.deepEqual(hashes, [])
  })
})

describe('a wrong way to Redis', () => {
  test('a wrong password, or no TLS where TLS is asked for: not ready, 503, and no word of the password', async () => {
    const password = secret('redis password')
    const redis = later(await startRedis({ args: ['--requirepass', secret('right redis password')] }), it => it.stop())
    for (const url of [
      `redis://:${password}@127.0.0.1:${redis.port}`,
      `rediss://:${password}@127.0.0.1:${redis.port}`,
    ]) {
      const fixture = await openFixture({ provider: { alg: 'ES256' }, oidc: { ...ES256, redis: url } })
      await assert.rejects(fixture.site.oidc.ready(), { code: 'ERR_OIDC_STORE_UNAVAILABLE' })
      assertAway(await signIn(fixture))
      // A Redis that speaks no TLS waits for more and says nothing, until the connection is given up.
      if (url.startsWith('redis:'))
        assert.ok(
          fixture.site.log.some(line => line.startsWith('Redis is not available')),
          fixture.site.log.join(),
        )
      await fixture.close()
    }
  })
})
