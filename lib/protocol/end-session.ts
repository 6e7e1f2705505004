import { type RequestParams, setParams } from './request-params.js'

/** OpenID Connect RP-Initiated Logout 1.0 section 2. */
export interface EndSessionRequest {
  /** The provider's `end_session_endpoint`. A query it has is kept. */
  readonly endpoint: string
  /** Tells the provider which session to end, so that it need not ask the user. */
  readonly idTokenHint?: string
  readonly clientId: string
  /** Has to be registered with the provider. */
  readonly postLogoutRedirectUri?: string
  /** Comes back to `postLogoutRedirectUri`. */
  readonly state?: string
  /** Languages in order of preference, apart by blanks. BCP 47. */
  readonly uiLocales?: string
  readonly params?: RequestParams
}

const RESERVED = ['id_token_hint', 'client_id', 'post_logout_redirect_uri', 'state']

/** @throws {OidcError} ERR_OIDC_OPTIONS for a parameter that would replace one of the protocol, or has no form on the wire */
export function checkEndSessionParams(params: RequestParams): void {
  setParams(new URLSearchParams(), params, RESERVED)
}

/**
 * Where to send the browser to sign out at the provider.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS for a parameter that would replace one of the protocol
 */
export function buildEndSessionUrl(request: EndSessionRequest): string {
  const url = new URL(request.endpoint)
  const own = {
    id_token_hint: request.idTokenHint,
    client_id: request.clientId,
    post_logout_redirect_uri: request.postLogoutRedirectUri,
    state: request.state,
    ui_locales: request.uiLocales,
  }
  setParams(url.searchParams, own, [])
  setParams(url.searchParams, request.params ?? {}, RESERVED)
  return url.href
}
