import { type Config, epochSeconds } from '../options/config.js'
import type { TokenResponse } from '../protocol/wire.js'

/**
 * An access token as it is kept. A lifetime of 0 counts as unknown: a provider does not hand out what is void.
 *
 * @param scope - what was granted, see {@link grantedScope}
 */
export function accessTokenFields(
  config: Pick<Config, 'now'>,
  { access_token, token_type, expires_in = 0 }: TokenResponse,
  scope: string,
) {
  const issuedAt = epochSeconds(config)
  return {
    accessToken: access_token,
    tokenType: token_type,
    scope,
    issuedAt,
    ...(expires_in > 0 && { expiresAt: issuedAt + Math.floor(expires_in) }),
  }
}
