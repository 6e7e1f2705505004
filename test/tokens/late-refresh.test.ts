import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { OidcError } from '../../lib/errors.js'
import { createRenewals } from '../../lib/handlers/renewal.js'
import { createTokenGate } from '../../lib/handlers/token-gate.js'
import { createState } from '../../lib/state/state.js'
import type { TokenVault, VaultView } from '../../lib/state/token-vault.js'
import { type RedisServer, startRedis, until } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { LIFE, startTokenSite, type TokenSite } from './token-site.js'

let bench: TokenSite | undefined
let redis: RedisServer | undefined

afterEach(async () => {
  await bench?.close()
  await redis?.stop()
  bench = undefined
  redis = undefined
})

async function start(timeout = 1_000): Promise<TokenSite> {
  bench = await startTokenSite({ oidc: { timeouts: { provider: timeout } } })
  await bench.signIn()
  bench.advance(LIFE)
  return bench
}

for (const delay of [1_200, 1_800, 2_600]) {
  test(`an answer ${delay} ms after the request, with a deadline of one second, is kept: the caller gets 503, and the next the new token`, async () => {
    const { provider, token, refreshes, advance } = await start()
    provider.break({ token: { delay, times: 1 } })
    const first = await token()
    assert.deepEqual([first.status, first.code], [503, 'ERR_OIDC_PROVIDER_UNAVAILABLE'])
    await until('the late answer is kept', async () => (await token()).status === 200)
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

test('close waits for a late answer and keeps it', async () => {
  redis = await startRedis()
  const common = { redis: redis.url, secret: secret('site secret'), timeouts: { provider: 1_000 } }
  bench = await startTokenSite({ oidc: common })
  await bench.signIn()
  bench.advance(LIFE)
  const { provider, site, token } = bench
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

async function openVault(
  url: string | undefined,
): Promise<{ vault: TokenVault; view: VaultView; close(): Promise<void> }> {
  const now = () => new Date(START * 1000)
  const settings = { idle: 3600, absolute: 36_000, timeout: 500, now, log: () => {} }
  const state = createState({
    ...settings,
    secrets: [secret('session secret')],
    ...(url !== undefined && { redis: url }),
  })
  const times = { signedInAt: START, expiresAt: START + 36_000 }
  const ticket = { issuer: 'https://op.example.com', subject: 'alice', claims: {}, scope: 'openid', ...times }
  const tokens = { scope: 'openid', accessToken: 'first', refreshToken: 'first' }
  const vault = state.vault(await state.signIn({ ticket, tokens, previous: [], keep: [] }))
  const view = await vault.open()
  assert.ok(view)
  return { vault, view, close: () => state.close() }
}

for (const store of ['the memory', 'Redis']) {
  for (const lost of [1, 2]) {
    test(`the answer to taking the lease is lost ${lost} times, with ${store}: nothing waits for the lease to expire`, async () => {
      redis = store === 'Redis' ? await startRedis() : undefined
      const { vault, view, close } = await openVault(redis?.url)
      const now = () => new Date(START * 1000)
      const renewals = createRenewals(
        { timeouts: { provider: 1_000, redis: 100 }, now, log() {} },
        createTokenGate(now),
      )
      let left = lost
      const deaf: TokenVault = {
        ...vault,
        async claim(...args) {
          const outcome = await vault.claim(...args)
          if (left === 0) return outcome
          left -= 1
          throw new OidcError('ERR_OIDC_STORE_UNAVAILABLE', 'Redis is not available')
        },
      }
      let asked = 0
      const renewal = {
        vault: deaf,
        view,
        isSettled: ({ tokens }: VaultView) => tokens?.accessToken === 'second',
        request: async () => {
          asked += 1
          return { change: () => ({ tokens: { scope: 'openid', accessToken: 'second' } }), discard() {} }
        },
      }
      if (lost === 2) await assert.rejects(renewals.renew(renewal), { code: 'ERR_OIDC_STORE_UNAVAILABLE' })
      await renewals.settled()
      assert.equal((await vault.open())?.heldUntil, 0)
      assert.equal((await renewals.renew(renewal)).tokens?.accessToken, 'second')
      assert.equal(asked, 1)
      await close()
    })
  }

  test(`a lease that ends in an hour, written by a clock that was wrong, does not bind, with ${store}`, async () => {
    redis = store === 'Redis' ? await startRedis() : undefined
    const { vault, view, close } = await openVault(redis?.url)
    assert.equal(await vault.claim('a clock ahead', view, 3_600_000), 'claimed')
    assert.equal(await vault.claim('another', view, 15_600), 'claimed')
    assert.equal(await vault.claim('a third', view, 15_600), 'held')
    await close()
  })
}

test('fifty requests that fail at once are one failure, and one request then finds out for all', async () => {
  const gate = createTokenGate(() => new Date())
  const down = new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'down')
  const leaves = await Promise.all(Array.from({ length: 50 }, () => gate.enter(1_000)))
  const began = leaves.map(() => gate.begin())
  for (const each of began) gate.report(down, each)
  for (const leave of leaves) leave()
  const probe = await gate.enter(1_000)
  let admitted = 0
  const waiting = Array.from({ length: 49 }, () => gate.enter(5_000).then(() => (admitted += 1)))
  await wait(20)
  assert.equal(admitted, 0)
  gate.report(undefined, gate.begin())
  probe()
  await Promise.all(waiting)
  assert.equal(admitted, 49)
})
