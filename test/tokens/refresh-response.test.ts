import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { createAgent } from '../support/agent.js'
import type { Claims, Faults } from '../support/hostile-provider.js'
import { startRedis, until } from '../support/redis.js'
import { answering, LIFE, startTokenFixture, type TokenFixture, type TokenFixtureOptions } from './token-fixture.js'

let fixture: TokenFixture

async function atExpiry(options: TokenFixtureOptions = {}): Promise<TokenFixture> {
  fixture = await startTokenFixture({
    ...options,
    routes(app) {
      app.get(
        '/id-token',
        answering(async req => ({ idToken: await req.oidc.idToken() })),
      )
      options.routes?.(app)
    },
  })
  await fixture.signIn()
  fixture.advance(LIFE)
  return fixture
}

async function idToken({ agent, site }: TokenFixture): Promise<string> {
  return (await agent.fetch(`${site.url}/id-token`)).json<{ idToken: string }>().idToken
}

async function isSignedIn({ agent, site }: TokenFixture): Promise<boolean> {
  return (await agent.fetch(`${site.url}/user`)).json<{ isAuthenticated: boolean }>().isAuthenticated
}

afterEach(() => fixture.close())

test('a refresh token and an ID Token in the response replace the old ones', async () => {
  const { token, refreshes, advance } = await atExpiry()
  const first = await idToken(fixture)
  await token()
  assert.notEqual(await idToken(fixture), first)
  advance(LIFE)
  await token()
  assert.notEqual(refreshes()[0]?.form.refresh_token, refreshes()[1]?.form.refresh_token)
})

test('a refresh token and an ID Token stay where the response has none', async () => {
  const { provider, token, refreshes, advance } = await atExpiry({ provider: { rotatesRefreshTokens: false } })
  provider.break({ tokenResponse: ({ id_token: _, refresh_token: __, ...body }) => body })
  const first = await idToken(fixture)
  await token()
  assert.equal(await idToken(fixture), first)
  advance(LIFE)
  assert.equal((await token()).status, 200)
  assert.equal(refreshes()[0]?.form.refresh_token, refreshes()[1]?.form.refresh_token)
})

test('a scope stays where the response has none', async () => {
  const { provider, token } = await atExpiry()
  provider.break({ tokenResponse: ({ scope: _, ...body }) => body })
  assert.equal((await token()).scope, 'openid profile offline_access')
})

test('an ID Token of a refresh has no nonce as a rule, and may lack auth_time, sid and at_hash', async () => {
  const { provider, token } = await atExpiry()
  provider.break({ refreshedIdToken: ({ nonce: _, at_hash: __, sid: ___, ...claims }) => claims })
  assert.equal((await token()).status, 200)
})

test('auth_time and acr of a refreshed ID Token prove nothing: no user has signed in', async () => {
  const { provider, token } = await atExpiry()
  provider.break({ refreshedIdToken: claims => ({ ...claims, auth_time: fixture.now(), acr: 'strong' }) })
  assert.equal((await token()).status, 200)
})

const foreign: readonly [string, (claims: Claims) => Claims][] = [
  ['another sub', claims => ({ ...claims, sub: 'mallory-0002' })],
  ['no sub', ({ sub: _, ...claims }) => claims],
  ['another iss', claims => ({ ...claims, iss: 'https://evil.example.com' })],
  ['another aud', claims => ({ ...claims, aud: 'another-client' })],
  ['one more aud, and this client as azp', claims => ({ ...claims, aud: [claims.aud, 'more'], azp: claims.aud })],
  ['another azp', claims => ({ ...claims, azp: 'another-client' })],
  ['a nonce of another sign-in', claims => ({ ...claims, nonce: 'another' })],
  ['a nonce that is no text', claims => ({ ...claims, nonce: 42 })],
]

for (const [description, change] of foreign) {
  test(`an ID Token with ${description} ends the session, and its tokens go back`, async () => {
    const { provider, token, refreshes } = await atExpiry()
    provider.break({ refreshedIdToken: change })
    assert.equal((await token()).code, 'ERR_OIDC_REFRESH_REJECTED')
    assert.equal(await isSignedIn(fixture), false)
    await until('both tokens are revoked', () => provider.count('revocation') === 2)
    assert.notEqual(provider.requestsTo('revocation')[0]?.form.token, refreshes()[0]?.form.refresh_token)
  })
}

test('a session_expiry that has passed ends the session at the refresh, and its tokens go back', async () => {
  const { provider, token } = await atExpiry()
  provider.break({ refreshedIdToken: claims => ({ ...claims, session_expiry: fixture.now() - 30 }) })
  assert.equal((await token()).code, 'ERR_OIDC_REFRESH_REJECTED')
  assert.equal(await isSignedIn(fixture), false)
  await until('both tokens are revoked', () => provider.count('revocation') === 2)
})

test('session_expiry of an ID Token is a ceiling of the session, which a refresh can lower and never raise', async () => {
  const redis = await startRedis()
  try {
    fixture = await startTokenFixture({ oidc: { redis: redis.url } })
    const start = fixture.now()
    const says = (session_expiry: number) => {
      const change = (claims: Claims) => ({ ...claims, session_expiry })
      fixture.provider.break({ frontIdToken: change, backIdToken: change, refreshedIdToken: change })
    }
    says(start + 10 * LIFE)
    await fixture.signIn()
    for (const [expiry, expiresAt] of [
      [20 * LIFE, 10 * LIFE],
      [4 * LIFE, 4 * LIFE],
      [6 * LIFE, 4 * LIFE],
    ] as const) {
      says(start + expiry)
      assert.equal((await fixture.token('?force=1')).status, 200)
      const [session] = await fixture.site.oidc.sessions.list({ sub: 'alice-0001' })
      assert.equal(session?.expiresAt, start + expiresAt)
    }
    fixture.advance(4 * LIFE - 1)
    assert.equal(await isSignedIn(fixture), true)
    fixture.advance(1)
    assert.equal(await isSignedIn(fixture), false)
  } finally {
    await redis.stop()
  }
})

const damaged: readonly [string, Faults][] = [
  ['an ID Token signed with a foreign key', { refreshedIdToken: { key: 'foreign' } }],
  ['an unsigned ID Token', { refreshedIdToken: { alg: 'none' } }],
  ['an expired ID Token', { refreshedIdToken: claims => ({ ...claims, exp: 1 }) }],
  ['an ID Token of an hour ago', { refreshedIdToken: claims => ({ ...claims, iat: Number(claims.iat) - 3600 }) }],
  ['an at_hash of another token', { refreshedIdToken: claims => ({ ...claims, at_hash: 'AAAAAAAAAAAAAAAAAAAAAA' }) }],
  ['a session_expiry that is no time', { refreshedIdToken: claims => ({ ...claims, session_expiry: 'tomorrow' }) }],
  ['a sid that is no text', { refreshedIdToken: claims => ({ ...claims, sid: { text: 'sid-1' } }) }],
  ['another token type', { tokenResponse: body => ({ ...body, token_type: 'mac' }) }],
  ['no token type', { tokenResponse: ({ token_type: _, ...body }) => body }],
  ['no access token', { tokenResponse: ({ access_token: _, ...body }) => body }],
  ['no JSON object', { tokenResponse: () => ['tokens'] }],
]

for (const [description, faults] of damaged) {
  test(`a response with ${description} is refused, and the session stays`, async () => {
    const { provider, token, refreshes } = await atExpiry({ provider: { rotatesRefreshTokens: false } })
    provider.break(faults)
    assert.equal((await token()).code, 'ERR_OIDC_TOKEN_RESPONSE')
    assert.equal((await token()).code, 'ERR_OIDC_TOKEN_RESPONSE')
    assert.equal(refreshes().length, 1, 'the second request found the note of the failure')
    provider.break({ refreshedIdToken: claims => claims, tokenResponse: body => body })
    fixture.advance(3)
    assert.equal((await token()).status, 200)
  })
}

test('keys that cannot be fetched: the ID Token is not accepted, but the used refresh token is replaced', async () => {
  const { provider, token, refreshes, advance } = await atExpiry()
  provider.break({ rotateBefore: 'both', refreshedIdToken: {}, jwks: { status: 503 } })
  await provider.keys.rotate()
  assert.equal((await token()).code, 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  assert.equal((await token()).code, 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  assert.equal(refreshes().length, 1, 'the failure is noted as any other')
  provider.heal()
  advance(20)
  assert.equal((await token()).status, 200)
  assert.equal(provider.reusedRefreshTokens.length, 0)
  assert.equal(refreshes().length, 2)
})

test('a response that is cut off after the provider has acted: one more request later, and then one new sign-in', async () => {
  const { provider, agent, site, token, refreshes } = await atExpiry()
  provider.break({ token: { cut: 'after' } })
  for (let at = 0; at < 5; at += 1) assert.equal((await token()).code, 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  assert.equal(refreshes().length, 1, 'a refresh token is not sent again blindly')
  provider.heal()
  fixture.advance(3)
  assert.equal((await token()).code, 'ERR_OIDC_REFRESH_REJECTED', 'the new token is lost, and the old one is spent')
  assert.equal((await token()).code, 'ERR_OIDC_LOGIN_REQUIRED')
  assert.equal(refreshes().length, 2)
  const before = provider.count('authorize')
  assert.equal((await agent.visit(`${site.url}/claims`)).status, 200)
  assert.equal(provider.count('authorize') - before, 1)
})

for (const name of ['by the new name', 'by the old name']) {
  test(`a session that the provider calls by another sid since a refresh is signed out ${name}`, async () => {
    const { provider, site, token } = await atExpiry()
    provider.break({ refreshedIdToken: claims => ({ ...claims, sid: 'sid-2' }) })
    assert.equal((await token()).status, 200)
    assert.deepEqual(
      (await site.oidc.sessions.list({ sub: 'alice-0001' })).map(({ sid }) => sid),
      ['sid-2'],
    )
    const logout_token = await provider.createLogoutToken({ sid: name === 'by the new name' ? 'sid-2' : 'sid-1' })
    const told = await createAgent().post(`${site.url}/logout/backchannel`, { logout_token })
    assert.equal(told.status, 200)
    assert.equal(await isSignedIn(fixture), false)
  })
}

test('a refresh for another API may bring another sid, too', async () => {
  const { provider, site, token } = await atExpiry()
  provider.break({ refreshedIdToken: claims => ({ ...claims, sid: 'sid-2' }) })
  assert.equal((await token('?resource=https://api.example.com')).status, 200)
  const [listed] = await site.oidc.sessions.list({ sub: 'alice-0001' })
  assert.equal(listed?.sid, 'sid-2')
  assert.equal(await site.oidc.sessions.revoke({ sid: 'sid-2' }), 1)
})

test('invalid_grant ends the session: this request gets 401, the next page signs in again', async () => {
  const { provider, agent, site, token } = await atExpiry()
  provider.revokeGrants()
  assert.equal((await token()).code, 'ERR_OIDC_REFRESH_REJECTED')
  assert.equal((await token()).code, 'ERR_OIDC_LOGIN_REQUIRED')
  const page = await agent.open(`${site.url}/claims`, { redirect: 'manual' })
  assert.equal(page.status, 303)
  assert.equal((await agent.visit(`${site.url}/claims`)).status, 200)
})

const troubles: readonly [string, Faults, string][] = [
  ['invalid_client', { token: { status: 401, body: { error: 'invalid_client' } } }, 'ERR_OIDC_CLIENT_REJECTED'],
  ['429', { token: { status: 429, body: { error: 'slow_down' } } }, 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
  [
    '500 with invalid_grant',
    { token: { status: 500, body: { error: 'invalid_grant' } } },
    'ERR_OIDC_PROVIDER_UNAVAILABLE',
  ],
  ['a connection that breaks', { token: { cut: 'before' } }, 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
  ['a page of HTML', { token: { contentType: 'text/html' } }, 'ERR_OIDC_PROVIDER_RESPONSE'],
  ['a redirect', { token: { redirect: 'http://127.0.0.1:1/' } }, 'ERR_OIDC_PROVIDER_RESPONSE'],
]

for (const [description, faults, code] of troubles) {
  test(`${description} keeps the session, and no request is sent again for a while`, async () => {
    const { provider, token, refreshes, advance } = await atExpiry({ provider: { rotatesRefreshTokens: false } })
    provider.break(faults)
    for (let at = 0; at < 5; at += 1) assert.equal((await token()).code, code)
    assert.equal(refreshes().length, 1)
    advance(2)
    await token()
    assert.equal(refreshes().length, 2)
    await token()
    assert.equal(refreshes().length, 2)
    provider.heal()
    advance(5)
    assert.equal((await token()).status, 200)
  })
}

test('while the provider is in trouble, a token that is not quite fresh any more still serves', async () => {
  fixture = await startTokenFixture()
  await fixture.signIn()
  const { value } = await fixture.token()
  fixture.provider.break({ token: { status: 503 } })
  fixture.advance(LIFE - 30)
  assert.equal((await fixture.token()).value, value)
  assert.equal((await fixture.token()).value, value)
  assert.equal(fixture.refreshes().length, 1)
})

test('Retry-After of the provider is heeded', async () => {
  const { provider, token, refreshes, advance } = await atExpiry()
  provider.break({ token: { status: 429, headers: { 'retry-after': '50' }, body: {} } })
  await token()
  advance(49)
  await token()
  assert.equal(refreshes().length, 1)
  provider.heal()
  // Up to a tenth of it is added by chance.
  advance(7)
  assert.equal((await token()).status, 200)
})

test('the refresh hook learns of a refresh once, and decides about the claims', async () => {
  const seen: unknown[] = []
  const { agent, site, token } = await atExpiry({
    oidc: {
      hooks: {
        refresh({ claims, kept, idTokenClaims, userInfo, tokens }) {
          seen.push([claims === kept, idTokenClaims?.sub, userInfo, typeof tokens.accessToken])
          return { ...claims, refreshed: true }
        },
      },
    },
  })
  await Promise.all([token(), token(), token()])
  assert.deepEqual(seen, [[true, 'alice-0001', undefined, 'string']])
  const { refreshed, name } = (await agent.open(`${site.url}/claims`)).json<Claims>()
  assert.deepEqual([refreshed, name], [true, 'Alice Adams'])
})

test('a refresh hook that throws fails the request, and the tokens are safe', async () => {
  let isBroken = true
  const { token, refreshes } = await atExpiry({
    oidc: {
      hooks: {
        refresh() {
          if (isBroken) throw new Error('the database is away')
          return undefined
        },
      },
    },
  })
  assert.equal((await token()).status, 500)
  isBroken = false
  assert.equal((await token()).status, 200)
  assert.equal(refreshes().length, 1)
})
