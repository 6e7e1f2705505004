import { OidcError } from '../errors.js'
import { isSameSecret } from './constant-time.js'
import {
  checkSameIdentity,
  checkStandingClaims,
  type StandingExpectations,
  withoutEmptyClaims,
  withoutOddClaims,
} from './id-token.js'
import { readClaimsUnverified } from './jwt.js'
import { sanitize } from './printable.js'
import type { IdTokenClaims } from './wire.js'

/** What is known of the sign-in a refreshed ID Token has to belong to. */
export type OriginalClaims = Pick<IdTokenClaims, 'iss' | 'sub'> & Partial<IdTokenClaims>

/**
 * Checks the claims of an ID Token that came with refreshed tokens, and whose signature has been verified. It may say less than the
 * first, but nothing else. `auth_time` and `acr` are not checked: the user has not signed in again, so they prove nothing new.
 * OpenID Connect Core 1.0 section 12.2.
 *
 * @throws {OidcError} those of {@link checkStandingClaims}; ERR_OIDC_ID_TOKEN_MISMATCH for another user, client or provider;
 *   ERR_OIDC_ID_TOKEN_NONCE for a nonce that is not that of the sign-in
 */
export function checkRefreshedIdTokenClaims(
  given: Readonly<Record<string, unknown>>,
  original: OriginalClaims,
  expected: StandingExpectations,
): IdTokenClaims {
  const claims = withoutEmptyClaims(given)
  checkStandingClaims(claims, expected)
  const refreshed = withoutOddClaims(claims) as IdTokenClaims
  checkSameIdentity(
    { ...refreshed, aud: original.aud ?? refreshed.aud, iss: original.iss, sub: original.sub },
    refreshed,
  )
  checkSameNonce(claims, original)
  return refreshed
}

/** Not having one is the rule. */
function checkSameNonce({ nonce }: Readonly<Record<string, unknown>>, original: OriginalClaims): void {
  if (nonce === undefined) return
  if (typeof nonce === 'string' && original.nonce !== undefined && isSameSecret(nonce, original.nonce)) return
  throw new OidcError('ERR_OIDC_ID_TOKEN_NONCE', 'ID Token: nonce is not that of the sign-in', {
    cause: { actual: sanitize(typeof nonce) },
  })
}

/** The claims of an ID Token that was verified when it came, and has been kept sealed since. */
export function readKeptIdToken(idToken: string | undefined): IdTokenClaims | undefined {
  try {
    return idToken === undefined
      ? undefined
      : (withoutOddClaims(withoutEmptyClaims(readClaimsUnverified(idToken))) as IdTokenClaims)
  } catch {
    return undefined
  }
}

/** Whether an ID Token was refused because it belongs to another user, client or issuer, and not because it is invalid. */
export function isForeignIdToken(error: unknown): boolean {
  return error instanceof OidcError && FOREIGN.includes(error.code)
}

const FOREIGN: readonly string[] = [
  'ERR_OIDC_ID_TOKEN_MISMATCH',
  'ERR_OIDC_ID_TOKEN_ISSUER',
  'ERR_OIDC_ID_TOKEN_AUDIENCE',
  'ERR_OIDC_ID_TOKEN_AUTHORIZED_PARTY',
  'ERR_OIDC_ID_TOKEN_SUBJECT',
  'ERR_OIDC_ID_TOKEN_NONCE',
  'ERR_OIDC_TENANT_REFUSED',
]
