import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { OidcError } from '../../lib/errors.js'
import type { Services } from '../../lib/options/config.js'
import { createRecordStore } from '../../lib/store/store.js'
import { createAccessTokens } from '../../lib/tokens/access-tokens.js'
import { createLeases } from '../../lib/tokens/refresh-lease.js'
import { createRequestLimiter } from '../../lib/tokens/request-limiter.js'
import type { Revocations } from '../../lib/tokens/revocation.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'

let redis: RedisServer

before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

/** A provider that takes each refresh token once and ends the family at its second use. */
function createRotatingProvider() {
  let current = 'refresh 0'
  let count = 0
  const reused: string[] = []
  return {
    reused,
    count: () => count,
    metadata: async () => ({}),
    async refreshTokens({ refreshToken }: { readonly refreshToken: string }) {
      count += 1
      if (refreshToken !== current) {
        reused.push(refreshToken)
        throw new OidcError('ERR_OIDC_REFRESH_REJECTED', 'this refresh token was used before')
      }
      current = `refresh ${count}`
      const response = {
        access_token: `access ${count}`,
        refresh_token: current,
        token_type: 'Bearer',
        expires_in: 86_400,
      }
      await wait(150)
      return response
    },
  }
}

/** A process whose clock is `ahead` seconds off. */
function createProcess(ahead: number, provider: ReturnType<typeof createRotatingProvider>, sealing: string) {
  const now = () => new Date(Date.now() + ahead * 1000)
  const config = { timeouts: { provider: 1_000, redis: 2_000 }, hooks: {}, now, log: () => {} }
  const settings = { idle: 36_000, absolute: 360_000, timeout: 5_000, now, log: () => {} }
  const store = createRecordStore({ ...settings, secrets: [sealing], redis: redis.url })
  const revoked: string[] = []
  const revocations: Revocations = {
    inBackground: tokens => void revoked.push(tokens?.refreshToken ?? ''),
    async revoke() {},
    async whenIdle() {},
  }
  const services = { config, provider, store } as unknown as Services
  const leases = createLeases(config, createRequestLimiter(now))
  return { store, revoked, tokens: createAccessTokens({ ...services, leases, revocations }) }
}

for (const apart of [40, -40, 7_200, -7_200]) {
  test(`two processes whose clocks are ${apart} s apart refresh a session once, keep the new refresh token and send no token twice`, async t => {
    const provider = createRotatingProvider()
    const sealing = secret('session secret')
    const [here, there] = [createProcess(0, provider, sealing), createProcess(apart, provider, sealing)]
    t.after(() => Promise.all([here.store.close(), there.store.close()]))
    const signedInAt = Math.floor(Date.now() / 1000) - 20_000
    const times = { signedInAt, expiresAt: signedInAt + 360_000 }
    const ticket = {
      issuer: 'https://op.example.com',
      subject: `alice ${apart}`,
      claims: {},
      scope: 'openid',
      ...times,
    }
    const tokens = { scope: 'openid', accessToken: 'first', refreshToken: 'refresh 0', expiresAt: signedInAt + 60 }
    const id = await here.store.signIn({ ticket, tokens, previous: [], keep: [] })

    const first = here.tokens.get(id)
    await wait(50)
    const got = await Promise.all([first, there.tokens.get(id), there.tokens.get(id), here.tokens.get(id)])
    assert.deepEqual(
      got.map(({ value }) => value),
      ['access 1', 'access 1', 'access 1', 'access 1'],
    )
    assert.equal(provider.count(), 1)

    // Both go on with the new refresh token, in turn.
    for (const process of [there, here, there]) await process.tokens.get(id, { forceRefresh: true })
    assert.equal((await here.tokens.get(id, { forceRefresh: true })).value, `access ${provider.count()}`)
    assert.deepEqual(provider.reused, [])
    assert.deepEqual([...here.revoked, ...there.revoked], [])
  })
}
