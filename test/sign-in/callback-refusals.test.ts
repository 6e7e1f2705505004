import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { OidcErrorCode, OidcOptions } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import { assertRefused, type FixtureOptions, withFixture } from '../support/handler-fixture.js'
import { deny, drop, duplicate, extra, type Faults, replace } from '../support/hostile-provider.js'

interface Refusal {
  readonly name: string
  readonly faults: Faults
  readonly code: OidcErrorCode
  readonly oidc?: OidcOptions
  readonly provider?: FixtureOptions['provider']
}

const now = () => Math.floor(Date.now() / 1000)

const responses: Refusal[] = [
  { name: 'state twice', faults: { response: duplicate('state') }, code: 'ERR_OIDC_REQUEST_MALFORMED' },
  { name: 'code twice', faults: { response: duplicate('code', 'other') }, code: 'ERR_OIDC_REQUEST_MALFORMED' },
  { name: 'id_token twice', faults: { response: duplicate('id_token') }, code: 'ERR_OIDC_REQUEST_MALFORMED' },
  { name: 'no state', faults: { response: drop('state') }, code: 'ERR_OIDC_REQUEST_MALFORMED' },
  { name: 'an empty code', faults: { response: replace('code', '') }, code: 'ERR_OIDC_REQUEST_MALFORMED' },
  { name: 'no code', faults: { response: drop('code') }, code: 'ERR_OIDC_REQUEST_MALFORMED' },
  { name: 'no id_token', faults: { response: drop('id_token') }, code: 'ERR_OIDC_REQUEST_MALFORMED' },
  { name: 'no access_token', faults: { response: drop('access_token') }, code: 'ERR_OIDC_REQUEST_MALFORMED' },
  {
    name: 'another token type',
    faults: { response: replace('token_type', 'mac') },
    code: 'ERR_OIDC_REQUEST_MALFORMED',
  },
  {
    name: 'a state that was never issued',
    faults: { response: replace('state', 'x'.repeat(43)) },
    code: 'ERR_OIDC_TRANSACTION_MISSING',
  },
  {
    name: 'the iss of another provider',
    faults: { response: replace('iss', 'https://evil.example') },
    code: 'ERR_OIDC_RESPONSE_ISSUER',
  },
  {
    name: 'iss with a slash too many',
    faults: { response: replace('iss', iss => `${iss}/`) },
    code: 'ERR_OIDC_RESPONSE_ISSUER',
  },
  {
    name: 'no iss although it was promised, and no ID Token to say it',
    oidc: { responseType: 'code' },
    faults: { response: drop('iss') },
    code: 'ERR_OIDC_RESPONSE_ISSUER',
  },
  { name: 'access_denied', faults: { response: deny('access_denied') }, code: 'ERR_OIDC_ACCESS_DENIED' },
  { name: 'login_required', faults: { response: deny('login_required') }, code: 'ERR_OIDC_AUTHORIZATION_FAILED' },
  {
    name: 'an error without state',
    faults: { response: () => [['error', 'access_denied']] },
    code: 'ERR_OIDC_REQUEST_MALFORMED',
  },
]

const frontIdTokens: Refusal[] = [
  { name: 'no JWT', faults: { frontIdToken: { token: () => 'x' } }, code: 'ERR_OIDC_ID_TOKEN_MALFORMED' },
  { name: 'alg none', faults: { frontIdToken: { alg: 'none' } }, code: 'ERR_OIDC_ID_TOKEN_ALGORITHM' },
  { name: 'alg RS512', faults: { frontIdToken: { alg: 'RS512' } }, code: 'ERR_OIDC_ID_TOKEN_ALGORITHM' },
  {
    name: 'a key that is not published',
    faults: { frontIdToken: { key: 'foreign' } },
    code: 'ERR_OIDC_ID_TOKEN_SIGNATURE',
  },
  {
    name: 'an unknown kid',
    faults: { frontIdToken: { header: header => ({ ...header, kid: 'unknown' }) } },
    code: 'ERR_OIDC_ID_TOKEN_KEY',
  },
  {
    name: 'a changed signature',
    faults: { frontIdToken: { signature: bytes => bytes.map(byte => byte ^ 0x5a) as Buffer } },
    code: 'ERR_OIDC_ID_TOKEN_SIGNATURE',
  },
  {
    name: 'another iss',
    faults: { frontIdToken: claims => ({ ...claims, iss: `${claims.iss}1` }) },
    code: 'ERR_OIDC_ID_TOKEN_ISSUER',
  },
  {
    name: 'another aud',
    faults: { frontIdToken: claims => ({ ...claims, aud: 'other' }) },
    code: 'ERR_OIDC_ID_TOKEN_AUDIENCE',
  },
  {
    name: 'a second aud without azp',
    faults: { frontIdToken: claims => ({ ...claims, aud: [claims.aud, 'other'] }) },
    code: 'ERR_OIDC_ID_TOKEN_AUTHORIZED_PARTY',
  },
  {
    name: 'another azp',
    faults: { frontIdToken: claims => ({ ...claims, azp: 'other' }) },
    code: 'ERR_OIDC_ID_TOKEN_AUTHORIZED_PARTY',
  },
  { name: 'no sub', faults: { frontIdToken: ({ sub: _, ...claims }) => claims }, code: 'ERR_OIDC_ID_TOKEN_SUBJECT' },
  {
    name: 'exp past',
    faults: { frontIdToken: claims => ({ ...claims, exp: now() - 31 }) },
    code: 'ERR_OIDC_ID_TOKEN_EXPIRED',
  },
  { name: 'no iat', faults: { frontIdToken: ({ iat: _, ...claims }) => claims }, code: 'ERR_OIDC_ID_TOKEN_ISSUED_AT' },
  {
    name: 'iat an hour ahead',
    faults: { frontIdToken: claims => ({ ...claims, iat: now() + 3600 }) },
    code: 'ERR_OIDC_ID_TOKEN_ISSUED_AT',
  },
  {
    name: 'nbf ahead',
    faults: { frontIdToken: claims => ({ ...claims, nbf: now() + 3600 }) },
    code: 'ERR_OIDC_ID_TOKEN_NOT_BEFORE',
  },
  {
    name: 'another nonce',
    faults: { frontIdToken: claims => ({ ...claims, nonce: 'x' }) },
    code: 'ERR_OIDC_ID_TOKEN_NONCE',
  },
  {
    name: 'another c_hash',
    faults: { frontIdToken: claims => ({ ...claims, c_hash: 'x' }) },
    code: 'ERR_OIDC_ID_TOKEN_CODE_HASH',
  },
  {
    name: 'no c_hash',
    faults: { frontIdToken: ({ c_hash: _, ...claims }) => claims },
    code: 'ERR_OIDC_ID_TOKEN_CODE_HASH',
  },
  {
    name: 'another at_hash',
    faults: { frontIdToken: claims => ({ ...claims, at_hash: 'x' }) },
    code: 'ERR_OIDC_ID_TOKEN_ACCESS_TOKEN_HASH',
  },
  {
    name: 'no at_hash',
    faults: { frontIdToken: ({ at_hash: _, ...claims }) => claims },
    code: 'ERR_OIDC_ID_TOKEN_ACCESS_TOKEN_HASH',
  },
  {
    name: 'another s_hash',
    faults: { frontIdToken: claims => ({ ...claims, s_hash: 'x' }) },
    code: 'ERR_OIDC_ID_TOKEN_STATE_HASH',
  },
  {
    name: 'a code that belongs to another answer',
    faults: { response: replace('code', 'code-of-another-user') },
    code: 'ERR_OIDC_ID_TOKEN_CODE_HASH',
  },
  {
    name: 'an access token that belongs to another answer',
    faults: { response: replace('access_token', 'token-of-another-user') },
    code: 'ERR_OIDC_ID_TOKEN_ACCESS_TOKEN_HASH',
  },
  {
    name: 'no auth_time although max_age was asked for',
    oidc: { authorizationParams: { max_age: 60 } },
    faults: { frontIdToken: ({ auth_time: _, ...claims }) => claims },
    code: 'ERR_OIDC_ID_TOKEN_AUTH_TIME',
  },
  {
    name: 'an old auth_time although max_age=0 was asked for',
    oidc: { authorizationParams: { max_age: 0 } },
    faults: { frontIdToken: claims => ({ ...claims, auth_time: now() - 120 }) },
    code: 'ERR_OIDC_ID_TOKEN_AUTH_TIME',
  },
  {
    name: 'another acr than the essential one',
    oidc: { authorizationParams: { claims: { id_token: { acr: { essential: true, values: ['mfa'] } } } } },
    faults: { frontIdToken: claims => ({ ...claims, acr: 'password' }) },
    code: 'ERR_OIDC_ID_TOKEN_ACR',
  },
]

const backChannel: Refusal[] = [
  { name: 'a bad signature', faults: { backIdToken: { key: 'foreign' } }, code: 'ERR_OIDC_ID_TOKEN_SIGNATURE' },
  { name: 'alg none', faults: { backIdToken: { alg: 'none' } }, code: 'ERR_OIDC_ID_TOKEN_ALGORITHM' },
  {
    name: 'another nonce',
    faults: { backIdToken: claims => ({ ...claims, nonce: 'x' }) },
    code: 'ERR_OIDC_ID_TOKEN_NONCE',
  },
  {
    name: 'another at_hash',
    faults: { backIdToken: claims => ({ ...claims, at_hash: 'x' }) },
    code: 'ERR_OIDC_ID_TOKEN_ACCESS_TOKEN_HASH',
  },
  {
    name: 'another sub than the first ID Token',
    faults: { backIdToken: claims => ({ ...claims, sub: 'bob' }) },
    code: 'ERR_OIDC_ID_TOKEN_MISMATCH',
  },
  {
    name: 'another aud than the first ID Token',
    faults: { backIdToken: claims => ({ ...claims, aud: [claims.aud, 'x'], azp: claims.aud }) },
    code: 'ERR_OIDC_ID_TOKEN_MISMATCH',
  },
  {
    name: 'no ID Token',
    faults: { tokenResponse: ({ id_token: _, ...body }) => body },
    code: 'ERR_OIDC_TOKEN_RESPONSE',
  },
  {
    name: 'no access token',
    faults: { tokenResponse: ({ access_token: _, ...body }) => body },
    code: 'ERR_OIDC_TOKEN_RESPONSE',
  },
  {
    name: 'another token type',
    faults: { tokenResponse: body => ({ ...body, token_type: 'mac' }) },
    code: 'ERR_OIDC_TOKEN_RESPONSE',
  },
  {
    name: 'a page instead of JSON',
    faults: { token: { body: '<html>', contentType: 'text/html' } },
    code: 'ERR_OIDC_PROVIDER_RESPONSE',
  },
  {
    name: 'invalid_grant',
    faults: { token: { status: 400, body: { error: 'invalid_grant' } } },
    code: 'ERR_OIDC_CODE_REJECTED',
  },
  {
    name: 'invalid_client',
    faults: { token: { status: 401, body: { error: 'invalid_client' } } },
    code: 'ERR_OIDC_CLIENT_REJECTED',
  },
  { name: 'a server error', faults: { token: { status: 503, body: {} } }, code: 'ERR_OIDC_PROVIDER_UNAVAILABLE' },
  { name: 'a redirect', faults: { token: { redirect: 'http://127.0.0.1:9/' } }, code: 'ERR_OIDC_PROVIDER_RESPONSE' },
  {
    name: 'a cut connection after the code was read',
    faults: { token: { cut: 'after' } },
    code: 'ERR_OIDC_PROVIDER_UNAVAILABLE',
  },
  {
    name: 'userinfo of another user',
    faults: { userInfoClaims: claims => ({ ...claims, sub: 'bob' }) },
    code: 'ERR_OIDC_USER_INFO_SUBJECT',
  },
  {
    name: 'userinfo without a sub',
    faults: { userInfoClaims: ({ sub: _, ...claims }) => claims },
    code: 'ERR_OIDC_USER_INFO_RESPONSE',
  },
  {
    name: 'userinfo signed by a foreign key',
    faults: { signedUserInfo: { key: 'foreign' } },
    code: 'ERR_OIDC_USER_INFO_RESPONSE',
  },
  { name: 'userinfo that fails', faults: { userinfo: { status: 500 } }, code: 'ERR_OIDC_PROVIDER_UNAVAILABLE' },
]

/** @param tokenRequests how often the code was sent: once where the fault is in the back channel */
function refuses(refusals: readonly Refusal[], subject: string, tokenRequests: number): void {
  describe(subject, () => {
    for (const { name, faults, code, oidc, provider } of refusals) {
      const options = { ...(oidc && { oidc }), ...(provider && { provider }) }
      test(
        `${name}: ${code}, and nothing comes of it`,
        withFixture(options, async fixture => {
          fixture.provider.break(faults)
          const page = await fixture.agent.visit(`${fixture.site.url}/claims`)
          await assertRefused(fixture, page, code, tokenRequests)
        }),
      )
    }
  })
}

refuses(responses, 'an authorization response with', 0)
refuses(frontIdTokens, 'a front-channel ID Token with', 0)
refuses(backChannel, 'a token endpoint or userinfo response with', 1)

describe('the binding to the browser', () => {
  test(
    "a valid response of the attacker, posted by the victim's browser, is refused before any network call",
    withFixture({}, async fixture => {
      const { agent: victim, provider, site } = fixture
      const attacker = createAgent()
      const form = await attacker.open(`${site.url}/claims`)
      const before = provider.requests.length
      const fields = form.forms[0]?.fields ?? []
      await victim.open(`${site.url}/`)
      const page = await victim.post(`${site.url}/callback`, fields, { from: 'http://evil.example/' })
      await assertRefused(fixture, page, 'ERR_OIDC_TRANSACTION_MISSING')
      assert.equal(provider.requests.length, before)
    }),
  )

  test(
    'a user who is signed in stays so when another site posts garbage to the callback',
    withFixture({}, async ({ agent, site }) => {
      await agent.visit(`${site.url}/claims`)
      const page = await agent.post(`${site.url}/callback`, 'state=x&code=y', { from: 'http://evil.example/' })
      assert.equal(site.lastCode(), 'ERR_OIDC_TRANSACTION_MISSING')
      assert.deepEqual(page.hops.at(-1)?.setCookies, [])
      assert.equal((await agent.open(`${site.url}/claims`)).status, 200)
    }),
  )

  test(
    'parts that the response type does not promise are ignored',
    withFixture({ oidc: { responseType: 'code id_token' } }, async ({ agent, site, provider }) => {
      provider.break({
        response: fields => [
          ...extra('access_token', 'planted')(fields, {}),
          ['refresh_token', 'planted'],
          ['scope', 'admin'],
          ['expires_in', '1'],
        ],
      })
      await agent.visit(`${site.url}/claims`)
      const token = (await agent.open(`${site.url}/token`)).json<{ value: string; scope: string }>()
      assert.notEqual(token.value, 'planted')
      assert.ok(!token.scope.includes('admin'), token.scope)
    }),
  )
})
