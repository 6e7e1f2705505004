import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import type { Claims, EndpointFault, Faults } from '../support/hostile-provider.js'
import { LIFE, startTokenFixture, type TokenFixture } from './token-fixture.js'

let fixture: TokenFixture
let lines: string[]

afterEach(() => fixture.close())

async function signedIn(): Promise<TokenFixture> {
  lines = []
  fixture = await startTokenFixture({ oidc: { log: line => lines.push(line) } })
  await fixture.signIn()
  return fixture
}

async function isSignedIn(): Promise<boolean> {
  const page = await fixture.agent.fetch(`${fixture.site.url}/user`)
  return page.json<{ isAuthenticated: boolean }>().isAuthenticated
}

const refuse = (status: number, error: string): EndpointFault => ({ status, body: { error } })

const definite: readonly (readonly [string, EndpointFault])[] = [
  ['invalid_request', refuse(400, 'invalid_request')],
  ['invalid_scope', refuse(400, 'invalid_scope')],
  ['invalid_target', refuse(400, 'invalid_target')],
  ['unauthorized_client', refuse(400, 'unauthorized_client')],
  ['unsupported_grant_type', refuse(400, 'unsupported_grant_type')],
  ['access_denied with 403', refuse(403, 'access_denied')],
  ['interaction_required', refuse(400, 'interaction_required')],
]

const passing: readonly (readonly [string, EndpointFault, string])[] = [
  ['invalid_client', refuse(401, 'invalid_client'), 'ERR_OIDC_CLIENT_REJECTED'],
  ['another 4xx', { status: 404, body: 'not here', contentType: 'text/plain' }, 'ERR_OIDC_TOKEN_RESPONSE'],
  ['an error of no specification', refuse(400, 'no_idea'), 'ERR_OIDC_TOKEN_RESPONSE'],
  ['400 of a firewall', { status: 400, body: '<html>' }, 'ERR_OIDC_TOKEN_RESPONSE'],
  ['429', refuse(429, 'invalid_grant'), 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
  ['500 with invalid_request', refuse(500, 'invalid_request'), 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
  ['503', { status: 503 }, 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
  ['a connection that is cut', { cut: 'before' }, 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
]

const other = '?resource=https://orders.example.com'

/** 30 requests: ten at once, three times. */
async function ask30(query = '') {
  const responses = []
  for (let round = 0; round < 3; round += 1) {
    responses.push(...(await Promise.all(Array.from({ length: 10 }, () => fixture.token(query)))))
  }
  return responses
}

test('invalid_grant for the main token ends the session with one call, and is not worth a line in the log', async () => {
  const { provider, refreshes, advance } = await signedIn()
  advance(LIFE)
  provider.break({ token: refuse(400, 'invalid_grant') })
  const responses = await ask30()
  assert.equal(responses[0]?.code, 'ERR_OIDC_REFRESH_REJECTED')
  assert.equal(await isSignedIn(), false)
  assert.equal(refreshes().length, 1)
  assert.deepEqual(
    lines.filter(line => line.includes('refreshing')),
    [],
  )
})

for (const [what, fault] of definite) {
  test(`${what} for the main token ends the session when its access token has expired, and is logged once`, async () => {
    const { provider, refreshes, advance } = await signedIn()
    advance(LIFE)
    provider.break({ token: fault })
    const responses = await ask30()
    assert.deepEqual([responses[0]?.status, responses[0]?.code], [401, 'ERR_OIDC_REFRESH_REJECTED'])
    assert.equal(await isSignedIn(), false)
    assert.equal(refreshes().length, 1)
    const logged = lines.filter(line => line.includes('the session ends'))
    assert.equal(logged.length, 1)
    assert.ok(logged[0]?.includes(what.split(' ')[0] ?? ''), logged[0])
  })

  test(`${what} for a main token that can still be used: it serves on, and the next try waits`, async () => {
    const { provider, refreshes, advance } = await signedIn()
    const { value } = await fixture.token()
    advance(LIFE - 30)
    provider.break({ token: fault })
    for (const response of await ask30()) assert.deepEqual([response.status, response.value], [200, value])
    assert.equal(await isSignedIn(), true)
    assert.equal(refreshes().length, 1)
    assert.equal(lines.filter(line => line.includes('the session stays')).length, 1)
  })
}

for (const [what, fault] of [['invalid_grant', refuse(400, 'invalid_grant')] as const, ...definite]) {
  test(`${what} for another token is 403 with one call for 30 requests, and the session and its main token stay`, async () => {
    const { provider, refreshes, advance } = await signedIn()
    const main = await fixture.token()
    provider.break({ token: fault })
    const responses = await ask30(other)
    assert.deepEqual(new Set(responses.map(({ status }) => status)), new Set([403]))
    assert.deepEqual(new Set(responses.map(({ code }) => code)), new Set(['ERR_OIDC_TOKEN_DENIED']))
    assert.equal(refreshes().length, 1)
    assert.equal(await isSignedIn(), true)
    assert.deepEqual(await fixture.token(), main)
    assert.equal(lines.filter(line => line.includes('the session stays')).length, 1)
    provider.heal()
    assert.equal((await fixture.token('?resource=https://bills.example.com')).status, 200)
    assert.equal((await fixture.token(other)).code, 'ERR_OIDC_TOKEN_DENIED', 'the pause is that of the one token')
    advance(61)
    assert.equal((await fixture.token(other)).status, 200)
  })
}

for (const [what, fault, code] of passing) {
  for (const query of ['', other]) {
    test(`${what} for ${query === '' ? 'the main token' : 'another token'} keeps the session: one call for 30 requests, and a line`, async () => {
      const { provider, refreshes, advance } = await signedIn()
      advance(LIFE)
      provider.break({ token: fault })
      const responses = await ask30(query)
      assert.deepEqual(new Set(responses.map(response => response.code)), new Set([code]))
      assert.equal(refreshes().length, 1)
      assert.equal(await isSignedIn(), true)
      assert.equal(lines.filter(line => line.includes('the session stays')).length, 1)
      provider.heal()
      advance(61)
      assert.equal((await fixture.token(query)).status, 200)
    })
  }
}

test('a dead refresh token is found by a site that only asks for another token, when the main one has expired', async () => {
  const { provider, refreshes, advance } = await signedIn()
  advance(LIFE)
  provider.revokeGrants()
  assert.equal((await fixture.token(other)).code, 'ERR_OIDC_REFRESH_REJECTED')
  assert.equal(await isSignedIn(), false)
  assert.equal(refreshes().length, 2)
})

test('a client token that is denied is asked for once by 30 requests', async () => {
  const { provider, site } = await signedIn()
  const before = provider.count('token')
  provider.break({ token: refuse(400, 'invalid_scope') })
  for (let at = 0; at < 30; at += 1) {
    await assert.rejects(site.oidc.clientCredentials({ scope: 'jobs' }), { code: 'ERR_OIDC_TOKEN_DENIED' })
  }
  assert.equal(provider.count('token') - before, 1)
})

const unusable: readonly (readonly [string, Faults])[] = [
  ['an ID Token with the old key id and a new signature', { refreshedIdToken: { key: 'foreign' } }],
  [
    'an ID Token from a clock 40 s ahead',
    { refreshedIdToken: claims => ({ ...claims, iat: Number(claims.iat) + 40 }) },
  ],
  ['an expired ID Token', { refreshedIdToken: claims => ({ ...claims, exp: 1 }) }],
  ['an unsigned ID Token', { refreshedIdToken: { alg: 'none' } }],
  ['no access token', { tokenResponse: ({ access_token: _, ...body }: Claims) => body }],
  ['another token type', { tokenResponse: body => ({ ...body, token_type: 'mac' }) }],
]

for (const [what, faults] of unusable) {
  test(`a refresh that brings ${what}: the new refresh token is kept, and the spent one is not sent again`, async () => {
    const { provider, agent, site, refreshes, advance } = await signedIn()
    const claims = (await agent.fetch(`${site.url}/claims`)).text
    advance(LIFE)
    provider.break(faults)
    for (let round = 1; round <= 3; round += 1) {
      assert.equal((await fixture.token()).code, 'ERR_OIDC_TOKEN_RESPONSE')
      assert.equal((await fixture.token()).code, 'ERR_OIDC_TOKEN_RESPONSE')
      assert.equal(refreshes().length, round)
      advance(61)
    }
    provider.heal()
    assert.equal((await fixture.token()).status, 200)
    assert.equal((await agent.fetch(`${site.url}/claims`)).text, claims)
    assert.deepEqual(provider.reusedRefreshTokens, [])
    const sent = refreshes().map(({ form }) => form.refresh_token)
    assert.equal(new Set(sent).size, sent.length)
  })
}

test('a Retry-After of a day binds for a minute, and a tenth of it by chance', async () => {
  const { provider, refreshes, advance } = await signedIn()
  advance(LIFE)
  provider.break({ token: { status: 503, headers: { 'retry-after': '86400' } } })
  await ask30()
  assert.equal(refreshes().length, 1)
  advance(59)
  await fixture.token()
  assert.equal(refreshes().length, 1)
  provider.heal()
  advance(7)
  assert.equal((await fixture.token()).status, 200)
})

test('a pause that was written by a clock an hour ahead does not bind', async () => {
  const { provider, advance } = await signedIn()
  advance(LIFE + 3600)
  provider.break({ token: { status: 503 } })
  await fixture.token()
  provider.heal()
  advance(-3600)
  assert.equal((await fixture.token()).status, 200)
})
