import { OidcError, type OidcErrorCode } from '../errors.js'
import { audiencesOf } from './identifiers.js'
import { isRecord } from './json.js'
import { sanitize } from './printable.js'
import { isNumericDate } from './time.js'

/** A security event token whose checks have passed. RFC 8417 section 2. */
export interface SecurityEventToken {
  readonly issuer: string
  readonly jti: string
  /** Seconds since the epoch. */
  readonly issuedAt: number
  /** What several events that have one cause have in common. */
  readonly txn?: string
  readonly events: readonly SecurityEvent[]
}

/** One event of a token. */
export interface SecurityEvent {
  /** A URI, such as `https://schemas.openid.net/secevent/caep/event-type/session-revoked`. */
  readonly type: string
  /** What the event says, as it was sent. */
  readonly payload: Readonly<Record<string, unknown>>
  /** Whom it is about, as it was sent. RFC 9493. */
  readonly subject: Readonly<Record<string, unknown>>
}

/** What a security event token, or the token of a global revocation, has to say. */
export interface SignalExpectations {
  readonly issuer: string
  readonly audience: string
  /** Seconds since the epoch. */
  readonly now: number
  /** Seconds two clocks may be apart. */
  readonly clockTolerance: number
}

type Claims = Readonly<Record<string, unknown>>

const OF_LOGOUT_TOKENS = 'http://schemas.openid.net/event/backchannel-logout'

/** Seconds that a token of a global revocation may be valid for: its `jti` is remembered for as long. */
const LONGEST_VALIDITY = 24 * 60 * 60

/** More events than any token has that a specification describes: one, or a few that have one cause. */
const MOST_EVENTS = 16

/** Claims of tokens that are signed with the same keys for other purposes: ID Tokens, access tokens, introspection responses. */
const FOREIGN_CLAIMS = [
  'nonce',
  'at_hash',
  'c_hash',
  's_hash',
  'auth_time',
  'scope',
  'scp',
  'cnf',
  'token_introspection',
]

/** The `typ` of a security event token, or that of any JWT, which some transmitters still send. RFC 8417 section 2.3. */
export function isSecurityEventType(typ: string | undefined): boolean {
  return typ === undefined || /^(application\/)?(secevent\+)?jwt$/i.test(typ)
}

/** The `typ` of the token that a global revocation is authorized by. */
export function isGlobalRevocationType(typ: string | undefined): boolean {
  return typ !== undefined && /^(application\/)?global-token-revocation\+jwt$/i.test(typ)
}

/**
 * Checks the claims of a security event token whose signature has been verified. RFC 8417 section 2.2, OpenID Shared Signals Framework 1.0
 * section 4.1. How old a token is does not matter: an event that was delivered late is still true of what began before it. The caller checks
 * whether the `jti` was used before.
 *
 * @throws {OidcError} ERR_OIDC_SIGNAL_ISSUER, ERR_OIDC_SIGNAL_AUDIENCE, ERR_OIDC_SIGNAL_MALFORMED
 */
export function checkSecurityEventClaims(claims: Claims, expected: SignalExpectations): SecurityEventToken {
  const { jti, issuedAt } = checkCommonClaims(claims, expected)
  const { exp, txn, events } = claims
  // The specifications advise against it; where it is there, it means what it says.
  if (exp !== undefined && !isFuture(exp, expected)) throw malformed('exp is not in the future', exp)
  if (!isRecord(events)) throw malformed('events is not an object', typeof events)
  const entries = Object.entries(events)
  if (entries.length === 0 || entries.length > MOST_EVENTS)
    throw malformed('it has no event, or too many', entries.length)
  if (Object.hasOwn(events, OF_LOGOUT_TOKENS)) throw malformed('it is a logout token', OF_LOGOUT_TOKENS)
  return {
    issuer: expected.issuer,
    jti,
    issuedAt,
    ...(typeof txn === 'string' && { txn }),
    events: entries.map(([type, payload]) => readEvent(claims, type, payload)),
  }
}

/** Whom an event is about stands in the token, or, before that was decided, in the event. A subject that is missing names no user. */
function readEvent({ sub_id: subId, iss, sub }: Claims, type: string, payload: unknown): SecurityEvent {
  if (!isRecord(payload)) throw malformed('an event is not an object', typeof payload)
  const bySub = typeof sub === 'string' ? { format: 'iss_sub', iss, sub } : {}
  const subject = [subId, payload.subject, bySub].find(isRecord) ?? {}
  return { type, payload, subject }
}

/**
 * Checks the claims of the token that authorizes a global revocation, as Okta sends it. It can be used once, so it has to say until when.
 *
 * @throws {OidcError} ERR_OIDC_SIGNAL_ISSUER, ERR_OIDC_SIGNAL_AUDIENCE, ERR_OIDC_SIGNAL_MALFORMED
 */
export function checkGlobalRevocationClaims(
  claims: Claims,
  expected: SignalExpectations,
): { readonly jti: string; readonly expiresAt: number } {
  const { jti } = checkCommonClaims(claims, expected)
  const { exp } = claims
  if (!isFuture(exp, expected)) throw malformed('exp is not in the future', exp)
  if (exp > expected.now + LONGEST_VALIDITY) throw malformed('exp is more than a day ahead', exp)
  return { jti, expiresAt: exp }
}

function checkCommonClaims(claims: Claims, expected: SignalExpectations): { jti: string; issuedAt: number } {
  const { iss, aud, jti, iat } = claims
  if (iss !== expected.issuer) throw wrong('ERR_OIDC_SIGNAL_ISSUER', 'iss is not the transmitter', iss, expected.issuer)
  if (!audiencesOf(aud).includes(expected.audience))
    throw wrong('ERR_OIDC_SIGNAL_AUDIENCE', 'aud does not name this site', aud, expected.audience)
  if (!isNumericDate(iat) || iat > expected.now + expected.clockTolerance)
    throw malformed('iat is missing or in the future', iat)
  if (typeof jti !== 'string' || jti === '') throw malformed('jti is not a string, or is empty', typeof jti)
  const foreign = FOREIGN_CLAIMS.find(name => Object.hasOwn(claims, name))
  if (foreign !== undefined) throw malformed(`it was issued for another purpose: it has a ${foreign}`)
  return { jti, issuedAt: iat }
}

function isFuture(exp: unknown, { now, clockTolerance }: SignalExpectations): exp is number {
  return isNumericDate(exp) && now < exp + clockTolerance
}

function malformed(message: string, actual?: unknown): OidcError {
  return wrong('ERR_OIDC_SIGNAL_MALFORMED', message, actual)
}

function wrong(code: OidcErrorCode, message: string, actual: unknown, expected?: unknown): OidcError {
  return new OidcError(code, `security event: ${message}`, { cause: { actual: sanitize(actual), expected } })
}
