import { type Config, redirectUri } from '../options/config.js'
import { isSigned } from '../protocol/response-mode.js'
import { returnsCode } from '../protocol/response-type.js'
import type { Setup } from './setup.js'

/** One line of the form that a provider has for a client, with the name of OpenID Connect Dynamic Client Registration 1.0. */
export interface RegistrationField {
  readonly name: string
  readonly value: string
}

/** What the provider has to know about this site. */
export function describeRegistration({
  config,
  provider,
}: Pick<Setup, 'config' | 'provider'>): readonly RegistrationField[] {
  const { baseUrl, routes, clientId, responseType, scope } = config
  const address = (name: string, route: string | false) => (route === false ? [] : [{ name, value: baseUrl + route }])
  const hasRefresh = returnsCode(responseType) && scope.split(' ').includes('offline_access')
  const grants = [
    ...(returnsCode(responseType) ? ['authorization_code'] : []),
    ...(responseType === 'code' ? [] : ['implicit']),
    ...(hasRefresh ? ['refresh_token'] : []),
  ]
  return [
    { name: 'client_id', value: clientId },
    { name: 'redirect_uris', value: redirectUri(config) },
    ...(routes.logout === false ? [] : address('post_logout_redirect_uris', routes.logoutCallback)),
    ...address('backchannel_logout_uri', routes.logoutBackchannel),
    ...address('frontchannel_logout_uri', routes.logoutFrontchannel),
    ...address('initiate_login_uri', routes.initiateLogin),
    { name: 'response_types', value: responseType },
    { name: 'grant_types', value: grants.join(' ') },
    { name: 'scope', value: [...new Set(['openid', ...scope.split(' ')])].join(' ') },
    ...address('jwks_uri', routes.jwks),
    ...describeProtection(config, provider),
  ]
}

/** What the options demand: a provider that is told so refuses a request that does less. */
function describeProtection(config: Config, provider: Setup['provider']): readonly RegistrationField[] {
  const { idTokenAlgorithm, clientAuthentication, needsCertificateBinding } = provider
  const fields = {
    token_endpoint_auth_method: clientAuthentication,
    require_pushed_authorization_requests: config.pushedAuthorization === true,
    require_signed_request_object: config.signsRequests,
    dpop_bound_access_tokens: config.proofAlgorithm !== undefined,
    tls_client_certificate_bound_access_tokens: needsCertificateBinding,
    id_token_signed_response_alg: idTokenAlgorithm,
    authorization_signed_response_alg: isSigned(config.responseMode) && idTokenAlgorithm,
  }
  return Object.entries(fields).flatMap(([name, value]) =>
    value === undefined || value === false ? [] : [{ name, value: String(value) }],
  )
}
