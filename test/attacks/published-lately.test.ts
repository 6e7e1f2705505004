import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createAgent } from '../support/agent.js'
import type { Fixture } from '../support/handler-fixture.js'
import type { Claims, EndpointResponse, RecordedRequest } from '../support/hostile-provider.js'
import { send } from '../support/http-client.js'
import { createSigningKey, exportPrivateJwk } from '../support/signing-keys.js'
import { startTokenFixture } from '../tokens/token-fixture.js'
import { attack, whoIs } from './fixture.js'

const now = () => Math.floor(Date.now() / 1000)
/** A clock that stands still. */
const frozen = new Date()
const hybrid = { responseType: 'code id_token' } as const

/** The browser begins a sign-in: everything secret that comes of it, up to the session. */
async function secretsOfSignIn(fixture: Pick<Fixture, 'provider' | 'site'>): Promise<string[]> {
  const agent = createAgent()
  await agent.post(`${fixture.site.url}/session?a=1`, {})
  const anonymous = agent.cookies(fixture.site.url).map(({ value }) => value)
  await agent.visit(`${fixture.site.url}/claims`)
  const { query } = fixture.provider.requestsTo('authorize').at(-1) ?? assert.fail('no request')
  const { state = '', nonce = '', code_challenge: challenge = '' } = query
  const verifier = fixture.provider.requestsTo('token').at(-1)?.form.code_verifier ?? ''
  return [state, nonce, challenge, verifier, ...anonymous, ...agent.cookies(fixture.site.url).map(({ value }) => value)]
}

attack(
  'CVE-2026-111260 CVE-2026-111259: an attacker who knows the clock and every number of Math.random knows no state, nonce, verifier or session id',
  { oidc: { responseType: 'code id_token', now: () => frozen } },
  async fixture => {
    const { random } = Math
    const seen: string[] = []
    try {
      for (let browser = 0; browser < 3; browser += 1) {
        let next = 0
        Math.random = () => (next = (next + 0.377) % 1)
        const secrets = await secretsOfSignIn(fixture)
        assert.ok(secrets.length >= 7 && secrets.every(value => value.length >= 43), `${secrets}`)
        seen.push(...secrets)
      }
    } finally {
      Math.random = random
    }
    assert.equal(new Set(seen).size, seen.length)
  },
)

describe('an ID Token', () => {
  attack(
    'CVE-2026-114617: no claim of an ID Token, and no field of its header, switches a check of that token off',
    { oidc: hybrid },
    async ({ refuses, evil }) => {
      const switches: Claims = {
        nonce_supported: false,
        verify: false,
        verified: true,
        skip_checks: ['nonce', 'exp'],
        options: { verify_exp: false, verify_aud: false, ignoreExpiration: true, clockTolerance: 1e9 },
        ignoreExpiration: true,
        clockTolerance: 1e9,
        max_age: 1e9,
        issuer: evil.url,
        audience: 'other',
        algorithms: ['none'],
        trusted: true,
      }
      const faults = {
        'no nonce': [{ nonce: undefined }, 'ERR_OIDC_ID_TOKEN_NONCE'],
        'another nonce': [{ nonce: 'x'.repeat(43) }, 'ERR_OIDC_ID_TOKEN_NONCE'],
        'over long ago': [{ exp: now() - 3600 }, 'ERR_OIDC_ID_TOKEN_EXPIRED'],
        'another client': [{ aud: 'other' }, 'ERR_OIDC_ID_TOKEN_AUDIENCE'],
        'another issuer': [{ iss: evil.url }, 'ERR_OIDC_ID_TOKEN_ISSUER'],
        'no c_hash': [{ c_hash: undefined }, 'ERR_OIDC_ID_TOKEN_CODE_HASH'],
      } as const
      for (const [what, [changes, code]] of Object.entries(faults)) {
        const claims = (given: Claims) => ({ ...given, ...switches, ...changes })
        const header = (given: Claims) => ({ ...given, ...switches, verify: false })
        await refuses({ what, faults: { frontIdToken: { claims } }, code })
        await refuses({ what: `${what}, said in the header, too`, faults: { frontIdToken: { claims, header } }, code })
      }
    },
  )

  attack(
    'exp, iat and nbf beyond every date, such as 1e300, are refused in an ID Token and in a logout token',
    { oidc: hybrid },
    async ({ refuses, provider, site, victim }) => {
      for (const [name, code] of [
        ['exp', 'ERR_OIDC_ID_TOKEN_EXPIRED'],
        ['iat', 'ERR_OIDC_ID_TOKEN_ISSUED_AT'],
        ['nbf', 'ERR_OIDC_ID_TOKEN_NOT_BEFORE'],
      ] as const) {
        for (const value of [1e300, 1e15, Number.MAX_SAFE_INTEGER, -1e300]) {
          const frontIdToken = (claims: Claims) => ({ ...claims, [name]: value })
          await refuses({ what: `${name} ${value}`, faults: { frontIdToken }, code })
        }
      }
      for (const claims of [{ exp: 1e300 }, { iat: 1e300 }]) {
        const body = new URLSearchParams({ logout_token: await provider.createLogoutToken(claims) }).toString()
        const headers = { 'content-type': 'application/x-www-form-urlencoded' }
        const { status } = await send({ url: `${site.url}/logout/backchannel`, method: 'POST', headers, body })
        assert.equal(status, 400, JSON.stringify(claims))
      }
      assert.equal(await whoIs({ site }, victim), 'alice-0001')
    },
  )
})

describe('two users', () => {
  attack(
    'CVE-2025-12390: one sid for two users gives neither the session of the other, nor does a sign-in with it',
    { oidc: hybrid },
    async ({ site, provider, victim }) => {
      const asBob = {
        frontIdToken: (claims: Claims) => ({ ...claims, sub: 'bob-0002' }),
        backIdToken: (claims: Claims) => ({ ...claims, sub: 'bob-0002' }),
        userInfoClaims: () => ({ sub: 'bob-0002', name: 'Bob' }),
      }
      const bob = createAgent()
      provider.break(asBob)
      await bob.visit(`${site.url}/claims`)
      // The same browser and the same sid, another user: Alice's data is not carried over.
      await victim.fetch(`${site.url}/session?cart=hers`, { method: 'POST', from: `${site.url}/` })
      const shared = victim.tab()
      await shared.visit(`${site.url}/login?returnTo=/session`)
      assert.equal(shared.page?.text.includes('hers'), false)
      provider.heal()
      assert.deepEqual([await whoIs({ site }, bob), await whoIs({ site }, victim)], ['bob-0002', 'bob-0002'])
      await victim.visit(`${site.url}/login?returnTo=/user`)
      assert.deepEqual([await whoIs({ site }, bob), await whoIs({ site }, victim)], ['bob-0002', 'alice-0001'])
    },
  )

  test('CVE-2026-40155: a token request that fails and is repeated beside those of others brings each browser its own token', async () => {
    const fixture = await startTokenFixture()
    const { provider, site } = fixture
    const owners = new Map<string, number>()
    let owner = -1
    const remember = (response: EndpointResponse, { form }: RecordedRequest) => {
      const of = owners.get(form.refresh_token ?? '') ?? owner
      const tokens = JSON.parse(response.body) as Record<string, string>
      for (const name of ['access_token', 'refresh_token']) if (tokens[name]) owners.set(tokens[name], of)
      return response
    }
    try {
      provider.break({ token: { respond: remember } })
      const agents = [0, 1, 2, 3, 4, 5].map(() => createAgent({ now: () => fixture.now() * 1000 }))
      for (const [index, agent] of agents.entries()) {
        owner = index
        await agent.visit(`${site.url}/claims`)
      }
      owner = -1
      for (let round = 0; round < 3; round += 1) {
        fixture.advance(300)
        provider.break({ token: { status: 503, body: { error: 'temporarily_unavailable' } } })
        const ask = () => agents.map(agent => agent.fetch(`${site.url}/fresh`, { from: `${site.url}/claims` }))
        await Promise.all([...ask(), ...ask()])
        fixture.advance(120)
        provider.break({ token: { respond: remember } })
        const responses = await Promise.all([...ask(), ...ask()])
        for (const [index, page] of responses.entries()) {
          assert.equal(page.status, 200, page.text)
          assert.equal(owners.get(page.json<{ value: string }>().value), index % agents.length, `round ${round}`)
        }
      }
    } finally {
      await fixture.close()
    }
  })

  attack(
    'a sign-out of the user reaches the newer session after an older one has ended, whichever way that one ended',
    { oidc: hybrid },
    async ({ site, provider }) => {
      const asBob = (claims: Claims) => ({ ...claims, sub: 'bob-0002' })
      provider.break({
        frontIdToken: asBob,
        backIdToken: asBob,
        userInfoClaims: () => ({ sub: 'bob-0002' }),
      })
      for (const end of ['/logout?local=1', '/logout']) {
        const [older, newer] = [createAgent(), createAgent()]
        await older.visit(`${site.url}/claims`)
        await newer.visit(`${site.url}/claims`)
        await older.open(site.url + end, { redirect: 'manual' })
        assert.equal(await whoIs({ site }, newer), 'bob-0002', end)
        const token = await provider.createLogoutToken({ sub: 'bob-0002', sid: undefined, iat: now() + 1 })
        const body = new URLSearchParams({ logout_token: token }).toString()
        const headers = { 'content-type': 'application/x-www-form-urlencoded' }
        const { status } = await send({ url: `${site.url}/logout/backchannel`, method: 'POST', headers, body })
        assert.equal(status, 200)
        assert.equal(await whoIs({ site }, newer), undefined, end)
      }
      provider.heal()
    },
  )
})

describe('the way to the provider', () => {
  attack(
    'a site without a client certificate ignores endpoint aliases for mutual TLS, whatever their values',
    { oidc: hybrid },
    async ({ accepts, evil, provider }) => {
      for (const alias of [evil.url, 'no address', `${evil.url}/token`, 1, null, {}]) {
        const mtls_endpoint_aliases = { token_endpoint: alias, userinfo_endpoint: alias, revocation_endpoint: alias }
        await accepts(`alias ${JSON.stringify(alias)}`, { metadata: given => ({ ...given, mtls_endpoint_aliases }) })
      }
      assert.deepEqual(provider.problems, [])
    },
  )

  test('a provider that was restarted is reached at once: no request fails on a dead connection', async () => {
    const fixture = await startTokenFixture()
    const { provider, site } = fixture
    try {
      await Promise.all([0, 1, 2, 3].map(() => createAgent().visit(`${site.url}/claims`)))
      for (let restart = 0; restart < 3; restart += 1) {
        await provider.stop()
        await provider.start()
        const pages = await Promise.all([0, 1, 2, 3].map(() => createAgent().visit(`${site.url}/claims`)))
        assert.deepEqual(
          pages.map(({ status }) => status),
          [200, 200, 200, 200],
          site.log.join('\n'),
        )
      }
    } finally {
      await fixture.close()
    }
  })

  test('no client assertion is sent twice, not by a token request that is made again after a failure either', async () => {
    const key = await createSigningKey('ES256')
    // The provider of the tests judges an assertion by the system's clock.
    let ahead = 0
    const clock = () => now() + ahead
    const fixture = await startTokenFixture({
      provider: { clientJwks: [key.publicJwk], now: clock },
      oidc: {
        clientAuthentication: { method: 'private_key_jwt', key: exportPrivateJwk(key), algorithm: 'ES256' },
        now: () => new Date(clock() * 1000),
      },
    })
    const { provider } = fixture
    try {
      await fixture.signIn()
      for (const fault of [{ status: 503 }, { cut: 'before' }, { status: 429 }, { cut: 'middle' }] as const) {
        ahead += 400
        provider.break({ token: { times: 1, ...fault } })
        await fixture.token()
        ahead += 120
        await fixture.token()
        provider.heal()
      }
      const assertions = provider.requestsTo('token').map(({ form }) => form.client_assertion ?? '')
      assert.ok(assertions.length >= 5, `${assertions.length} token requests`)
      const ids = assertions.map(jwt => JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()).jti)
      assert.equal(new Set(ids).size, ids.length)
    } finally {
      await fixture.close()
    }
  })
})
