import { hash } from 'node:crypto'
import { checkAskedDetails } from './authorization-details.js'
import { scopeWords } from './granted-scope.js'
import { setParams } from './request-params.js'
import { returnsCode } from './response-type.js'
import type { AuthorizationDetail, ResponseMode, ResponseType } from './wire.js'

/**
 * Parameters a site adds to an authorization request, by their names on the wire. An object (`claims`) and a list of objects
 * (`authorization_details`, RFC 9396 section 2) are sent as JSON; a list of strings is repeated for `resource` (RFC 8707 section 2) and joined
 * by blanks for every other name; `undefined` is left out.
 *
 * Parameters of the protocol cannot be replaced (ERR_OIDC_OPTIONS): client_id, redirect_uri, response_type, response_mode, scope, state,
 * nonce, code_challenge, code_challenge_method, dpop_jkt, request, request_uri.
 */
export type AuthorizationParams = Readonly<
  Record<string, string | number | readonly string[] | readonly object[] | object | undefined>
> & {
  /** What the tokens are to allow, in more than words of a scope. RFC 9396. */
  readonly authorization_details?: string | readonly AuthorizationDetail[] | undefined
}

/** OpenID Connect Core 1.0 sections 3.1.2.1 and 3.3.2.1, RFC 7636 section 4.3. */
export interface AuthorizationRequest {
  /** The provider's `authorization_endpoint`. A query it has is kept. */
  readonly endpoint: string
  readonly clientId: string
  readonly redirectUri: string
  readonly responseType: ResponseType
  readonly responseMode: ResponseMode
  /** Words apart by blanks; `openid` is added where it is missing. */
  readonly scope: string
  readonly state: string
  readonly nonce: string
  /** Of the method `S256`. Sent wherever there is a code to protect. Left out: no PKCE. */
  readonly codeChallenge?: string
  /** Thumbprint of the key that the code will be bound to. RFC 9449 section 10. */
  readonly proofKeyThumbprint?: string | undefined
  readonly params?: AuthorizationParams
}

/** What the protocol itself says in a request; `request` and `request_uri` could say all of it again. */
export const RESERVED = [
  'client_id',
  'redirect_uri',
  'response_type',
  'response_mode',
  'scope',
  'state',
  'nonce',
  'code_challenge',
  'code_challenge_method',
  'dpop_jkt',
  'request',
  'request_uri',
]

/** @throws {OidcError} ERR_OIDC_OPTIONS for a parameter that would replace one of the protocol, or has no form on the wire */
export function checkAuthorizationParams(params: AuthorizationParams): void {
  setParams(new URLSearchParams(), params, RESERVED)
  checkAskedDetails(params.authorization_details)
}

/**
 * Where to send the browser to sign in.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS for a parameter that would replace one of the protocol
 */
export function buildAuthorizationUrl({ endpoint, ...request }: AuthorizationRequest): string {
  return addToEndpoint(endpoint, buildAuthorizationParams(request))
}

/** All parameters of a request, whichever way it takes. @throws {OidcError} ERR_OIDC_OPTIONS as {@link buildAuthorizationUrl} */
export function buildAuthorizationParams(request: Omit<AuthorizationRequest, 'endpoint'>): URLSearchParams {
  const query = new URLSearchParams(protocolParams(request))
  setParams(query, request.params ?? {}, RESERVED)
  return query
}

/** The endpoint with these parameters. A query of its own is kept, but for parameters of the same name. */
export function addToEndpoint(endpoint: string, params: URLSearchParams): string {
  const url = new URL(endpoint)
  // Mostly there is nothing to keep, and what `URLSearchParams` writes needs no encoding.
  if (!/[?#]/.test(url.href) && params.size > 0) return `${url.href}?${params}`
  url.search = String(url.search === '' ? params : replaceParams(new URLSearchParams(url.search), params))
  return url.href
}

function replaceParams(query: URLSearchParams, params: URLSearchParams): URLSearchParams {
  for (const name of params.keys()) query.delete(name)
  for (const [name, value] of params) query.append(name, value)
  return query
}

function protocolParams(request: Omit<AuthorizationRequest, 'endpoint'>): Record<string, string> {
  return {
    client_id: request.clientId,
    redirect_uri: request.redirectUri,
    response_type: request.responseType,
    ...(!isDefaultMode(request) && { response_mode: request.responseMode }),
    scope: withOpenId(request.scope),
    state: request.state,
    nonce: request.nonce,
    ...challengeParams(request),
    ...(request.proofKeyThumbprint !== undefined && { dpop_jkt: request.proofKeyThumbprint }),
  }
}

function challengeParams({
  responseType,
  codeChallenge,
}: Pick<AuthorizationRequest, 'responseType' | 'codeChallenge'>): Record<string, string> {
  if (codeChallenge === undefined || !returnsCode(responseType)) return {}
  return { code_challenge: codeChallenge, code_challenge_method: 'S256' }
}

/** OAuth 2.0 Multiple Response Types 1.0 section 2.1: naming the default mode is not recommended. */
function isDefaultMode({
  responseType,
  responseMode,
}: Pick<AuthorizationRequest, 'responseType' | 'responseMode'>): boolean {
  return responseType === 'code' && responseMode === 'query'
}

function withOpenId(scope: string): string {
  return scopeWords(`openid ${scope}`).join(' ')
}

/** The `S256` challenge of a verifier. RFC 7636 section 4.2. */
export function buildCodeChallenge(codeVerifier: string): string {
  return hash('sha256', codeVerifier, 'base64url')
}
