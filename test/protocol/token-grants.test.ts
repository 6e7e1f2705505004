import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildClientCredentialsGrant, buildExchangeGrant, buildRevocation } from '../../lib/protocol/token-request.js'
import { parseTokenError } from '../../lib/protocol/token-response.js'

test('client credentials say what the token is for, and nothing that was not asked', () => {
  assert.deepEqual(buildClientCredentialsGrant({}), { grant_type: 'client_credentials' })
  assert.deepEqual(buildClientCredentialsGrant({ scope: 'a b', resource: 'https://api.example.com' }), {
    grant_type: 'client_credentials',
    scope: 'a b',
    resource: 'https://api.example.com',
  })
})

test('an exchange names both kinds of token', () => {
  const type = 'urn:ietf:params:oauth:token-type:access_token'
  const base = {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: 'st',
    subject_token_type: type,
    requested_token_type: type,
  }
  assert.deepEqual(buildExchangeGrant({ subjectToken: 'st' }), base)
  const more = { audience: 'billing', resource: 'https://api.example.com', scope: 'a' }
  assert.deepEqual(buildExchangeGrant({ subjectToken: 'st', ...more }), { ...base, ...more })
})

test('a revocation says what kind of token it is', () => {
  assert.deepEqual(buildRevocation('rt', 'refresh_token'), { token: 'rt', token_type_hint: 'refresh_token' })
})

for (const [status, error, code] of [
  [400, 'invalid_scope', 'ERR_OIDC_TOKEN_DENIED'],
  [400, 'invalid_target', 'ERR_OIDC_TOKEN_DENIED'],
  [400, 'access_denied', 'ERR_OIDC_TOKEN_DENIED'],
  [400, 'unsupported_grant_type', 'ERR_OIDC_UNSUPPORTED'],
  [503, 'invalid_scope', 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
] as const) {
  test(`status ${status} with the error ${error} amounts to ${code}`, () => {
    assert.equal(parseTokenError(status, { error }).code, code)
  })
}

test('the meaning of invalid_grant depends on the grant and on the status', () => {
  const context = { invalidGrant: 'ERR_OIDC_REFRESH_REJECTED' } as const
  assert.equal(parseTokenError(400, { error: 'invalid_grant' }, context).code, 'ERR_OIDC_REFRESH_REJECTED')
  assert.equal(parseTokenError(400, { error: 'invalid_grant' }).code, 'ERR_OIDC_CODE_REJECTED')
  assert.equal(parseTokenError(500, { error: 'invalid_grant' }, context).code, 'ERR_OIDC_PROVIDER_UNAVAILABLE')
})

for (const [header, seconds] of [
  ['0', 0],
  ['120', 120],
  ['-1', undefined],
  ['1.5', undefined],
  ['1e3', undefined],
  ['999999', undefined],
  ['Wed, 21 Oct 2026 07:28:00 GMT', undefined],
  [null, undefined],
] as const) {
  test(`a Retry-After of ${header} is ${seconds ?? 'not heeded'}`, () => {
    const cause = parseTokenError(429, {}, { retryAfter: header }).cause as { retryAfter?: number }
    assert.equal(cause.retryAfter, seconds)
  })
}
