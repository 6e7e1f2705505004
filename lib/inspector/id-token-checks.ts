import type { RedactedFields } from '../diagnostics/events.js'
import type { OidcErrorCode } from '../errors.js'

/** One thing that is looked at in an ID Token: the code it fails with, what has to hold, and where that is written. */
type IdTokenCheck = readonly [code: OidcErrorCode, name: string, section: string]

/** In the order in which they are made. */
const common: readonly IdTokenCheck[] = [
  [
    'ERR_OIDC_ID_TOKEN_MALFORMED',
    'It is a signed JWT, meant to be an ID Token',
    'RFC 7519 section 7.2, RFC 8725 section 3.11',
  ],
  [
    'ERR_OIDC_ID_TOKEN_ENCRYPTION',
    'It is encrypted as this site demands',
    'RFC 7519 section 5.2, RFC 8725 section 3.2',
  ],
  ['ERR_OIDC_ID_TOKEN_DECRYPTION', 'A key of this site opens it, if it is encrypted', 'RFC 7516 section 5.2'],
  ['ERR_OIDC_ID_TOKEN_ALGORITHM', 'alg is the one this site expects', 'OpenID Connect Core section 3.1.3.7 item 7'],
  ['ERR_OIDC_ID_TOKEN_KEY', 'The provider publishes the key', 'OpenID Connect Core section 10.1'],
  ['ERR_OIDC_ID_TOKEN_SIGNATURE', 'The signature is valid', 'OpenID Connect Core section 3.1.3.7 item 6'],
  ['ERR_OIDC_ID_TOKEN_ISSUER', 'iss is the provider', 'OpenID Connect Core section 3.1.3.7 item 2'],
  ['ERR_OIDC_ID_TOKEN_AUDIENCE', 'aud names this site', 'OpenID Connect Core section 3.1.3.7 item 3'],
  [
    'ERR_OIDC_ID_TOKEN_AUTHORIZED_PARTY',
    'azp, if needed, is this site',
    'OpenID Connect Core section 3.1.3.7 items 4, 5',
  ],
  ['ERR_OIDC_ID_TOKEN_SUBJECT', 'sub identifies a user', 'OpenID Connect Core section 2'],
  ['ERR_OIDC_ID_TOKEN_EXPIRED', 'exp is in the future', 'OpenID Connect Core section 3.1.3.7 item 9'],
  ['ERR_OIDC_ID_TOKEN_ISSUED_AT', 'iat is recent', 'OpenID Connect Core section 3.1.3.7 item 10'],
  ['ERR_OIDC_ID_TOKEN_NOT_BEFORE', 'nbf, if present, is in the past', 'RFC 7519 section 4.1.5'],
  ['ERR_OIDC_ID_TOKEN_NONCE', 'nonce is the one of this attempt', 'OpenID Connect Core section 3.1.3.7 item 11'],
  ['ERR_OIDC_ID_TOKEN_ACR', 'acr, if requested, is strong enough', 'OpenID Connect Core section 3.1.3.7 item 12'],
  ['ERR_OIDC_ID_TOKEN_AUTH_TIME', 'auth_time, if requested, is recent', 'OpenID Connect Core section 3.1.3.7 item 13'],
]

const codeHash: IdTokenCheck = [
  'ERR_OIDC_ID_TOKEN_CODE_HASH',
  'c_hash matches the code',
  'OpenID Connect Core section 3.3.2.10',
]
const accessTokenHash = (section: string): IdTokenCheck => [
  'ERR_OIDC_ID_TOKEN_ACCESS_TOKEN_HASH',
  'at_hash matches the access token',
  section,
]
const stateHash: IdTokenCheck = [
  'ERR_OIDC_ID_TOKEN_STATE_HASH',
  's_hash, if present, matches the state',
  'FAPI 1.0 Part 2',
]
const sameIdentity: IdTokenCheck = [
  'ERR_OIDC_ID_TOKEN_MISMATCH',
  'iss, sub and aud are those of the first',
  'OpenID Connect Core section 3.3.3.6',
]

/** How one check went; `undefined`: it was not reached. */
export interface CheckResult {
  readonly name: string
  readonly section: string
  readonly passed: boolean | undefined
}

/**
 * What was looked at in an ID Token, and how it went, read from the code it was refused with.
 *
 * @param response - the fields of the provider's response, which the first ID Token must match
 */
export function listIdTokenChecks(
  which: 'first' | 'second',
  response: RedactedFields,
  { passed, code }: { readonly passed: boolean; readonly code?: OidcErrorCode },
): CheckResult[] {
  const checks =
    which === 'first'
      ? [
          ...common,
          ...('code' in response ? [codeHash] : []),
          ...('access_token' in response ? [accessTokenHash('OpenID Connect Core section 3.3.2.9')] : []),
          stateHash,
        ]
      : [
          ...common,
          accessTokenHash('OpenID Connect Core section 3.1.3.8'),
          ...('id_token' in response ? [sameIdentity] : []),
        ]
  const failed = checks.findIndex(check => check[0] === code)
  return checks.map(([, name, section], index) => ({ name, section, passed: resultOf(index) }))

  function resultOf(index: number): boolean | undefined {
    if (passed) return true
    if (index === failed) return false
    return index < failed ? true : undefined
  }
}
