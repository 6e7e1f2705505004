import { epochSeconds, type SiteConfig } from '../options/config.js'
import type { AuthorizationDetail, TokenResponse } from '../protocol/wire.js'

/**
 * An access token as it is kept. A lifetime of 0 counts as unknown: a provider does not hand out what is void.
 *
 * @param scope - what was granted, see {@link grantedScope}
 * @param authorizationDetails - likewise; left out: none are known
 */
export function accessTokenFields(
  config: Pick<SiteConfig, 'now'>,
  { access_token, token_type, expires_in = 0 }: TokenResponse,
  scope: string,
  authorizationDetails?: readonly AuthorizationDetail[],
) {
  const issuedAt = epochSeconds(config)
  return {
    accessToken: access_token,
    tokenType: token_type,
    scope,
    ...(authorizationDetails !== undefined && { authorizationDetails }),
    issuedAt,
    ...(expires_in > 0 && { expiresAt: issuedAt + Math.floor(expires_in) }),
  }
}
