import { OidcError, type OidcErrorCode, oidcErrorCodes } from '../errors.js'
import type { RenewalFailure } from '../state/renewal-failure.js'

/** Seconds. */
const LONGEST = 60

/** Failures that say something about the request itself: trying it again later is as good as now. */
const NOT_TEMPORARY: readonly OidcErrorCode[] = ['ERR_OIDC_TOKEN_DENIED', 'ERR_OIDC_OPTIONS']

/** Whether others should wait before they try the same. */
export function isTemporary(error: unknown): error is OidcError {
  return error instanceof OidcError && !NOT_TEMPORARY.includes(error.code)
}

/** Seconds to wait after so many failures in a row: 1, 2, 4 … 60, of which up to a half is chance; at least what the provider said. */
export function backOff(count: number, error: OidcError): number {
  const longest = Math.min(LONGEST, 2 ** (count - 1))
  return Math.max(retryAfterOf(error) ?? 0, longest * (0.5 + Math.random() / 2))
}

/** The error that the note of a failure stands for. @param now seconds since the epoch */
export function failureError({ code, retryAt }: RenewalFailure, now: number): OidcError {
  const known = oidcErrorCodes.find(candidate => candidate === code) ?? 'ERR_OIDC_PROVIDER_UNAVAILABLE'
  const retryAfter = Math.max(1, Math.ceil(retryAt - now))
  return new OidcError(known, 'the provider failed a moment ago, and is not asked again yet', { cause: { retryAfter } })
}

function retryAfterOf({ cause }: OidcError): number | undefined {
  return (cause as { retryAfter?: number } | undefined)?.retryAfter
}
