import { OidcError, type OidcErrorCode } from '../errors.js'
import { audiencesOf, isSubject } from './identifiers.js'
import { isRecord } from './json.js'
import { sanitize } from './printable.js'
import { isNumericDate } from './time.js'

/** The claims of a logout token after every check has passed. OpenID Connect Back-Channel Logout 1.0 section 2.4. */
export interface LogoutTokenClaims {
  readonly iss: string
  readonly aud: string | readonly string[]
  /** Seconds since the epoch. */
  readonly iat: number
  /** Seconds since the epoch. Left out by providers that follow an earlier draft; `iat` then bounds the age alone. */
  readonly exp?: number
  readonly jti: string
  /** The user. Without `sid`: every session of this user. */
  readonly sub?: string
  /** The one session at the provider that ended. */
  readonly sid?: string
  readonly [claim: string]: unknown
}

/** What a logout token has to say. */
export interface LogoutTokenExpectations {
  readonly issuer: string
  readonly clientId: string
  /** Seconds since the epoch. */
  readonly now: number
  /** Seconds two clocks may be apart. */
  readonly clockTolerance: number
}

/** Seconds. A token is sent when it is issued, and again a little later if there was no response. */
export const MAX_AGE_OF_LOGOUT_TOKEN = 600

const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout'

type Claims = Readonly<Record<string, unknown>>

/**
 * `typ` values a logout token may have: its own; from providers older than the final specification none, or that of any JWT; and that of
 * an access token, which IdentityServer4 and its forks send. What tells it from an access token is then in its claims.
 */
export function isLogoutTokenType(typ: string | undefined): boolean {
  return typ === undefined || /^(application\/)?((logout|at)\+)?jwt$/i.test(typ)
}

/**
 * Claims of tokens that the provider signs with the same keys for other purposes: ID Tokens (OpenID Connect Core 1.0 sections 2 and
 * 3.3.2.11), access tokens (RFC 9068 section 2.2, and those of other formats), introspection responses (RFC 9701 section 5). A user may
 * be able to put a claim of their own into such a token, `events` among them, and can hardly keep all of these out.
 */
const FOREIGN_CLAIMS = [
  'at_hash',
  'c_hash',
  's_hash',
  'auth_time',
  'client_id',
  'scope',
  'scp',
  'cnf',
  'token_use',
  'token_introspection',
]

/** What Keycloak calls its other tokens in the claim `typ`. Its logout tokens say `Logout`. */
const FOREIGN_TYPES = /^(id|bearer|dpop|refresh|offline|serialized-id|at\+jwt)$/i

/** Claims of which one that has no value, `null` or an empty text, is as good as none. */
const MAY_BE_EMPTY: readonly string[] = ['sub', 'sid', 'exp', 'azp']

/**
 * Checks the claims of a logout token whose signature has been verified. OpenID Connect Back-Channel Logout 1.0 section 2.6.
 * Unknown claims are ignored. The caller checks whether the `jti` was used before.
 *
 * @throws {OidcError} ERR_OIDC_LOGOUT_TOKEN_ISSUER, …_AUDIENCE, …_ISSUED_AT, …_EXPIRED, …_ID, …_SUBJECT, …_EVENTS, …_NONCE,
 *   …_MALFORMED
 */
export function checkLogoutTokenClaims(given: Claims, expected: LogoutTokenExpectations): LogoutTokenClaims {
  // Of the others, being there is what counts.
  const claims = Object.fromEntries(
    Object.entries(given).filter(([name, value]) => !((value === null || value === '') && MAY_BE_EMPTY.includes(name))),
  )
  checkIssuer(claims, expected)
  checkAudience(claims, expected)
  checkAuthorizedParty(claims, expected)
  checkIssuedAt(claims, expected)
  checkExpiry(claims, expected)
  checkId(claims)
  checkSubjectOrSession(claims)
  checkEvents(claims)
  checkNonce(claims)
  checkPurpose(claims)
  return claims as LogoutTokenClaims
}

function checkIssuer({ iss }: Claims, { issuer }: LogoutTokenExpectations): void {
  if (iss !== issuer) throw wrong('ERR_OIDC_LOGOUT_TOKEN_ISSUER', 'iss is not the configured issuer', iss, issuer)
}

function checkAudience({ aud }: Claims, { clientId }: LogoutTokenExpectations): void {
  if (audiencesOf(aud).includes(clientId)) return
  throw wrong('ERR_OIDC_LOGOUT_TOKEN_AUDIENCE', 'aud does not contain this client', aud, clientId)
}

function checkAuthorizedParty({ azp }: Claims, { clientId }: LogoutTokenExpectations): void {
  if (azp === undefined || azp === clientId) return
  throw wrong('ERR_OIDC_LOGOUT_TOKEN_AUDIENCE', 'azp is not this client', azp, clientId)
}

function checkIssuedAt({ iat }: Claims, { now, clockTolerance }: LogoutTokenExpectations): void {
  const oldest = now - MAX_AGE_OF_LOGOUT_TOKEN - clockTolerance
  if (isNumericDate(iat) && iat <= now + clockTolerance && iat >= oldest) return
  throw wrong('ERR_OIDC_LOGOUT_TOKEN_ISSUED_AT', 'iat is not within the last ten minutes', iat, now)
}

function checkExpiry({ exp }: Claims, { now, clockTolerance }: LogoutTokenExpectations): void {
  if (exp === undefined || (isNumericDate(exp) && now < exp + clockTolerance)) return
  throw wrong('ERR_OIDC_LOGOUT_TOKEN_EXPIRED', 'exp is not in the future', exp, now)
}

function checkId({ jti }: Claims): void {
  if (typeof jti === 'string' && jti !== '') return
  throw wrong('ERR_OIDC_LOGOUT_TOKEN_ID', 'jti is not a string, or is empty', typeof jti)
}

function checkSubjectOrSession({ sub, sid }: Claims): void {
  if (sub === undefined && sid === undefined)
    throw wrong('ERR_OIDC_LOGOUT_TOKEN_SUBJECT', 'sub and sid are both missing', undefined)
  if (sub !== undefined && !isSubject(sub))
    throw wrong('ERR_OIDC_LOGOUT_TOKEN_SUBJECT', 'sub is not a string of 1 to 255 ASCII characters', typeof sub)
  if (sid !== undefined && (typeof sid !== 'string' || sid === ''))
    throw wrong('ERR_OIDC_LOGOUT_TOKEN_SUBJECT', 'sid is not a string, or is empty', typeof sid)
}

function checkEvents({ events }: Claims): void {
  if (isRecord(events) && isRecord(events[LOGOUT_EVENT])) return
  throw wrong('ERR_OIDC_LOGOUT_TOKEN_EVENTS', 'events does not contain the logout event', typeof events)
}

/** What keeps an ID Token from being taken for a logout token. */
function checkNonce(claims: Claims): void {
  if (Object.hasOwn(claims, 'nonce')) throw wrong('ERR_OIDC_LOGOUT_TOKEN_NONCE', 'it has a nonce', typeof claims.nonce)
}

function checkPurpose(claims: Claims): void {
  const foreign = FOREIGN_CLAIMS.find(name => Object.hasOwn(claims, name))
  if (foreign !== undefined)
    throw wrong('ERR_OIDC_LOGOUT_TOKEN_MALFORMED', `it was issued for another purpose: it has a ${foreign}`, undefined)
  if (typeof claims.typ === 'string' && FOREIGN_TYPES.test(claims.typ))
    throw wrong('ERR_OIDC_LOGOUT_TOKEN_MALFORMED', 'it was issued for another purpose', claims.typ)
}

function wrong(code: OidcErrorCode, message: string, actual: unknown, expected?: unknown): OidcError {
  return new OidcError(code, `logout token: ${message}`, { cause: { actual: sanitize(actual), expected } })
}
