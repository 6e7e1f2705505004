import { OidcError, type OidcErrorCode } from '../errors.js'
import { isSameSecret } from './constant-time.js'
import { audiencesOf, isSubject } from './identifiers.js'
import { pickMembers } from './json.js'
import { sanitize } from './printable.js'
import { checkSessionExpiryFormat, checkSessionNotOver } from './session-expiry.js'
import { describeOffset, isNumericDate } from './time.js'
import type { IdTokenClaims } from './wire.js'

export { checkTokenHashes, type RequiredTokenHashes, type TokenHashSubjects } from './token-hash.js'

/** What the ID Token of this sign-in has to say. */
export interface IdTokenExpectations {
  readonly issuer: string
  readonly clientId: string
  readonly nonce: string
  /** Seconds since the epoch. */
  readonly now: number
  /** Seconds two clocks may be apart. */
  readonly clockTolerance: number
  /** Whether the logout tokens of the provider name sessions by `sid`. One that is not a text is refused then, and otherwise left out. */
  readonly usesSid?: boolean
  /** Seconds before the start of the sign-in within which the user must have authenticated, `0` included. `auth_time` is required then. */
  readonly maxAge?: number
  /** A new authentication was asked for by `prompt=login`. Compared with `auth_time` where there is one. */
  readonly freshLogin?: boolean
  /** When the sign-in started, in seconds since the epoch. Default: now. */
  readonly createdAt?: number
  /** The `acr` values that were asked for as essential. An empty list asks for any. */
  readonly acrValues?: readonly string[]
}

/** Seconds. An ID Token is checked as soon as it was made; an older one comes from elsewhere. Core section 3.1.3.7 item 10. */
const MAX_AGE_OF_TOKEN = 600

type Claims = Readonly<Record<string, unknown>>

export type StandingExpectations = Pick<
  IdTokenExpectations,
  'issuer' | 'clientId' | 'now' | 'clockTolerance' | 'usesSid'
>

/**
 * Checks the claims of an ID Token whose signature has been verified. OpenID Connect Core 1.0 sections 2, 3.1.3.7 and 3.3.2.12.
 *
 * @throws {OidcError} ERR_OIDC_ID_TOKEN_ISSUER, …_AUDIENCE, …_AUTHORIZED_PARTY, …_SUBJECT, …_EXPIRED, …_ISSUED_AT, …_NOT_BEFORE,
 *   …_NONCE, …_ACR, …_AUTH_TIME, …_MALFORMED
 */
export function checkIdTokenClaims(given: Claims, expected: IdTokenExpectations): IdTokenClaims {
  const claims = withoutEmptyClaims(given)
  checkStandingClaims(claims, expected)
  checkNonce(claims, expected)
  checkAuthenticationContext(claims, expected)
  checkAuthenticationTime(claims, expected)
  checkSessionNotOver(claims, expected)
  return withoutOddClaims(claims) as IdTokenClaims
}

/** Claims that a sign-in needs only where they were asked for, and what they have to be. OpenID Connect Core 1.0 section 2. */
const OPTIONAL: Readonly<Record<string, (value: unknown) => boolean>> = {
  acr: isText,
  auth_time: isNumericDate,
  sid: isText,
}

/** Claims for which an empty text is as good as none. */
const MAY_BE_EMPTY: readonly string[] = ['azp', 'nbf', 'nonce', 'c_hash', 'at_hash', 's_hash', ...Object.keys(OPTIONAL)]

/** `null` and empty claims are absent. The checks come afterwards, so that a claim that was asked for, or that protects something, is missed. */
export function withoutEmptyClaims(claims: Claims): Claims {
  return pickMembers(claims, (name, value) => value !== null && !(value === '' && MAY_BE_EMPTY.includes(name)))
}

/** What is not needed does not decide: an optional claim of a wrong type is left out, after every check that may have wanted it. */
export function withoutOddClaims(claims: Claims): Claims {
  return pickMembers(claims, (name, value) => !Object.hasOwn(OPTIONAL, name) || OPTIONAL[name]?.(value) === true)
}

/** Whether a `sid` is there that cannot be one, so that it is left out. */
export function hasOddSid({ sid }: Claims): boolean {
  return sid !== undefined && sid !== null && sid !== '' && !isText(sid)
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

/** Claims that every ID Token is checked for: issuer, audience, subject, times and session. */
export function checkStandingClaims(claims: Claims, expected: StandingExpectations): void {
  checkIssuer(claims, expected)
  checkAudience(claims, expected)
  checkAuthorizedParty(claims, expected)
  checkSubject(claims)
  checkExpiry(claims, expected)
  checkIssuedAt(claims, expected)
  checkNotBefore(claims, expected)
  checkSessionId(claims, expected)
  checkSessionExpiryFormat(claims)
}

function checkIssuer({ iss }: Claims, { issuer }: StandingExpectations): void {
  if (iss !== issuer) throw wrong('ERR_OIDC_ID_TOKEN_ISSUER', 'iss is not the configured issuer', iss, issuer)
}

function checkAudience({ aud }: Claims, { clientId }: StandingExpectations): void {
  if (!audiencesOf(aud).includes(clientId)) {
    throw wrong('ERR_OIDC_ID_TOKEN_AUDIENCE', 'aud does not contain this client', aud, clientId)
  }
}

/** An audience besides this client is only trusted where `azp` says that the token was made for this client all the same. */
function checkAuthorizedParty({ aud, azp }: Claims, { clientId }: StandingExpectations): void {
  const isRequired = audiencesOf(aud).some(audience => audience !== clientId)
  if (azp === clientId || (azp === undefined && !isRequired)) return
  throw wrong('ERR_OIDC_ID_TOKEN_AUTHORIZED_PARTY', 'azp is not this client', azp, clientId)
}

function checkSubject({ sub }: Claims): void {
  if (!isSubject(sub)) {
    throw wrong('ERR_OIDC_ID_TOKEN_SUBJECT', 'sub is not a string of 1 to 255 ASCII characters', typeof sub)
  }
}

function checkExpiry({ exp }: Claims, { now, clockTolerance }: StandingExpectations): void {
  if (!isNumericDate(exp)) throw wrong('ERR_OIDC_ID_TOKEN_EXPIRED', 'exp is not a time', exp, now)
  if (now >= exp + clockTolerance) {
    throw wrong('ERR_OIDC_ID_TOKEN_EXPIRED', `exp is ${describeOffset(exp, now)}`, exp, now)
  }
}

function checkIssuedAt({ iat }: Claims, { now, clockTolerance }: StandingExpectations): void {
  if (!isNumericDate(iat)) throw wrong('ERR_OIDC_ID_TOKEN_ISSUED_AT', 'iat is not a time', iat, now)
  if (iat > now + clockTolerance || iat < now - MAX_AGE_OF_TOKEN - clockTolerance) {
    throw wrong('ERR_OIDC_ID_TOKEN_ISSUED_AT', `iat is ${describeOffset(iat, now)}`, iat, now)
  }
}

function checkNotBefore({ nbf }: Claims, { now, clockTolerance }: StandingExpectations): void {
  if (nbf === undefined) return
  if (!isNumericDate(nbf)) throw wrong('ERR_OIDC_ID_TOKEN_NOT_BEFORE', 'nbf is not a time', nbf, now)
  if (nbf > now + clockTolerance) {
    throw wrong('ERR_OIDC_ID_TOKEN_NOT_BEFORE', `nbf is ${describeOffset(nbf, now)}`, nbf, now)
  }
}

function checkNonce({ nonce }: Claims, expected: IdTokenExpectations): void {
  if (typeof nonce === 'string' && isSameSecret(nonce, expected.nonce)) return
  throw wrong('ERR_OIDC_ID_TOKEN_NONCE', 'nonce is not the nonce of this sign-in', typeof nonce)
}

/** Core section 5.5.1.1: an essential `acr` that cannot be met is a failed authentication attempt. */
function checkAuthenticationContext({ acr }: Claims, { acrValues }: IdTokenExpectations): void {
  if (acrValues === undefined) return
  if (typeof acr !== 'string') throw wrong('ERR_OIDC_ID_TOKEN_ACR', 'acr is not a string', acr, acrValues)
  if (acrValues.length === 0 || acrValues.includes(acr)) return
  throw wrong('ERR_OIDC_ID_TOKEN_ACR', 'acr is not one of the requested values', acr, acrValues)
}

/**
 * Core section 3.1.2.1: a client that sends `max_age` gets `auth_time`, and has to check it. The age is counted back from the start of the
 * sign-in, so that the time the user takes for it makes no `max_age` impossible.
 */
function checkAuthenticationTime({ auth_time }: Claims, expected: IdTokenExpectations): void {
  const { maxAge, freshLogin = false, now, createdAt = now, clockTolerance } = expected
  if (maxAge === undefined && (auth_time === undefined || !freshLogin)) return
  if (!isNumericDate(auth_time)) throw wrong('ERR_OIDC_ID_TOKEN_AUTH_TIME', 'auth_time is not a time', auth_time)
  if (auth_time > now + clockTolerance) {
    throw wrong('ERR_OIDC_ID_TOKEN_AUTH_TIME', `auth_time is ${describeOffset(auth_time, now)}`, auth_time, now)
  }
  const earliest = Math.floor(createdAt) - (freshLogin ? 0 : (maxAge ?? 0))
  if (auth_time < earliest - clockTolerance) {
    throw wrong('ERR_OIDC_ID_TOKEN_AUTH_TIME', 'auth_time is too long ago', auth_time, earliest)
  }
}

/** OpenID Connect Front-Channel Logout 1.0 section 3. Without it, the provider could not end this session. */
function checkSessionId(claims: Claims, { usesSid = false }: StandingExpectations): void {
  if (!usesSid || !hasOddSid(claims)) return
  throw wrong('ERR_OIDC_ID_TOKEN_MALFORMED', 'sid is not a string', typeof claims.sid)
}

/**
 * Checks that two ID Tokens of one sign-in have the same subject and audience. OpenID Connect Core 1.0 sections 3.3.3.6
 * and 12.2.
 *
 * @throws {OidcError} ERR_OIDC_ID_TOKEN_MISMATCH
 */
export function checkSameIdentity(first: IdTokenClaims, second: IdTokenClaims): void {
  if (first.iss !== second.iss) {
    throw wrong('ERR_OIDC_ID_TOKEN_MISMATCH', 'the second ID Token has another iss', second.iss, first.iss)
  }
  if (first.sub !== second.sub) {
    throw wrong('ERR_OIDC_ID_TOKEN_MISMATCH', 'the second ID Token has another sub', typeof second.sub)
  }
  const [a, b] = [new Set(audiencesOf(first.aud)), new Set(audiencesOf(second.aud))]
  if (a.size === b.size && [...a].every(audience => b.has(audience))) return
  throw wrong('ERR_OIDC_ID_TOKEN_MISMATCH', 'the second ID Token has another aud', second.aud, first.aud)
}

function wrong(code: OidcErrorCode, message: string, actual: unknown, expected?: unknown): OidcError {
  return new OidcError(code, `ID Token: ${message}`, { cause: { actual: sanitize(actual), expected } })
}
