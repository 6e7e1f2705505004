import { OidcError } from '../errors.js'
import type { AuthorizationParams } from '../protocol/authorization-request.js'
import type { Transaction } from '../protocol/transaction.js'
import type { AuthorizationDetail } from '../protocol/wire.js'

/** What one sign-in asks for beyond the site's options. */
export interface LoginOptions {
  /** The name of the provider, on a site with several. Default: that of the user who is signed in, else the option `defaultProvider`. */
  readonly provider?: string
  /** Where to land afterwards: a path of this site. Anything else is ignored. Default: the page asked for, on a GET. */
  readonly returnTo?: string
  /** Whether the sign-in ends in a window that a script has opened: `routes.popup` tells that page, and closes. Not with `returnTo`. Default `false`. */
  readonly popup?: boolean
  /**
   * `login` asks for a new sign-in, `consent` for a new consent, `select_account` for a choice; `none` for a response without a page, and
   * the error `login_required` where there would be one. Default: the provider decides. OpenID Connect Core 1.0 section 3.1.2.1. For
   * `login`, an `auth_time` in the response must be later than the start of this sign-in; use `maxAge: 0` to require one.
   */
  readonly prompt?: string
  /**
   * Seconds since the user last authenticated, counted back from the start of this sign-in; enforced on `auth_time`. `0` asks for a new
   * authentication. Less than 60 is sent as `prompt=login`.
   */
  readonly maxAge?: number
  /** Authentication contexts wished for, in order of preference; not enforced. */
  readonly acrValues?: readonly string[]
  /** Authentication contexts of which one is required (asked for as an essential claim); enforced on `acr`. */
  readonly acr?: readonly string[]
  /** Who is probably about to sign in, such as an e-mail address, to fill in the provider's form. */
  readonly loginHint?: string
  /** Languages for the provider's pages, in order of preference. BCP 47. */
  readonly uiLocales?: readonly string[]
  /** Added to the configured scope. */
  readonly scope?: string
  /** The APIs that access tokens are wanted for. RFC 8707. */
  readonly resource?: string | readonly string[]
  /** What the tokens are to allow, in more than words of a scope. The provider has to know each `type`. RFC 9396. */
  readonly authorizationDetails?: readonly AuthorizationDetail[]
  /** Handed to the `signIn` hook at the end of this sign-in. A plain object of JSON values, at most 1,024 bytes as JSON. Sealed on its way. */
  readonly data?: Readonly<Record<string, unknown>>
  /** Any other parameter, with the name it has on the wire. Protocol parameters cannot be replaced. */
  readonly params?: AuthorizationParams
}

/**
 * Seconds. A provider that compares `now > auth_time + max_age` shows its form again and again for less than the way back takes, so that
 * less is asked for as a new authentication.
 */
const SHORTEST_MAX_AGE = 60

/** What is sent along with `prompt=login`, so that the response has an `auth_time`: long enough for a user who reads what they consent to. */
const MAX_AGE_OF_FRESH_LOGIN = 300

/** The parameters of the options, by their names on the wire. */
export function wireParams(options: LoginOptions): AuthorizationParams {
  const acr = options.acr && { id_token: { acr: { essential: true, values: options.acr } } }
  return {
    ...options.params,
    ...given('prompt', options.prompt),
    ...given('max_age', options.maxAge),
    ...given('acr_values', (options.acrValues ?? options.acr)?.join(' ')),
    ...given('claims', acr),
    ...given('login_hint', options.loginHint),
    ...given('ui_locales', options.uiLocales?.join(' ')),
    ...given('resource', options.resource),
    ...given('authorization_details', options.authorizationDetails),
  }
}

function given<T>(name: string, value: T | undefined): Record<string, T> {
  return value === undefined ? {} : { [name]: value }
}

/** What is sent, and what the ID Token must show. */
export interface Freshness {
  readonly params: AuthorizationParams
  readonly enforced: Pick<Transaction, 'maxAge' | 'freshLogin' | 'acrValues'>
}

/**
 * Reads the parameters, wherever they came from. `max_age=0` means `prompt=login` (OpenID Connect Core 1.0 section 3.1.2.1) and is sent as
 * that, and so is every other `max_age` of less than a minute; `auth_time` is compared with what was asked for.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS
 */
export function enforceParams(params: AuthorizationParams): Freshness {
  const maxAge = params.max_age === undefined ? undefined : readMaxAge(params.max_age)
  const prompts = [params.prompt].flat().join(' ').split(' ').filter(Boolean)
  const isShort = maxAge !== undefined && maxAge < SHORTEST_MAX_AGE && !prompts.includes('none')
  const acrValues = essentialAcr(params.claims)
  return {
    params: isShort
      ? { ...params, prompt: [...new Set([...prompts, 'login'])].join(' '), max_age: MAX_AGE_OF_FRESH_LOGIN }
      : params,
    enforced: {
      ...(maxAge !== undefined && { maxAge }),
      ...(prompts.includes('login') && { freshLogin: true }),
      ...(acrValues !== undefined && { acrValues }),
    },
  }
}

/** What has no value, or another type, is not zero. */
function readMaxAge(value: unknown): number {
  const seconds = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
  if (typeof seconds === 'number' && Number.isSafeInteger(seconds) && seconds >= 0) return seconds
  throw new OidcError('ERR_OIDC_OPTIONS', 'max_age must be a whole number of seconds, not negative')
}

/** OpenID Connect Core 1.0 section 5.5.1.1. */
function essentialAcr(claims: unknown): readonly string[] | undefined {
  const request = typeof claims === 'string' ? parseClaimsRequest(claims) : claims
  const acr = (
    request as { id_token?: { acr?: { essential?: boolean; value?: string; values?: string[] } } } | undefined
  )?.id_token?.acr
  if (acr?.essential !== true) return undefined
  return acr.values ?? (acr.value === undefined ? [] : [acr.value])
}

function parseClaimsRequest(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new OidcError('ERR_OIDC_OPTIONS', 'the parameter "claims" is not JSON')
  }
}
