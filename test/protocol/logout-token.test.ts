import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OidcErrorCode } from '../../lib/errors.js'
import {
  checkLogoutTokenClaims,
  isLogoutTokenType,
  type LogoutTokenExpectations,
} from '../../lib/protocol/logout-token.js'

const now = 1_750_000_000
const event = 'http://schemas.openid.net/event/backchannel-logout'

const expected: LogoutTokenExpectations = {
  issuer: 'https://op.example',
  clientId: 'client',
  now,
  clockTolerance: 30,
}

const valid = {
  iss: expected.issuer,
  aud: 'client',
  iat: now,
  exp: now + 120,
  jti: 'token-1',
  sub: 'alice',
  sid: 'session-1',
  events: { [event]: {} },
}

type Change = Readonly<Record<string, unknown>>

function accepts(name: string, change: Change): void {
  test(`a logout token with ${name} is taken`, () => {
    const claims = { ...valid, ...change }
    assert.deepEqual(checkLogoutTokenClaims(claims, expected), claims)
  })
}

function rejects(code: OidcErrorCode, changes: readonly Change[]): void {
  for (const change of changes) {
    test(`a logout token with ${inspect(change)} is refused with ${code}`, () => {
      assert.throws(() => checkLogoutTokenClaims({ ...valid, ...change }, expected), { code })
    })
  }
}

function inspect(change: Change): string {
  const text = (_name: string, value: unknown) =>
    typeof value === 'number' || value === undefined ? String(value) : value
  return (JSON.stringify(change, text) ?? '').slice(0, 90)
}

accepts('every claim right', {})
accepts('unknown claims', { ignored_claim: 'x', toe: now, typ: 'Logout' })
accepts('sub alone', { sid: undefined })
accepts('sid alone', { sub: undefined })
accepts('several audiences', { aud: ['other', 'client'] })
accepts('azp naming this client', { azp: 'client' })
accepts('another event beside', { events: { [event]: {}, 'https://example.com/other': {} } })
accepts('content in the event', { events: { [event]: { reason: 'x' } } })
accepts('iat and exp at the edge of the tolerance', { iat: now + 30, exp: now - 29 })
accepts('the highest age', { iat: now - 630 })

for (const name of ['sub', 'sid', 'exp', 'azp']) {
  for (const value of [null, '']) {
    test(`a logout token whose ${name} is ${JSON.stringify(value)} is one without ${name}`, () => {
      const { [name]: _, ...without } = valid as Change
      assert.deepEqual(checkLogoutTokenClaims({ ...valid, [name]: value }, expected), without)
    })
  }
}

rejects('ERR_OIDC_LOGOUT_TOKEN_ISSUER', [
  { iss: undefined },
  { iss: 'https://op.example/' },
  { iss: 'https://op.exampleINVALID' },
  { iss: ['https://op.example'] },
])
rejects('ERR_OIDC_LOGOUT_TOKEN_AUDIENCE', [
  { aud: undefined },
  { aud: 'clientINVALID' },
  { aud: [] },
  { aud: ['other'] },
  { aud: { client: true } },
  { azp: 'other' },
])
rejects('ERR_OIDC_LOGOUT_TOKEN_ISSUED_AT', [
  { iat: undefined },
  { iat: null },
  { iat: String(now) },
  { iat: now + 31 },
  { iat: now - 631 },
  { iat: now - 3600 },
  { iat: Number.NaN },
])
rejects('ERR_OIDC_LOGOUT_TOKEN_EXPIRED', [
  { exp: now - 30 },
  { exp: now - 3600 },
  { exp: String(now + 120) },
  { exp: Number.POSITIVE_INFINITY },
])
rejects('ERR_OIDC_LOGOUT_TOKEN_ID', [{ jti: undefined }, { jti: '' }, { jti: 7 }, { jti: null }])
rejects('ERR_OIDC_LOGOUT_TOKEN_SUBJECT', [
  { sub: undefined, sid: undefined },
  { sub: 7 },
  { sub: '', sid: null },
  { sub: 'x'.repeat(256) },
  { sid: 7 },
  { sub: undefined, sid: ['session-1'] },
])
rejects('ERR_OIDC_LOGOUT_TOKEN_EVENTS', [
  { events: undefined },
  { events: null },
  { events: {} },
  { events: event },
  { events: [event] },
  { events: { [event]: true } },
  { events: { [event]: null } },
  { events: { [event]: [] } },
  { events: { 'http://schemas.openid.net/event/foobar': {} } },
])
rejects('ERR_OIDC_LOGOUT_TOKEN_NONCE', [{ nonce: 'x' }, { nonce: null }, { nonce: '' }, { nonce: undefined }])
rejects('ERR_OIDC_LOGOUT_TOKEN_MALFORMED', [
  { at_hash: 'x' },
  { c_hash: 'x' },
  { s_hash: 'x' },
  { auth_time: 1 },
  { client_id: 'client' },
  { scope: 'openid' },
  { scp: ['openid'] },
  { cnf: { jkt: 'x' } },
  { token_use: 'access' },
  { token_introspection: { active: true } },
  ...['ID', 'Bearer', 'DPoP', 'Refresh', 'Offline', 'Serialized-ID', 'at+jwt'].map(typ => ({ typ })),
])

test('the header may name the type of a logout token, of an access token, of any JWT, or none, and no other', () => {
  for (const typ of [
    undefined,
    'logout+jwt',
    'application/logout+jwt',
    'LOGOUT+JWT',
    'JWT',
    'jwt',
    'at+jwt',
    'application/AT+jwt',
  ]) {
    assert.equal(isLogoutTokenType(typ), true, String(typ))
  }
  for (const typ of ['', 'at2+jwt', 'secevent+jwt', 'id+jwt', 'logout', 'xlogout+jwt', 'logout+jwt ', 'logout+jwtx']) {
    assert.equal(isLogoutTokenType(typ), false, typ)
  }
})

test('an error of a check contains no secret and at most 200 characters of the token', () => {
  const claims = { ...valid, iss: `https://evil.example/\u001b[31m${'x'.repeat(500)}` }
  assert.throws(
    () => checkLogoutTokenClaims(claims, expected),
    (error: { cause: { actual: string } }) => {
      assert.equal(error.cause.actual.length, 200)
      assert.match(error.cause.actual, /^[\x20-\x7e]+$/)
      return true
    },
  )
})
