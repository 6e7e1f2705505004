import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Services } from '../../lib/options/config.js'
import { createRecordStore } from '../../lib/store/store.js'
import { createAccessTokens } from '../../lib/tokens/access-tokens.js'
import { createLeases } from '../../lib/tokens/refresh-lease.js'
import { createRequestLimiter } from '../../lib/tokens/request-limiter.js'
import type { Revocations } from '../../lib/tokens/revocation.js'
import { createSingleFlight } from '../../lib/tokens/single-flight.js'
import { secret } from '../support/secrets.js'

/** Epoch s. */
const START = 1_780_272_000

test('work under one key is done once at a time, and again afterwards', async () => {
  const flights = createSingleFlight<number>()
  let count = 0
  const work = async () => {
    count += 1
    await wait(5)
    return count
  }
  assert.deepEqual(await Promise.all([flights.run('a', work), flights.run('a', work)]), [1, 1])
  assert.equal(await flights.run('a', work), 2)
})

test('work that fails fails for all waiting callers, and is tried again afterwards', async () => {
  const flights = createSingleFlight<string>()
  const failing = async (): Promise<string> => {
    throw new Error('no')
  }
  const outcomes = await Promise.allSettled([flights.run('a', failing), flights.run('a', failing)])
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  assert.equal(await flights.run('a', async () => 'yes'), 'yes')
})

test('requests of one process ask the store for the right to refresh once, not each', async () => {
  const now = () => new Date(START * 1000)
  const site = { timeouts: { provider: 1_000, redis: 100 }, hooks: {}, now, log: () => {} }
  const store = createRecordStore({
    secrets: [secret('session secret')],
    idle: 3600,
    absolute: 36_000,
    timeout: 500,
    now,
    log: () => {},
  })
  const times = { signedInAt: START, expiresAt: START + 36_000 }
  const ticket = { issuer: 'https://op.example.com', subject: 'alice', claims: {}, scope: 'openid', ...times }
  const tokens = { scope: 'openid', accessToken: 'first', refreshToken: 'first', expiresAt: START }
  const id = await store.signIn({ ticket, tokens, previous: [], keep: [] })
  let claims = 0
  const watched = {
    ...store,
    tokenStore(of: string) {
      const tokenStore = store.tokenStore(of)
      return {
        ...tokenStore,
        acquire(...args: Parameters<typeof tokenStore.acquire>) {
          claims += 1
          return tokenStore.acquire(...args)
        },
      }
    },
  }
  const provider = {
    metadata: async () => ({}),
    async refreshTokens() {
      await wait(20)
      return { access_token: 'second', token_type: 'Bearer', expires_in: 300 }
    },
  }
  const services = { config: site, provider, store: watched } as unknown as Services
  const revocations: Revocations = { inBackground() {}, async revoke() {}, async whenIdle() {} }
  const accessTokens = createAccessTokens({
    ...services,
    leases: createLeases(site, createRequestLimiter(now)),
    revocations,
  })
  const got = await Promise.all(Array.from({ length: 100 }, () => accessTokens.get(id)))
  assert.deepEqual(new Set(got.map(({ value }) => value)), new Set(['second']))
  assert.equal(claims, 1)
})
