import { OidcError } from '../errors.js'
import { scopeWords } from '../protocol/granted-scope.js'
import type { Ticket } from '../store/ticket.js'
import type { LoginOptions } from './login-options.js'

/** How strong and how fresh a sign-in has to be. */
export interface AuthenticationRequirement {
  /** The name of the provider that the user has to have signed in at, on a site with several. Default: any of them. */
  readonly provider?: string
  /** Authentication contexts of which one is required. Asked for as an essential claim, and enforced on `acr`. */
  readonly acr?: string | readonly string[]
  /** Seconds since the user last authenticated. A sign-in that was made for it counts for 30 seconds after its end, `0` included. */
  readonly maxAge?: number
  /**
   * Whether the session has to be bound to a key of the device, and the request to come from there; a page waits until the browser has registered
   * its key after a sign-in. Needs `session.deviceBound`. Default `false`.
   */
  readonly deviceBound?: boolean
  /**
   * Whether a form is kept that a user posts whose session has expired, or who has to sign in again for this page: after the sign-in, a page displays it,
   * and sends it once. For the same user in the same browser only. Needs `routes.keptForm`. Default `false`.
   */
  readonly keepForm?: boolean
}

/** What a signed-in user has not proved yet, and the authorization request that may get it. */
export interface Challenge {
  readonly error: OidcError
  /** Absent if another authorization request would not help. */
  readonly login?: LoginOptions
}

/**
 * Seconds from the end of a sign-in to the page that it was made for. For so long it is fresh enough for that page, `maxAge: 0` included;
 * with less, a strict page would send the user back for ever.
 */
const ON_THE_WAY = 30

/** The time at a site, in seconds since the epoch, and the seconds another clock may be apart from it. */
export interface StepUpClock {
  readonly now: number
  readonly clockTolerance: number
}

export function findChallenge(
  ticket: Ticket,
  required: AuthenticationRequirement,
  { now, clockTolerance }: StepUpClock,
): Challenge | undefined {
  const { maxAge, provider } = required
  if (provider !== undefined && ticket.provider !== provider) {
    const error = new OidcError(
      'ERR_OIDC_LOGIN_REQUIRED',
      'the user has signed in at another provider than this page requires',
    )
    return { error, login: challengeFor(required) }
  }
  const { acr } = challengeFor(required)
  const isStrong = acr === undefined || (ticket.acr !== undefined && acr.includes(ticket.acr))
  const isRecent = maxAge === undefined || isFresh(ticket, maxAge, { now, clockTolerance })
  if (isStrong && isRecent) return undefined
  const cause = {
    ...(acr !== undefined && { acr_values: acr.join(' ') }),
    ...(maxAge !== undefined && { max_age: maxAge }),
  }
  const message = isStrong
    ? 'the sign-in is too long ago for this page'
    : 'the sign-in is not strong enough for this page'
  return { error: new OidcError('ERR_OIDC_STEP_UP_REQUIRED', message, { cause }), login: challengeFor(required) }
}

/**
 * Whether the user has authenticated within the last `maxAge` seconds, or has just come from a sign-in that asked for that much or less:
 * the callback has compared its `auth_time` with the start of the sign-in. A provider whose clock is ahead makes no sign-in younger than its end
 * here, and a clock that was set back makes none young.
 */
function isFresh(ticket: Ticket, maxAge: number, { now, clockTolerance }: StepUpClock): boolean {
  const { authTime, signedInAt, requestedMaxAge = Infinity } = ticket
  if (authTime === undefined || now < signedInAt - clockTolerance - ON_THE_WAY) return false
  if (now - Math.min(authTime, signedInAt) <= maxAge + clockTolerance) return true
  return requestedMaxAge <= maxAge && now - signedInAt <= ON_THE_WAY
}

/** What to ask the provider for. */
export function challengeFor({ provider, acr, maxAge }: AuthenticationRequirement): LoginOptions {
  return {
    ...(provider !== undefined && { provider }),
    ...(acr !== undefined && { acr: typeof acr === 'string' ? [acr] : acr }),
    ...(maxAge !== undefined && { maxAge }),
  }
}

/**
 * A scope that was asked for already and not granted is not asked for again: that would be a loop.
 *
 * @param mayAsk - whether the user may be sent to the provider for it
 */
export function findMissingScope(ticket: Ticket, required: readonly string[], mayAsk: boolean): Challenge | undefined {
  const granted = wordsOf(ticket.scope)
  const missing = required.filter(word => !granted.has(word))
  if (missing.length === 0) return undefined
  const error = new OidcError('ERR_OIDC_SCOPE_REQUIRED', `the scope "${missing.join(' ')}" was not granted`)
  const asked = wordsOf(ticket.requestedScope)
  if (!mayAsk || missing.every(word => asked.has(word))) return { error }
  return { error, login: { scope: [...new Set([...asked, ...granted, ...missing])].join(' ') } }
}

function wordsOf(scope: string | undefined): ReadonlySet<string> {
  return new Set(scopeWords(scope))
}
