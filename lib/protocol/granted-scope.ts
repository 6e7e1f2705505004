import { OidcError } from '../errors.js'

/** The requested scopes, and the granted scopes that each channel returned. All of them are space-separated. */
export interface ScopeResponses {
  /** What is granted if no response has a scope: the scope of the request, or of the token before a refresh. */
  readonly asked: string
  /** The `scope` parameter of the authorization response. The browser carries it, so it can only narrow. */
  readonly front?: string | undefined
  /** The `scope` member of the token response. */
  readonly response?: string | undefined
}

/**
 * The scope of an access token: what the token response says, or else what was asked for (RFC 6749 section 5.1), without
 * what the authorization response leaves out.
 */
export function grantedScope({ asked, front, response }: ScopeResponses): string {
  const words = scopeWords(response ?? asked)
  const said = front === undefined ? undefined : new Set(scopeWords(front))
  return words.filter(word => said === undefined || said.has(word)).join(' ')
}

/** The words of a scope, each once, in the order they came. */
export function scopeWords(scope: string | undefined): readonly string[] {
  return [...new Set(scope?.split(' ').filter(Boolean))]
}

/** A scope as the key of a cache: the order of the words does not matter. */
export function scopeKey(scope: string | undefined): readonly string[] {
  return [...scopeWords(scope)].sort()
}

/** These say what the token response contains. Many providers do not list them as part of the scope of an access token. */
const ABOUT_THE_RESPONSE = ['openid', 'offline_access']

/** Scopes of OpenID Connect Core 1.0 sections 5.4 and 11. Some providers add them to every token; they open no API but userinfo. */
const ABOUT_THE_USER = [...ABOUT_THE_RESPONSE, 'profile', 'email', 'address', 'phone']

/**
 * Whether a token can do what it was asked for.
 *
 * @throws {OidcError} ERR_OIDC_TOKEN_DENIED with the words that are missing
 */
export function checkScopeGranted(asked: string | undefined, granted: string): void {
  const has = new Set([...scopeWords(granted), ...ABOUT_THE_RESPONSE])
  const missing = scopeWords(asked).filter(word => !has.has(word))
  if (missing.length === 0) return
  const message = `the provider issued a token without the requested scope "${missing.join(' ')}"`
  throw new OidcError('ERR_OIDC_TOKEN_DENIED', message, { cause: { missing: missing.join(' ') } })
}

/**
 * Whether a token that was asked for with less scope can do no more than that. Some providers ignore the scope of a refresh and say so.
 *
 * @throws {OidcError} ERR_OIDC_TOKEN_DENIED with the words that were not asked for
 */
export function checkScopeNarrowed(asked: string | undefined, granted: string): void {
  if (asked === undefined) return
  const allowed = new Set([...scopeWords(asked), ...ABOUT_THE_USER])
  const beyond = scopeWords(granted).filter(word => !allowed.has(word))
  if (beyond.length === 0) return
  const message =
    'the provider ignored the requested scope and issued a token with more permissions; ' +
    'leave the scope out to use the main token, or ask with a resource'
  throw new OidcError('ERR_OIDC_TOKEN_DENIED', message, { cause: { beyond: beyond.join(' ') } })
}
