import { OidcError, type OidcErrorCode, type ProviderError } from '../errors.js'
import { isJsonObject } from './json.js'
import { adviseOnRefusal } from './token-refusal.js'
import type { ClientAuthenticationMethod, ProviderMetadata } from './wire.js'

/** Whether authorization requests are pushed. `auto`: where the provider requires it. */
export type PushedAuthorization = 'auto' | boolean

/** Characters of a reference to a request. It goes into an address. */
const REFERENCE = /^[\x21-\x7e]{1,2048}$/

/** RFC 9126 section 5. */
export function isPushed(
  { require_pushed_authorization_requests: isRequired }: ProviderMetadata,
  setting: PushedAuthorization = 'auto',
): boolean {
  return setting === true || (setting === 'auto' && isRequired === true)
}

/**
 * The `request_uri` of a pushed request. How long it lives does not matter, because the browser is sent there at once. RFC 9126 section 2.2.
 *
 * @throws {OidcError} ERR_OIDC_PROVIDER_RESPONSE
 */
export function parsePushedResponse(json: unknown): string {
  const reference = isJsonObject(json) ? json.request_uri : undefined
  if (typeof reference === 'string' && REFERENCE.test(reference) && URL.canParse(reference)) return reference
  throw new OidcError('ERR_OIDC_PROVIDER_RESPONSE', 'the response to a pushed authorization request has no request_uri')
}

/** What the browser takes to the provider instead of the request. RFC 9126 section 4: nothing else. */
export function buildReference(clientId: string, requestUri: string): URLSearchParams {
  return new URLSearchParams({ client_id: clientId, request_uri: requestUri })
}

/** A refused push, as the provider responds to it. RFC 9126 section 2.3. */
export interface RefusedPush {
  readonly status: number
  readonly providerError: ProviderError | undefined
  readonly clientMethod: ClientAuthenticationMethod
  /** Seconds, where the provider says when to try again. */
  readonly retryAfter?: number | undefined
}

/** The error that a refused push amounts to. The browser has not left yet. */
export function describeRefusedPush({ status, providerError, clientMethod, retryAfter }: RefusedPush): OidcError {
  const error = providerError?.error
  const isTrouble = status === 429 || status >= 500
  const code = isTrouble ? 'ERR_OIDC_PROVIDER_UNAVAILABLE' : codeOf(error)
  const advice = isTrouble
    ? undefined
    : adviseOnRefusal({ status, error, clientMethod, grantType: 'authorization_code' })
  const message = advice ?? `the provider responded to a pushed authorization request with status ${status}`
  const cause = { status, ...(error !== undefined && { error }), ...(retryAfter !== undefined && { retryAfter }) }
  return new OidcError(code, message, { cause, providerError })
}

function codeOf(error: string | undefined): OidcErrorCode {
  if (error === undefined) return 'ERR_OIDC_PROVIDER_RESPONSE'
  const isAboutClient = error === 'invalid_client' || error === 'unauthorized_client'
  return isAboutClient ? 'ERR_OIDC_CLIENT_REJECTED' : 'ERR_OIDC_AUTHORIZATION_FAILED'
}
