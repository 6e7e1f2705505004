import type { OidcErrorCode } from '../errors.js'
import { parseTokenError, parseTokenResponse } from '../protocol/token-response.js'
import type { ProviderMetadata, TokenResponse } from '../protocol/wire.js'
import { type ClientAuthenticationSettings, createClientAuthentication } from './client-authentication.js'
import { requiredEndpoint } from './discovery.js'
import type { Http } from './http.js'

export interface TokenEndpointSettings extends ClientAuthenticationSettings {
  readonly http: Http
}

export interface TokensExpected {
  readonly idTokenRequired: boolean
  /** Milliseconds the request may take. Default: as all requests. */
  readonly timeout?: number | undefined
  /** What it means that the provider calls the grant invalid. Default: that of a code. */
  readonly invalidGrant?: OidcErrorCode
  /** A sentence for the operator that goes with it. */
  readonly invalidGrantMessage?: string
}

/** One POST per call, whatever happens: a code or a refresh token that may have arrived is never sent again. */
export type RequestTokens = (
  metadata: ProviderMetadata,
  grant: Readonly<Record<string, string>>,
  expected: TokensExpected,
) => Promise<TokenResponse>

/** @see https://www.rfc-editor.org/rfc/rfc6749#section-3.2 */
export function createTokenEndpoint({ http, ...settings }: TokenEndpointSettings): RequestTokens {
  const buildProof = createClientAuthentication(settings)
  const methodFor = (metadata: ProviderMetadata) => settings.authentication(metadata).method

  return async function requestTokens(metadata, grant, expected) {
    const endpoint = requiredEndpoint(metadata, 'token_endpoint')
    const { headers, body } = await buildProof(metadata, endpoint)
    const response = await http.postForm(endpoint, { ...grant, ...body }, headers, expected.timeout)
    if (response.status !== 200) {
      const retryAfter = response.headers.get('retry-after')
      const request = { grantType: grant.grant_type, clientMethod: methodFor(metadata) }
      throw parseTokenError(response.status, response.providerError, { ...expected, ...request, retryAfter })
    }
    return parseTokenResponse(response.json(), expected)
  }
}
