import { OidcError } from '../errors.js'
import { buildRevocation } from '../protocol/token-request.js'
import type { ProviderMetadata } from '../protocol/wire.js'
import { type ClientAuthenticationSettings, createClientAuthentication } from './client-authentication.js'
import type { Http } from './http.js'
import { checkStatus } from './response.js'

export interface RevocationEndpointSettings extends ClientAuthenticationSettings {
  readonly http: Http
}

/** Gives a token back. @throws {OidcError} ERR_OIDC_UNSUPPORTED where the provider takes none back, and what went wrong */
export type RevokeToken = (
  metadata: ProviderMetadata,
  token: string,
  hint: 'refresh_token' | 'access_token',
) => Promise<void>

/** @see https://www.rfc-editor.org/rfc/rfc7009 */
export function createRevocationEndpoint({ http, ...settings }: RevocationEndpointSettings): RevokeToken {
  const authenticateClient = createClientAuthentication(settings)
  return async function revokeToken(metadata, token, hint) {
    const endpoint = metadata.revocation_endpoint
    if (endpoint === undefined) throw new OidcError('ERR_OIDC_UNSUPPORTED', 'the provider does not offer revocation')
    const { headers, body } = await authenticateClient(metadata, endpoint)
    checkStatus(await http.postForm(endpoint, { ...buildRevocation(token, hint), ...body }, headers), 'a revocation')
  }
}
