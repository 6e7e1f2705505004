import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { OidcError } from '../../lib/errors.js'
import { createRecordStore } from '../../lib/store/store.js'
import type { StoredTokens, TokenStore } from '../../lib/store/token-store.js'
import { createLeases } from '../../lib/tokens/refresh-lease.js'
import { createRequestLimiter } from '../../lib/tokens/request-limiter.js'
import { type RedisServer, startRedis, until } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { refreshUnder } from './lease-refresh.js'
import { LIFE, startTokenFixture, type TokenFixture } from './token-fixture.js'

let fixture: TokenFixture | undefined
let redis: RedisServer | undefined

afterEach(async () => {
  await fixture?.close()
  await redis?.stop()
  fixture = undefined
  redis = undefined
})

async function start(timeout = 1_000): Promise<TokenFixture> {
  fixture = await startTokenFixture({ oidc: { timeouts: { provider: timeout } } })
  await fixture.signIn()
  fixture.advance(LIFE)
  return fixture
}

for (const delay of [1_200, 1_800, 2_600]) {
  test(`a response ${delay} ms after the request, with a deadline of one second, is kept: the caller gets 503, and the next the new token`, async () => {
    const { provider, token, refreshes, advance } = await start()
    provider.break({ token: { delay, times: 1 } })
    const first = await token()
    assert.deepEqual([first.status, first.code], [503, 'ERR_OIDC_PROVIDER_UNAVAILABLE'])
    await until('the late response is kept', async () => (await token()).status === 200)
    advance(LIFE)
    assert.equal((await token()).status, 200)
    assert.deepEqual(provider.reusedRefreshTokens, [])
    assert.equal(refreshes().length, 2)
  })
}

test('a late invalid_grant ends the session', async () => {
  const { provider, token } = await start()
  provider.revokeGrants()
  provider.break({ token: { delay: 2_000, times: 1 } })
  assert.equal((await token()).status, 503)
  await until('the session has ended', async () => (await token()).code === 'ERR_OIDC_LOGIN_REQUIRED')
})

test('close waits for a late response and keeps it', async () => {
  redis = await startRedis()
  const common = { redis: redis.url, secret: secret('site secret'), timeouts: { provider: 1_000 } }
  fixture = await startTokenFixture({ oidc: common })
  await fixture.signIn()
  fixture.advance(LIFE)
  const { provider, site, token } = fixture
  provider.break({ token: { delay: 3_000, times: 1 } })
  assert.equal((await token()).status, 503)
  let isClosed = false
  const closing = site.oidc.close().then(() => {
    isClosed = true
  })
  await new Promise(setImmediate)
  assert.equal(isClosed, false)
  await closing
  const keys = String(await redis.command('KEYS', 'oidc:*')).split(/[\s,]+/)
  assert.ok(keys.length > 0)
  for (const key of keys) {
    const lease: unknown = await redis.command('HGET', key, 'l').catch(() => '')
    assert.equal(String(lease ?? '').trim(), '', 'the lease was not given back, so nothing was kept')
  }
})

/** Epoch s. */
const START = 1_780_272_000

async function openTokenStore(
  url: string | undefined,
): Promise<{ tokenStore: TokenStore; view: StoredTokens; close(): Promise<void> }> {
  const now = () => new Date(START * 1000)
  const settings = { idle: 3600, absolute: 36_000, timeout: 500, now, log: () => {} }
  const store = createRecordStore({
    ...settings,
    secrets: [secret('session secret')],
    ...(url !== undefined && { redis: url }),
  })
  const times = { signedInAt: START, expiresAt: START + 36_000 }
  const ticket = { issuer: 'https://op.example.com', subject: 'alice', claims: {}, scope: 'openid', ...times }
  const tokens = { scope: 'openid', accessToken: 'first', refreshToken: 'first' }
  const tokenStore = store.tokenStore(await store.signIn({ ticket, tokens, previous: [], keep: [] }))
  const view = await tokenStore.open()
  assert.ok(view)
  return { tokenStore, view, close: () => store.close() }
}

for (const store of ['the memory', 'Redis']) {
  for (const lost of [1, 2]) {
    test(`the reply to acquiring the lease is lost ${lost} times, with ${store}: nothing waits for the lease to expire`, async () => {
      redis = store === 'Redis' ? await startRedis() : undefined
      const { tokenStore, view, close } = await openTokenStore(redis?.url)
      const now = () => new Date(START * 1000)
      const leases = createLeases(
        { timeouts: { provider: 1_000, redis: 100 }, now, log() {} },
        createRequestLimiter(now),
      )
      let left = lost
      const deaf: TokenStore = {
        ...tokenStore,
        async acquire(...args) {
          const outcome = await tokenStore.acquire(...args)
          if (left === 0) return outcome
          left -= 1
          throw new OidcError('ERR_OIDC_STORE_UNAVAILABLE', 'Redis is not available')
        },
      }
      let asked = 0
      const renewal = {
        tokenStore: deaf,
        view,
        isUpToDate: ({ tokens }: StoredTokens) => tokens?.accessToken === 'second',
        judge: (error: OidcError) => ({ error, endsSession: false, pauses: 'session', isLogged: false }) as const,
        request: async () => {
          asked += 1
          return { change: () => ({ tokens: { scope: 'openid', accessToken: 'second' } }), discard() {} }
        },
      }
      if (lost === 2) await assert.rejects(refreshUnder(leases, renewal), { code: 'ERR_OIDC_STORE_UNAVAILABLE' })
      await leases.whenIdle()
      assert.equal((await tokenStore.open())?.leasedUntil, 0)
      assert.equal((await refreshUnder(leases, renewal)).tokens?.accessToken, 'second')
      assert.equal(asked, 1)
      await close()
    })
  }

  test(`a lease that ends in an hour, written by a clock that was wrong, does not bind, with ${store}`, async () => {
    redis = store === 'Redis' ? await startRedis() : undefined
    const { tokenStore, view, close } = await openTokenStore(redis?.url)
    assert.equal(await tokenStore.acquire('a clock ahead', view, 3_600_000), 'acquired')
    assert.equal(await tokenStore.acquire('another', view, 15_600), 'acquired')
    assert.equal(await tokenStore.acquire('a third', view, 15_600), 'held')
    await close()
  })
}

test('after a pause of the process the second lease begins before the first ends', async t => {
  const { tokenStore, view, close } = await openTokenStore(undefined)
  const now = () => new Date(START * 1000)
  const leases = createLeases({ timeouts: { provider: 60_000, redis: 100 }, now, log() {} }, createRequestLimiter(now))
  let acquired = 0
  const counted: TokenStore = {
    ...tokenStore,
    acquire(...args) {
      acquired += 1
      return tokenStore.acquire(...args)
    },
  }
  const lease = await leases.acquire({
    tokenStore: counted,
    view,
    isUpToDate: () => false,
    judge: error => ({ error, endsSession: false, pauses: 'session', isLogged: false }),
  })
  assert.ok(lease.isAcquired)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const refreshing = assert.rejects(lease.complete(new Promise(() => {})), { code: 'ERR_OIDC_PROVIDER_UNAVAILABLE' })
  // The process stands still as long as the provider may take: every timer that is set is due.
  t.mock.timers.tick(60_000)
  await refreshing
  assert.equal(acquired, 2)
  t.mock.timers.reset()
  await close()
})

test('fifty requests that fail at once are one failure, and one request then finds out for all', async () => {
  const limiter = createRequestLimiter(() => new Date())
  const down = new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'down')
  const leaves = await Promise.all(Array.from({ length: 50 }, () => limiter.enter(1_000)))
  const began = leaves.map(() => limiter.begin())
  for (const each of began) limiter.report(down, each)
  for (const leave of leaves) leave()
  const probe = await limiter.enter(1_000)
  let admitted = 0
  const waiting = Array.from({ length: 49 }, () => limiter.enter(5_000).then(() => (admitted += 1)))
  await wait(20)
  assert.equal(admitted, 0)
  limiter.report(undefined, limiter.begin())
  probe()
  await Promise.all(waiting)
  assert.equal(admitted, 49)
})
