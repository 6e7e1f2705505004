import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OidcError, type OidcErrorCode } from '../../lib/errors.js'
import { renameTokenError } from '../../lib/protocol/token-codes.js'

const names: readonly (readonly [given: string, logoutToken: string, response: string])[] = [
  ['MALFORMED', 'MALFORMED', 'MALFORMED'],
  ['ENCRYPTION', 'ALGORITHM', 'ENCRYPTION'],
  ['DECRYPTION', 'KEY', 'DECRYPTION'],
  ['ALGORITHM', 'ALGORITHM', 'ALGORITHM'],
  ['KEY', 'KEY', 'KEY'],
  ['SIGNATURE', 'SIGNATURE', 'SIGNATURE'],
]
for (const [given, logoutToken, response] of names)
  for (const [kind, expected, label] of [
    ['LOGOUT_TOKEN', `ERR_OIDC_LOGOUT_TOKEN_${logoutToken}`, 'logout token'],
    ['RESPONSE', `ERR_OIDC_RESPONSE_${response}`, 'signed authorization response'],
  ] as const)
    test(`what is wrong with any JWT, ${given}, is ${expected} of a ${label}`, () => {
      const cause = { actual: 'x' }
      const error = new OidcError(`ERR_OIDC_ID_TOKEN_${given}` as OidcErrorCode, 'it is so', { cause })
      const renamed = renameTokenError(kind, error) as OidcError
      assert.deepEqual([renamed.code, renamed.message, renamed.cause], [expected, `${label}: it is so`, cause])
    })

for (const [given, expected] of [
  ['MALFORMED', 'MALFORMED'],
  ['ALGORITHM', 'KEY'],
  ['KEY', 'KEY'],
  ['SIGNATURE', 'KEY'],
] as const)
  test(`what is wrong with any JWT, ${given}, is ERR_OIDC_SIGNAL_${expected} of a security event`, () => {
    const renamed = renameTokenError('SIGNAL', new OidcError(`ERR_OIDC_ID_TOKEN_${given}`, 'it is so')) as OidcError
    assert.deepEqual([renamed.code, renamed.message], [`ERR_OIDC_SIGNAL_${expected}`, 'security event: it is so'])
  })

test('every other error stays as it is', () => {
  for (const error of [new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'away'), new RangeError('x'), 'x', undefined])
    assert.equal(renameTokenError('RESPONSE', error), error)
})
