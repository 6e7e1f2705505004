import type { OidcErrorCode } from '../errors.js'
import type { ClientAuthenticationMethod } from './wire.js'

/** What a token request was about, for the sentence that an operator reads when it is refused. */
export interface RefusedRequest {
  readonly status: number
  readonly error: string | undefined
  /** `grant_type`. */
  readonly grantType?: string | undefined
  /** How the client proved itself. */
  readonly clientMethod?: ClientAuthenticationMethod | undefined
}

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'

/**
 * What the codes of RFC 6749 mean in a token exchange. A provider also responds like this where the exchange is not switched on, where it does
 * not trade this token, or where it does not know the audience. RFC 8693 section 2.2.2.
 */
export function exchangeRefusal({ status, error, grantType }: RefusedRequest): OidcErrorCode | undefined {
  if (grantType !== EXCHANGE) return undefined
  if (error === 'invalid_request' || error === 'unauthorized_client') return 'ERR_OIDC_TOKEN_DENIED'
  // A client that is not known gets 401. RFC 6749 section 5.2.
  return error === 'invalid_client' && status === 400 ? 'ERR_OIDC_TOKEN_DENIED' : undefined
}

/** A sentence that says what to do about a refused request, where there is something to do on this side. */
export function adviseOnRefusal(request: RefusedRequest): string | undefined {
  const { error, grantType = 'this grant', clientMethod } = request
  if (exchangeRefusal(request) !== undefined) {
    return 'the provider refused the token exchange: it may not be switched on for this client, or the audience may be unknown there'
  }
  if (error === 'unauthorized_client') {
    return `the provider does not allow this client the grant ${grantType}: allow it in the registration of the client there`
  }
  if (error === 'unsupported_grant_type') return `the provider does not offer the grant ${grantType}`
  if (error === 'use_dpop_nonce') return 'the provider asked for a nonce, and then refused the nonce that it had sent'
  if (error === 'invalid_dpop_proof') {
    return 'the provider refused the DPoP proof: compare its clock with the clock of this machine, and its token_endpoint with the address under which it is reached'
  }
  if (error !== 'invalid_client') return undefined
  return `the provider refused this client: ${adviseOnMethod(clientMethod)}`
}

function adviseOnMethod(method: ClientAuthenticationMethod | undefined): string {
  switch (method) {
    case 'client_secret_basic':
      return "check clientId and clientSecret, or try clientAuthentication: 'client_secret_post'; some providers do not decode a secret with special characters in an Authorization header"
    case 'client_secret_post':
      return "check clientId and clientSecret, or try clientAuthentication: 'client_secret_basic'"
    case 'client_secret_jwt':
    case 'private_key_jwt':
      return `check the ${method === 'private_key_jwt' ? 'key' : 'secret'} that is registered there, or try another audience or typ: clientAuthentication: { method: '${method}', audience: 'token_endpoint', header: { typ: 'JWT' }, … }`
    default:
      return 'it may want a clientSecret or another clientAuthentication'
  }
}
