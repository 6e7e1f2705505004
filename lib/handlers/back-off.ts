import { OidcError, type OidcErrorCode, oidcErrorCodes } from '../errors.js'
import type { RenewalFailure } from '../state/renewal-failure.js'
import type { VaultView } from '../state/token-vault.js'

/** Seconds. Nothing that a provider asks for or another process has written binds for longer. */
const LONGEST = 60

/** Seconds. A provider that was away is noticed soon when it is back; that it is not asked too often, the limit of the process sees to. */
const LONGEST_OUTAGE = 5

/** Seconds after which a token that was denied is asked for again. */
const DENIAL = 30

/** Failures that say something about the request itself: trying it again later is as good as now. */
const NOT_TEMPORARY: readonly OidcErrorCode[] = ['ERR_OIDC_TOKEN_DENIED', 'ERR_OIDC_OPTIONS']

/** Whether others should wait before they try the same. */
export function isTemporary(error: unknown): error is OidcError {
  return error instanceof OidcError && !NOT_TEMPORARY.includes(error.code)
}

/** Seconds to wait after so many failures in a row: 1, 2, 4 … 60 (5 for a provider that is away), of which up to a half is chance; at least what the provider said, up to 60. */
export function backOff(count: number, error: OidcError): number {
  const most = error.code === 'ERR_OIDC_PROVIDER_UNAVAILABLE' ? LONGEST_OUTAGE : LONGEST
  const longest = Math.min(most, 2 ** (count - 1))
  const least = error.code === 'ERR_OIDC_TOKEN_DENIED' ? DENIAL : (retryAfterOf(error) ?? 0)
  return Math.min(LONGEST, Math.max(least, longest * (0.5 + Math.random() / 2)))
}

/**
 * The failure for which a token of this session is not asked for now.
 *
 * A pause that ends later than it could if it was written now comes from a clock that is wrong, and is not kept.
 *
 * @param token - the {@link failureKey} of its purpose
 * @param now - seconds since the epoch
 */
export function pauseOf(view: VaultView, token: string | undefined, now: number): RenewalFailure | undefined {
  const failures = view.failures ?? []
  return failures.find(
    note => (note.token === undefined || note.token === token) && note.retryAt > now && note.retryAt - now <= LONGEST,
  )
}

/** The error that the note of a failure stands for. @param now seconds since the epoch */
export function failureError({ code, retryAt }: RenewalFailure, now: number): OidcError {
  const known = oidcErrorCodes.find(candidate => candidate === code) ?? 'ERR_OIDC_PROVIDER_UNAVAILABLE'
  const retryAfter = Math.max(1, Math.ceil(retryAt - now))
  return new OidcError(known, 'the provider failed a moment ago, and is not asked again yet', { cause: { retryAfter } })
}

/** What the provider asked for, in seconds, up to 60. */
export function retryAfterOf({ cause }: OidcError): number | undefined {
  const { retryAfter } = (cause ?? {}) as { retryAfter?: number }
  return retryAfter === undefined ? undefined : Math.min(LONGEST, retryAfter)
}
