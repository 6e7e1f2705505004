import type { OidcErrorCode } from '../errors.js'
import type { ProofKey } from '../protocol/dpop.js'
import { parseTokenError, parseTokenResponse } from '../protocol/token-response.js'
import type { ProviderMetadata, TokenResponse } from '../protocol/wire.js'
import { type ClientAuthenticationSettings, createClientAuthentication } from './client-authentication.js'
import { requiredEndpoint } from './discovery.js'
import type { Http } from './http.js'
import type { Proofs } from './proofs.js'

export interface TokenEndpointSettings extends ClientAuthenticationSettings {
  readonly http: Http
  /** Asked for where a grant comes with a key. */
  readonly proofs: () => Promise<Proofs>
}

export interface TokensExpected {
  readonly idTokenRequired: boolean
  /** Milliseconds the request may take. Default: as all requests. */
  readonly timeout?: number | undefined
  /** What it means that the provider calls the grant invalid. Default: that of a code. */
  readonly invalidGrant?: OidcErrorCode
  /** A sentence for the operator that goes with it. */
  readonly invalidGrantMessage?: string
  /** Whether the site relies on the `authorization_details` of the response. */
  readonly usesDetails?: boolean | undefined
  /** The key that the tokens are, or will be, bound to. */
  readonly proofKey?: ProofKey | undefined
}

/**
 * One POST per call, whatever happens: a code or a refresh token that may have arrived is never sent again. The one exception is a provider
 * that has looked at the proof only, and wants another nonce in it: RFC 9449 section 8.
 */
export type RequestTokens = (
  metadata: ProviderMetadata,
  grant: Readonly<Record<string, string>>,
  expected: TokensExpected,
) => Promise<TokenResponse>

/** @see https://www.rfc-editor.org/rfc/rfc6749#section-3.2 */
export function createTokenEndpoint({ http, proofs, ...settings }: TokenEndpointSettings): RequestTokens {
  const authenticateClient = createClientAuthentication(settings)
  const methodFor = (metadata: ProviderMetadata) => settings.authentication(metadata).method

  return async function requestTokens(metadata, grant, expected) {
    const endpoint = requiredEndpoint(metadata, 'token_endpoint')
    const { proofKey: key } = expected
    const post = async (proof?: () => string) => {
      const { headers, body } = await authenticateClient(metadata, endpoint)
      return http.postForm(
        endpoint,
        { ...grant, ...body },
        { ...headers, ...(proof && { dpop: proof() }) },
        expected.timeout,
      )
    }
    const proven = key && { key, method: 'POST', url: endpoint }
    const response = await (proven ? (await proofs()).send(proven, post) : post())
    if (response.status !== 200) {
      const retryAfter = response.headers.get('retry-after')
      const request = { grantType: grant.grant_type, clientMethod: methodFor(metadata) }
      throw parseTokenError(response.status, response.providerError, { ...expected, ...request, retryAfter })
    }
    return parseTokenResponse(response.json(), {
      idTokenRequired: expected.idTokenRequired,
      isProven: key !== undefined,
      usesDetails: expected.usesDetails === true,
    })
  }
}
