import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import type { Services } from '../../lib/options/config.js'
import type { ProofKey } from '../../lib/protocol/dpop.js'
import { createRecordStore } from '../../lib/store/store.js'
import { createAccessTokens } from '../../lib/tokens/access-tokens.js'
import { createLeases } from '../../lib/tokens/refresh-lease.js'
import { createRequestLimiter } from '../../lib/tokens/request-limiter.js'
import { demandNonce } from '../support/hostile-proofs.js'
import { secret } from '../support/secrets.js'
import { answering, LIFE, startTokenFixture, type TokenFixture } from './token-fixture.js'

let fixture: TokenFixture
const hooked: object[] = []

beforeEach(async () => {
  hooked.length = 0
  fixture = await startTokenFixture({
    provider: { refreshTokens: 'always' },
    oidc: {
      dpop: true,
      hooks: {
        signIn: ({ tokens }) => void hooked.push(tokens),
        refresh: ({ tokens }) => void hooked.push(tokens),
      },
    },
    routes(app) {
      app.get(
        '/info',
        answering(req => req.oidc.userInfo()),
      )
      app.get('/again', (req, _res, next) => void req.oidc.login({ returnTo: '/claims', maxAge: 0 }).catch(next))
      app.get(
        '/raw',
        answering(async req => Object.entries(await req.oidc.accessToken())),
      )
    },
  })
  await fixture.signIn()
})

afterEach(async () => {
  assert.deepEqual(fixture.provider.problems, [])
  assert.deepEqual(fixture.provider.reusedRefreshTokens, [])
  await fixture.close()
})

const keys = () => new Set(fixture.provider.proofs.map(({ jkt }) => jkt))

test('a refresh goes with a proof of the key of the sign-in, however often', async () => {
  for (let round = 0; round < 3; round += 1) {
    fixture.advance(LIFE)
    assert.equal((await fixture.token()).status, 200)
  }
  assert.equal(fixture.refreshes().length, 3)
  assert.equal(keys().size, 1)
  assert.equal((await fixture.agent.fetch(`${fixture.site.url}/info`)).status, 200)
})

test('a token says that it is bound, and nothing shows its key', async () => {
  fixture.advance(LIFE)
  const entries = (await fixture.agent.fetch(`${fixture.site.url}/raw`)).json<[string, unknown][]>()
  assert.deepEqual(
    entries.map(([name]) => name),
    ['value', 'type', 'scope', 'expiresAt'],
  )
  assert.equal(new Map(entries).get('type'), 'DPoP')
  assert.ok(hooked.length === 2 && hooked.every(tokens => !('proofKey' in tokens)), 'a hook got the key')
})

test('a nonce for a refresh: the refresh token is sent again at once, by the same lease', async () => {
  const { status, headers, body } = demandNonce('nonce-1')
  fixture.advance(LIFE)
  fixture.provider.break({ token: { times: 1, status, headers, body: JSON.parse(body) } })
  assert.equal((await fixture.token()).status, 200)
  assert.equal(fixture.refreshes().length, 2)
  assert.equal(fixture.provider.proofs.at(-1)?.nonce, 'nonce-1')
  assert.ok(!fixture.site.log.some(line => line.includes('use_dpop_nonce')), 'the log reports what is expected')
})

test('a nonce that is wanted for ever does not end the session', async () => {
  const { status, headers, body } = demandNonce('nonce-1')
  fixture.advance(LIFE)
  fixture.provider.break({ token: { status, headers, body: JSON.parse(body) } })
  assert.equal((await fixture.token()).code, 'ERR_OIDC_TOKEN_RESPONSE')
  assert.equal(fixture.refreshes().length, 2)
  fixture.provider.heal()
  fixture.advance(60)
  assert.equal((await fixture.token()).status, 200)
})

test('a refresh that brings a bearer token is refused; its refresh token is kept, and the session goes on', async () => {
  fixture.advance(LIFE)
  fixture.provider.break({ tokenResponse: tokens => ({ ...tokens, token_type: 'Bearer' }) })
  assert.equal((await fixture.token()).code, 'ERR_OIDC_TOKEN_RESPONSE')
  fixture.provider.heal()
  fixture.advance(60)
  assert.equal((await fixture.token()).status, 200)
  assert.equal(keys().size, 1)
})

test('userinfo that refuses the token gets a fresh one, with the same key', async () => {
  fixture.provider.revokeAccessTokens()
  assert.equal((await fixture.agent.fetch(`${fixture.site.url}/info`)).status, 200)
  assert.equal(fixture.refreshes().length, 1)
  assert.equal(keys().size, 1)
})

test('another sign-in of the same user has a key of its own, which goes on with the new session', async () => {
  fixture.provider.break({})
  assert.equal((await fixture.agent.visit(`${fixture.site.url}/again`)).status, 200)
  assert.equal(keys().size, 2)
  const latest = fixture.provider.proofs.at(-1)?.jkt
  fixture.advance(LIFE)
  assert.equal((await fixture.token()).status, 200)
  assert.equal((await fixture.agent.fetch(`${fixture.site.url}/info`)).status, 200)
  assert.equal(fixture.provider.proofs.at(-1)?.jkt, latest)
  assert.equal(keys().size, 2)
})

test('a session from before the option gets a key at its next refresh, and keeps it', async t => {
  const now = () => new Date()
  const config = { timeouts: { provider: 1_000, redis: 100 }, hooks: {}, proofAlgorithm: 'ES256', now, log: () => {} }
  const settings = { idle: 3_600, absolute: 36_000, timeout: 500, now, log: () => {} }
  const store = createRecordStore({ ...settings, secrets: [secret('session secret')] })
  t.after(() => store.close())
  const seen: (ProofKey | undefined)[] = []
  const provider = {
    metadata: async () => ({}),
    async refreshTokens({ proofKey }: { readonly proofKey?: ProofKey }) {
      seen.push(proofKey)
      return { access_token: `access ${seen.length}`, token_type: 'DPoP', expires_in: 300 }
    },
  }
  const services = { config, provider, store } as unknown as Services
  const revocations = { inBackground() {}, async revoke() {}, async whenIdle() {} }
  const leases = createLeases(config, createRequestLimiter(now))
  const accessTokens = createAccessTokens({ ...services, leases, revocations })
  const signedInAt = Math.floor(Date.now() / 1000) - 1_000
  const ticket = {
    issuer: 'https://op.example.com',
    subject: 'alice',
    claims: {},
    scope: 'openid',
    signedInAt,
    expiresAt: signedInAt + 36_000,
  }
  const tokens = { scope: 'openid', accessToken: 'bearer', refreshToken: 'refresh', expiresAt: signedInAt + 60 }
  const id = await store.signIn({ ticket, tokens, previous: [], keep: [] })
  await accessTokens.get(id)
  await accessTokens.get(id, { forceRefresh: true })
  assert.equal(seen.length, 2)
  assert.ok(seen[0] !== undefined)
  assert.deepEqual(seen[1], seen[0])
})
