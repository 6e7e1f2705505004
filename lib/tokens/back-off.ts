import { factsOf, OidcError, oidcErrorCodes } from '../errors.js'
import type { RefreshVerdict } from '../protocol/refused-refresh.js'
import type { RefreshFailure } from '../store/refresh-failure.js'
import type { StoredTokens } from '../store/token-store.js'

/** Seconds. What a provider asks for is heeded up to this. */
const LONGEST = 60

/** Up to this part of what the provider asks for is added by chance, so that processes and sessions do not come back together. */
const LATENESS = 0.1

/** Seconds. The clocks of two processes may differ by this much before a failure of one is not heeded by the other. */
const CLOCK_TOLERANCE = 1

/** Seconds after the end of a pause in which another failure counts as one more in a row. */
const ROW = 60

/** Seconds. A provider that was away is noticed soon when it is back; that it is not asked too often, the limit of the process sees to. */
const LONGEST_OUTAGE = 5

/** Seconds after which a token that was denied is asked for again. */
const DENIAL = 30

/**
 * Seconds to wait after so many failures in a row: 1, 2, 4 … 60 (5 for a provider that is away), of which up to a half is chance. At least
 * what the provider said, up to 60, and up to a tenth of that more.
 */
export function backOff(count: number, error: OidcError): number {
  const most = error.code === 'ERR_OIDC_PROVIDER_UNAVAILABLE' ? LONGEST_OUTAGE : LONGEST
  const longest = Math.min(most, 2 ** (count - 1))
  const least = error.code === 'ERR_OIDC_TOKEN_DENIED' ? DENIAL : (retryAfterOf(error) ?? 0)
  return Math.max(late(least), longest * (0.5 + Math.random() / 2))
}

/** Somewhat more than what was asked for. */
export function late(seconds: number): number {
  return seconds * (1 + LATENESS * Math.random())
}

/**
 * What other processes have to know of a failure: not to try again for a while.
 *
 * @param token - the {@link failureKey} of what was asked for
 * @param verdict - left out: nothing follows for other requests
 */
export function failureAfter(
  { failures = [] }: StoredTokens,
  token: string | undefined,
  verdict: RefreshVerdict | undefined,
  now: Date,
): { readonly failure?: RefreshFailure } {
  if (verdict === undefined) return {}
  const { error, pauses } = verdict
  const about = pauses === 'token' ? token : undefined
  const count = failuresInRow(
    failures.find(earlier => earlier.token === about),
    now,
  )
  const pause = backOff(count, error)
  const retryAt = secondsOf(now) + pause
  return { failure: { code: error.code, count, retryAt, pause, ...(about !== undefined && { token: about }) } }
}

/** The failures in a row with this one, where `earlier` is the last one. */
export function failuresInRow(earlier: RefreshFailure | undefined, now: Date): number {
  const isRecent = earlier !== undefined && Math.abs(secondsOf(now) - earlier.retryAt) <= ROW + earlier.pause
  return isRecent ? earlier.count + 1 : 1
}

/**
 * The failure for which a token of this session is not asked for now.
 *
 * A pause that ends later than it could if it was written now comes from a clock that is wrong, and is not kept.
 *
 * @param token - the {@link failureKey} of its purpose
 */
export function pauseOf(view: StoredTokens, token: string | undefined, now: Date): RefreshFailure | undefined {
  return view.failures?.find(failure => {
    const left = failure.retryAt - secondsOf(now)
    const longest = Math.min(failure.pause, LONGEST * (1 + LATENESS)) + CLOCK_TOLERANCE
    return (failure.token === undefined || failure.token === token) && left > 0 && left <= longest
  })
}

/** With the fraction: a pause that ends within a second ends then. */
function secondsOf(date: Date): number {
  return date.getTime() / 1000
}

/** The error that a stored failure stands for. */
export function failureError({ code, retryAt }: RefreshFailure, now: Date): OidcError {
  const known = oidcErrorCodes.find(candidate => candidate === code) ?? 'ERR_OIDC_PROVIDER_UNAVAILABLE'
  const retryAfter = Math.max(1, Math.ceil(retryAt - secondsOf(now)))
  return new OidcError(known, 'the provider failed just before, so no request is sent yet', { cause: { retryAfter } })
}

/** What the provider asked for, in seconds, up to 60. */
export function retryAfterOf(error: OidcError): number | undefined {
  const { retryAfter } = factsOf(error)
  return retryAfter === undefined ? undefined : Math.min(LONGEST, retryAfter)
}
