import type { ProofKey } from '../protocol/dpop.js'
import {
  buildClientCredentialsGrant,
  buildCodeGrant,
  buildExchangeGrant,
  buildRefreshGrant,
  type ClientCredentialsGrant,
  type CodeGrant,
  type ExchangeGrant,
  type RefreshGrant,
} from '../protocol/token-request.js'
import type { ProviderMetadata, TokenResponse } from '../protocol/wire.js'
import type { RequestTokens } from './token-endpoint.js'

/** What a grant comes with besides its parameters. */
export interface Bound {
  /** The key that tokens are bound to. Left out: they are bearer tokens. */
  readonly proofKey?: ProofKey | undefined
  /** Whether the site relies on the `authorization_details` of the response. */
  readonly usesDetails?: boolean
}

/** Everything that is traded for tokens. Each call sends its grant exactly once, but for the nonce of a DPoP proof. */
export interface Grants {
  redeemCode(grant: CodeGrant & Bound): Promise<TokenResponse>
  /**
   * @param timeout - milliseconds the request may take. Default: as all requests
   * @throws {OidcError} ERR_OIDC_REFRESH_REJECTED where the provider calls the refresh token invalid
   */
  refreshTokens(grant: RefreshGrant & Bound, timeout?: number): Promise<TokenResponse>
  /** Tokens for this client itself. */
  requestClientTokens(grant: ClientCredentialsGrant): Promise<TokenResponse>
  /** @throws {OidcError} ERR_OIDC_TOKEN_DENIED where the provider does not trade this token */
  exchangeToken(grant: ExchangeGrant & Bound): Promise<TokenResponse>
}

export function createGrants(metadata: () => Promise<ProviderMetadata>, requestTokens: RequestTokens): Grants {
  return {
    async redeemCode(grant) {
      const { proofKey, usesDetails } = grant
      const expected = { idTokenRequired: true, invalidGrantMessage: describeRefusedCode(grant), proofKey, usesDetails }
      return requestTokens(await metadata(), buildCodeGrant(grant), expected)
    },
    async refreshTokens(grant, timeout) {
      const { proofKey, usesDetails } = grant
      const invalidGrant = 'ERR_OIDC_REFRESH_REJECTED' as const
      const expected = { idTokenRequired: false, timeout, invalidGrant, proofKey, usesDetails }
      return requestTokens(await metadata(), buildRefreshGrant(grant), expected)
    },
    async requestClientTokens(grant) {
      const usesDetails = grant.authorizationDetails !== undefined
      const expected = { idTokenRequired: false, invalidGrant: 'ERR_OIDC_TOKEN_DENIED', usesDetails } as const
      return requestTokens(await metadata(), buildClientCredentialsGrant(grant), expected)
    },
    async exchangeToken(grant) {
      const { proofKey, authorizationDetails } = grant
      const usesDetails = authorizationDetails !== undefined
      const expected = { idTokenRequired: false, invalidGrant: 'ERR_OIDC_TOKEN_DENIED', proofKey, usesDetails } as const
      return requestTokens(await metadata(), buildExchangeGrant(grant), expected)
    },
  }
}

/** The provider says `invalid_grant` for a single code that is no longer good, and also for each code of a client it knows otherwise. */
function describeRefusedCode({ codeVerifier }: CodeGrant): string {
  const reasons = 'the provider refused the code: it is too old, was used before, or belongs to another redirect URI'
  const always =
    codeVerifier === undefined
      ? 'it may require PKCE for this client: remove pkce: false'
      : 'it may refuse code_verifier for this client, as IdentityServer3 does with the flows Hybrid and AuthorizationCode: set pkce: false, or register the flow HybridWithProofKey or AuthorizationCodeWithProofKey there'
  return `${reasons}. If it refuses every code, ${always}`
}
