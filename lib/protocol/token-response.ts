import { OidcError, type OidcErrorCode } from '../errors.js'
import { parseGrantedDetails } from './authorization-details.js'
import { isJsonObject } from './json.js'
import { parseProviderError } from './provider-error.js'
import { adviseOnRefusal, exchangeRefusal, type RefusedRequest } from './token-refusal.js'
import type { TokenResponse } from './wire.js'

/** Seconds in ten years. A longer lifetime is a mistake, and not knowing the lifetime of a token is safer than believing that. */
const LONGEST_LIFETIME = 10 * 365 * 24 * 60 * 60

/** Characters of an access token: it has to fit into a header field. RFC 6750 section 2.1. */
const VISIBLE = /^[\x21-\x7e]+$/

/** Characters of everything else. RFC 6749 appendix A. */
const PRINTABLE = /^[\x20-\x7e]+$/

/** What a token response has to bring. */
export interface ExpectedTokens {
  readonly idTokenRequired: boolean
  /** Whether the request had a DPoP proof: the access token has to be bound to its key then, and otherwise it must not be. RFC 9449 section 5. */
  readonly isProven?: boolean
  /** Whether the site relies on `authorization_details`. */
  readonly usesDetails?: boolean
}

/**
 * Checks the body of a successful token response. RFC 6749 section 5.1, OpenID Connect Core 1.0 section 3.1.3.3. Members this
 * package does not know are left out. A member that is `null` or empty is absent, and so is one of a wrong type that nothing needs.
 *
 * @throws {OidcError} ERR_OIDC_TOKEN_RESPONSE
 */
export function parseTokenResponse(json: unknown, expected: ExpectedTokens): TokenResponse {
  try {
    return parse(json, expected)
  } catch (error) {
    const replacement = isJsonObject(json) ? readText(json, 'refresh_token', PRINTABLE) : undefined
    if (error instanceof OidcError && replacement !== undefined) replacements.set(error, replacement)
    throw error
  }
}

/** Kept beside the errors, so that no log shows it. */
const replacements = new WeakMap<OidcError, string>()

/** The refresh token of a response that {@link parseTokenResponse} refused with this error: it may replace one that was used. */
export function replacementOf(error: unknown): string | undefined {
  return error instanceof OidcError ? replacements.get(error) : undefined
}

function parse(json: unknown, expected: ExpectedTokens): TokenResponse {
  if (!isJsonObject(json)) throw wrongResponse('it is not a JSON object')
  const access_token = parseText(json, 'access_token', VISIBLE)
  const token_type = parseText(json, 'token_type', PRINTABLE)
  const refresh_token = readText(json, 'refresh_token', PRINTABLE)
  const id_token = readText(json, 'id_token', PRINTABLE)
  const scope = readScope(json.scope)
  const expires_in = parseLifetime(json.expires_in)
  if (access_token === undefined) throw wrongResponse('access_token is missing')
  if (token_type === undefined) throw wrongResponse('token_type is missing')
  checkTokenType(token_type, expected)
  const authorization_details = parseGrantedDetails(json.authorization_details, expected.usesDetails === true)
  if (id_token === undefined && expected.idTokenRequired) throw wrongResponse('id_token is missing')
  return {
    access_token,
    token_type,
    ...(expires_in !== undefined && { expires_in }),
    ...(scope !== undefined && { scope }),
    ...(refresh_token !== undefined && { refresh_token }),
    ...(id_token !== undefined && { id_token }),
    ...(authorization_details !== undefined && { authorization_details }),
  }
}

/**
 * A token of a type that is not understood is not used, RFC 6749 section 7.1. One that is not bound, although a proof went along, could be
 * used by a thief.
 */
function checkTokenType(type: string, { isProven = false }: ExpectedTokens): void {
  if (type.toLowerCase() === (isProven ? 'dpop' : 'bearer')) return
  if (!isProven) throw wrongResponse('token_type is not what it should be')
  throw wrongResponse(
    'token_type is not DPoP although the request had a proof: switch DPoP on for this client at the provider, or the option dpop off',
  )
}

/** What an unsuccessful token response may say about the time and about the grant that was sent. */
export interface TokenErrorContext extends Pick<RefusedRequest, 'grantType' | 'clientMethod'> {
  /** What it means that this kind of grant is invalid. Default: that of a code. */
  readonly invalidGrant?: OidcErrorCode
  /** A sentence for the operator that goes with it. */
  readonly invalidGrantMessage?: string
  /** The `Retry-After` header. */
  readonly retryAfter?: string | null | undefined
}

/**
 * The error that an unsuccessful token response amounts to. RFC 6749 section 5.2, RFC 8707 section 2. A provider in trouble may say
 * anything, so its status comes first: only a provider that is well can take a grant away.
 */
export function parseTokenError(status: number, json: unknown, context: TokenErrorContext = {}): OidcError {
  const providerError = parseProviderError(json)
  const error = providerError?.error
  const retryAfter = parseRetryAfter(context.retryAfter)
  const cause = { status, error, ...(retryAfter !== undefined && { retryAfter }) }
  const request = { status, error, grantType: context.grantType, clientMethod: context.clientMethod }
  const invalidGrant = context.invalidGrant ?? 'ERR_OIDC_CODE_REJECTED'
  const isTrouble = status === 429 || status >= 500
  const code = isTrouble ? 'ERR_OIDC_PROVIDER_UNAVAILABLE' : (exchangeRefusal(request) ?? codeOf(error, invalidGrant))
  const advice = error === 'invalid_grant' ? context.invalidGrantMessage : adviseOnRefusal(request)
  const message = (isTrouble ? undefined : advice) ?? `the token endpoint responded with status ${status}`
  return new OidcError(code, message, { cause, providerError })
}

/** RFC 6749 section 5.2, RFC 8707 section 2, RFC 9396 section 5. */
const DENIALS: readonly string[] = ['invalid_scope', 'invalid_target', 'invalid_authorization_details', 'access_denied']

function codeOf(error: string | undefined, invalidGrant: OidcErrorCode): OidcErrorCode {
  if (error === 'invalid_grant') return invalidGrant
  if (error === 'invalid_client' || error === 'unauthorized_client') return 'ERR_OIDC_CLIENT_REJECTED'
  if (error !== undefined && DENIALS.includes(error)) return 'ERR_OIDC_TOKEN_DENIED'
  return error === 'unsupported_grant_type' ? 'ERR_OIDC_UNSUPPORTED' : 'ERR_OIDC_TOKEN_RESPONSE'
}

/** Seconds only; a date would need a clock, and providers do not send one here. RFC 9110 section 10.2.3. */
export function parseRetryAfter(header: string | null | undefined): number | undefined {
  return header !== undefined && header !== null && /^\d{1,5}$/.test(header) ? Number(header) : undefined
}

function parseText(json: Record<string, unknown>, name: keyof TokenResponse, pattern: RegExp): string | undefined {
  const value = json[name]
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value !== 'string' || !pattern.test(value)) throw wrongResponse(`${name} is not valid`)
  return value
}

function readText(json: Record<string, unknown>, name: keyof TokenResponse, pattern: RegExp): string | undefined {
  const value = json[name]
  return typeof value === 'string' && pattern.test(value) ? value : undefined
}

/** Text or, as some providers write it, a list. An empty one grants nothing, and words that RFC 6749 section 3.3 does not allow are left out. */
function readScope(value: unknown): string | undefined {
  const texts = Array.isArray(value) ? value.filter(item => typeof item === 'string') : value
  const text = Array.isArray(texts) ? texts.join(' ') : texts
  if (typeof text !== 'string') return undefined
  return text
    .split(/\s+/)
    .filter(word => VISIBLE.test(word))
    .join(' ')
}

/** Some providers send the number as a string. Nonsense counts as unknown: the member is only a hint. */
function parseLifetime(value: unknown): number | undefined {
  const seconds = typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : value
  return typeof seconds === 'number' && seconds >= 0 && seconds <= LONGEST_LIFETIME ? seconds : undefined
}

function wrongResponse(message: string): OidcError {
  return new OidcError('ERR_OIDC_TOKEN_RESPONSE', `token response: ${message}`)
}
