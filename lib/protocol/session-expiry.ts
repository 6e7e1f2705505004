import { OidcError } from '../errors.js'
import { sanitize } from './printable.js'
import { describeOffset, isNumericDate } from './time.js'

/** The two clocks that are compared. */
interface Clocks {
  /** Seconds since the epoch. */
  readonly now: number
  /** Seconds two clocks may be apart. */
  readonly clockTolerance: number
}

type Claims = Readonly<Record<string, unknown>>

/**
 * Checks that `session_expiry`, where the ID Token has it, is a time. A session must not outlive it, so that one that cannot be read is not
 * the same as none. IPSIE OpenID Connect Profile, `session_expiry`.
 *
 * @throws {OidcError} ERR_OIDC_ID_TOKEN_MALFORMED
 */
export function checkSessionExpiryFormat({ session_expiry }: Claims): void {
  if (session_expiry === undefined || isNumericDate(session_expiry)) return
  throw new OidcError('ERR_OIDC_ID_TOKEN_MALFORMED', 'ID Token: session_expiry is not a time', {
    cause: { actual: sanitize(session_expiry) },
  })
}

/**
 * Checks that the session is not over before it begins. The tolerance is that of `exp`.
 *
 * @throws {OidcError} ERR_OIDC_ID_TOKEN_EXPIRED
 */
export function checkSessionNotOver(claims: Claims, clocks: Clocks): void {
  if (!isSessionOver(claims, clocks)) return
  const { now } = clocks
  const expiry = claims.session_expiry as number
  throw new OidcError('ERR_OIDC_ID_TOKEN_EXPIRED', `ID Token: session_expiry is ${describeOffset(expiry, now)}`, {
    cause: { actual: expiry, expected: now },
  })
}

/** Whether the provider says that the session has ended. */
export function isSessionOver({ session_expiry }: Claims, { now, clockTolerance }: Clocks): boolean {
  return isNumericDate(session_expiry) && now >= session_expiry + clockTolerance
}

/**
 * When a session has to end, in whole seconds since the epoch; `Infinity` where the ID Token does not say. One that has passed by less than the
 * tolerance is that of a clock that is ahead of the provider's, so the session gets the rest of the tolerance.
 */
export function sessionCeiling({ session_expiry }: Claims, { now, clockTolerance }: Clocks): number {
  if (!isNumericDate(session_expiry)) return Number.POSITIVE_INFINITY
  const ceiling = Math.floor(session_expiry)
  return ceiling > now ? ceiling : Math.ceil(session_expiry + clockTolerance)
}

/** The claims of the second ID Token of a sign-in over those of the first. Where both limit the session, the earlier time counts. */
export function mergeIdTokenClaims<T extends Claims>(first: T | undefined, second: T): T {
  const merged = { ...first, ...second }
  const times = [first?.session_expiry, second.session_expiry].filter(isNumericDate)
  return times.length === 2 ? { ...merged, session_expiry: Math.min(...times) } : merged
}
