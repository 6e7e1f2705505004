import { isPlain } from '../validation/object-rule.js'
import type { Environment } from '../validation/place.js'
import type { DescribedClient } from './describe-client.js'
import { configureOne, type Fill, type SiteOptions } from './one-provider.js'

/** Stand for what is not there before the registration: no request has them. */
const ID = 'not-registered-yet'
const SECRET = 'stands for the client secret until the provider has issued one: 64 bytes and more'

/**
 * The options of a site that has no client yet. Redis is not needed, and the session secret may be missing.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS, ERR_OIDC_PROVIDER_UNKNOWN, ERR_OIDC_PROVIDER_UNAVAILABLE
 */
export function configureClient(
  options: SiteOptions,
  provider: string | undefined,
  environment: Environment,
): Promise<DescribedClient> {
  const { NODE_ENV: _n, OIDC_CLIENT_ID: _i, OIDC_CLIENT_SECRET: _s, ...others } = environment
  if (!isPlain(options)) return configureOne(options, provider, others)
  const { secret = others.SESSION_SECRET === undefined ? SECRET : undefined } = options
  return configureOne({ ...options, ...(secret !== undefined && { secret }) }, provider, others, complete)
}

const complete: Fill = given => {
  const { clientId = ID, clientSecret, clientAuthentication: method } = given
  const isSecretless = typeof method === 'object' ? method?.method === 'private_key_jwt' : isWithoutSecret(method)
  const placeholder = isSecretless ? undefined : SECRET
  return {
    ...given,
    clientId,
    ...((clientSecret ?? placeholder) !== undefined && { clientSecret: clientSecret ?? placeholder }),
  }
}

function isWithoutSecret(method: string | undefined): boolean {
  return method === 'none' || method === 'tls_client_auth' || method === 'self_signed_tls_client_auth'
}
