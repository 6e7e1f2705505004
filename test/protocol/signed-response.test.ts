import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { OidcErrorCode } from '../../lib/index.js'
import { checkSignedResponse, responseFieldsOf } from '../../lib/protocol/signed-response.js'

const NOW = 1_800_000_000
const expected = { issuer: 'https://op.example', clientId: 'client', now: NOW, clockTolerance: 30 }
const claims = { iss: 'https://op.example', aud: 'client', exp: NOW + 60, code: 'c', state: 's' }

describe('the parameters inside a signed response', () => {
  test('are those of a response that is not signed, the issuer among them', () => {
    assert.deepEqual(responseFieldsOf({ ...claims, iat: NOW, nbf: NOW, jti: 'j', expires_in: 60 }), [
      ['iss', 'https://op.example'],
      ['code', 'c'],
      ['state', 's'],
      ['expires_in', '60'],
    ])
  })

  test('are texts and numbers only', () => {
    assert.deepEqual(responseFieldsOf({ code: ['a', 'b'], state: { a: 1 }, error: null, session_state: true }), [])
  })
})

describe('the claims of a signed response', () => {
  const accepted: readonly (readonly [name: string, more: object])[] = [
    ['without a time of issue', {}],
    ['with an audience in a list', { aud: ['client'] }],
    ['that ended within the tolerance', { exp: NOW - 29 }],
    ['of a clock that is ahead within the tolerance', { iat: NOW + 30, nbf: NOW + 30 }],
    ['with members that are null', { iat: null, nbf: null }],
  ]
  for (const [name, more] of accepted)
    test(`${name} are accepted`, () => {
      assert.doesNotThrow(() => checkSignedResponse({ ...claims, ...more }, expected))
    })

  const refused: readonly (readonly [code: OidcErrorCode, name: string, more: object])[] = [
    ['ERR_OIDC_RESPONSE_ISSUER', 'of another issuer', { iss: 'https://other.example' }],
    ['ERR_OIDC_RESPONSE_ISSUER', 'without an issuer', { iss: undefined }],
    ['ERR_OIDC_RESPONSE_ISSUER', 'with an issuer that is null', { iss: null }],
    ['ERR_OIDC_RESPONSE_AUDIENCE', 'for another client', { aud: 'other' }],
    ['ERR_OIDC_RESPONSE_AUDIENCE', 'for this client and another', { aud: ['client', 'other'] }],
    ['ERR_OIDC_RESPONSE_AUDIENCE', 'for an empty list', { aud: [] }],
    ['ERR_OIDC_RESPONSE_AUDIENCE', 'without an audience', { aud: undefined }],
    ['ERR_OIDC_RESPONSE_EXPIRED', 'without an end', { exp: undefined }],
    ['ERR_OIDC_RESPONSE_EXPIRED', 'with an end in words', { exp: String(NOW + 60) }],
    ['ERR_OIDC_RESPONSE_EXPIRED', 'that have expired', { exp: NOW - 30 }],
    ['ERR_OIDC_RESPONSE_MALFORMED', 'that were issued in the future', { iat: NOW + 31 }],
    ['ERR_OIDC_RESPONSE_MALFORMED', 'that are not valid yet', { nbf: NOW + 31 }],
    ['ERR_OIDC_RESPONSE_MALFORMED', 'with a time of issue in words', { iat: 'now' }],
    ['ERR_OIDC_RESPONSE_MALFORMED', 'with a begin in words', { nbf: 'now' }],
  ]
  for (const [code, name, more] of refused)
    test(`${name} are refused`, () => {
      const given = { ...claims, ...more }
      assert.throws(
        () => checkSignedResponse(given, expected),
        (error: Error & { code: string }) => {
          assert.equal(error.code, code)
          assert.match(error.message, /^signed authorization response: \w+ /)
          assert.ok('actual' in (error.cause as object))
          return true
        },
      )
    })
})
