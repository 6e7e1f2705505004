import { OidcError } from '../errors.js'
import { audiencesOf, isSubject } from './identifiers.js'
import { isJsonObject, withoutNulls } from './json.js'
import { sanitize } from './printable.js'
import { isNumericDate } from './time.js'
import type { UserInfo } from './wire.js'

/** What the claims of a signed userinfo response must match. */
export interface SignedUserInfoExpectations {
  readonly issuer: string
  readonly clientId: string
  /** Seconds since the epoch. */
  readonly now: number
  /** Seconds two clocks may be apart. */
  readonly clockTolerance: number
}

/**
 * Checks the format of a userinfo response. OpenID Connect Core 1.0 section 5.3.2. Its subject is checked by
 * {@link checkUserInfoSubject}.
 *
 * @throws {OidcError} ERR_OIDC_USER_INFO_RESPONSE
 */
export function parseUserInfo(json: unknown): UserInfo {
  if (!isJsonObject(json)) throw wrongResponse('it is not a JSON object, or nested too deep')
  if (!isSubject(json.sub)) throw wrongResponse('sub is not a string of 1 to 255 ASCII characters')
  return withoutNulls(json) as UserInfo
}

/**
 * Checks that userinfo is about the user who signed in: the access token may have been substituted.
 * OpenID Connect Core 1.0 section 5.3.2.
 *
 * @param sub - of the ID Token
 * @param issuer - of the ID Token, where a provider has many tenants: the same `sub` is another user in another one
 * @throws {OidcError} ERR_OIDC_USER_INFO_SUBJECT
 */
export function checkUserInfoSubject(userInfo: UserInfo, sub: string, issuer?: string): void {
  if (userInfo.sub !== sub) throw new OidcError('ERR_OIDC_USER_INFO_SUBJECT', 'userinfo and ID Token differ in sub')
  if (issuer !== undefined && (userInfo.iss ?? issuer) !== issuer)
    throw new OidcError('ERR_OIDC_USER_INFO_SUBJECT', 'userinfo and ID Token are of different tenants')
}

/**
 * Checks the claims of a signed userinfo response whose signature has been verified. OpenID Connect Core 1.0 section 5.3.2: it
 * should name its issuer and audience; where it does, they have to be right.
 *
 * @throws {OidcError} ERR_OIDC_USER_INFO_RESPONSE
 */
export function checkSignedUserInfo(
  claims: Record<string, unknown>,
  { issuer, clientId, now, clockTolerance }: SignedUserInfoExpectations,
): UserInfo {
  const { iss, aud, exp } = withoutNulls(claims)
  if (iss !== undefined && iss !== issuer) throw wrongResponse('iss is not the configured issuer', iss)
  if (aud !== undefined && !audiencesOf(aud).includes(clientId)) {
    throw wrongResponse('aud does not contain this client', aud)
  }
  if (exp !== undefined && !(isNumericDate(exp) && now < exp + clockTolerance)) {
    throw wrongResponse('exp has passed', exp)
  }
  return parseUserInfo(claims)
}

function wrongResponse(message: string, actual?: unknown): OidcError {
  const cause = { actual: sanitize(actual) }
  return new OidcError('ERR_OIDC_USER_INFO_RESPONSE', `userinfo response: ${message}`, { cause })
}
