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

/** Everything that is traded for tokens. Each call sends its grant exactly once. */
export interface Grants {
  redeemCode(grant: CodeGrant): Promise<TokenResponse>
  /** @throws {OidcError} ERR_OIDC_REFRESH_REJECTED where the provider calls the refresh token invalid */
  refreshTokens(grant: RefreshGrant): Promise<TokenResponse>
  /** Tokens for this client itself. */
  requestClientTokens(grant: ClientCredentialsGrant): Promise<TokenResponse>
  /** @throws {OidcError} ERR_OIDC_TOKEN_DENIED where the provider does not trade this token */
  exchangeToken(grant: ExchangeGrant): Promise<TokenResponse>
}

export function createGrants(metadata: () => Promise<ProviderMetadata>, requestTokens: RequestTokens): Grants {
  return {
    async redeemCode(grant) {
      return requestTokens(await metadata(), buildCodeGrant(grant), { idTokenRequired: true })
    },
    async refreshTokens(grant) {
      const expected = { idTokenRequired: false, invalidGrant: 'ERR_OIDC_REFRESH_REJECTED' } as const
      return requestTokens(await metadata(), buildRefreshGrant(grant), expected)
    },
    async requestClientTokens(grant) {
      const expected = { idTokenRequired: false, invalidGrant: 'ERR_OIDC_TOKEN_DENIED' } as const
      return requestTokens(await metadata(), buildClientCredentialsGrant(grant), expected)
    },
    async exchangeToken(grant) {
      const expected = { idTokenRequired: false, invalidGrant: 'ERR_OIDC_TOKEN_DENIED' } as const
      return requestTokens(await metadata(), buildExchangeGrant(grant), expected)
    },
  }
}
