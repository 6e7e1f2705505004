import { type Config, pathSuffix, redirectUri } from '../options/config.js'
import type { ClientMetadata } from '../protocol/client-metadata.js'
import { isSigned } from '../protocol/response-mode.js'
import { returnsCode } from '../protocol/response-type.js'
import type { ProviderSettings } from '../provider/provider-settings.js'

/** The options of a site, as far as one provider has to know about them. */
export interface DescribedClient {
  /** At the first of its hosts, which is the one that the provider itself calls. */
  readonly config: Config
  /** At each of its hosts. */
  readonly hosts: readonly Config[]
  readonly provider: ProviderSettings
}

/**
 * What a provider has to know about this site, with the names of OpenID Connect Dynamic Client Registration 1.0 section 2, in the order in which forms of
 * providers have it. The keys of the site are an address only: without `routes.jwks` they are for the caller to add.
 */
export function describeClient({ config, hosts, provider }: DescribedClient): ClientMetadata {
  const { responseType, scope } = config
  return withoutUndefined({
    redirect_uris: hosts.map(redirectUri),
    ...describeAddresses(config, hosts),
    response_types: [responseType],
    grant_types: grantTypes(config),
    scope: [...new Set(['openid', ...scope.split(' ')])].join(' '),
    token_endpoint_auth_method: provider.clientAuthentication,
    token_endpoint_auth_signing_alg: provider.clientAssertionAlgorithm,
    id_token_signed_response_alg: provider.idTokenAlgorithm,
    userinfo_signed_response_alg: provider.userInfoAlgorithm,
    ...describeDemands({ config, provider }),
  })
}

/** Each of several providers has addresses of its own; a sign-out at any of them ends at the same one. */
function describeAddresses(config: Config, hosts: readonly Config[]): ClientMetadata {
  const { baseUrl, routes } = config
  const suffix = pathSuffix(config)
  const address = (route: string | false) => (route === false ? undefined : baseUrl + route + suffix)
  const { logout, logoutCallback } = routes
  const ends =
    logout === false || logoutCallback === false ? undefined : hosts.map(host => host.baseUrl + logoutCallback)
  return {
    post_logout_redirect_uris: ends,
    backchannel_logout_uri: address(routes.logoutBackchannel),
    frontchannel_logout_uri: address(routes.logoutFrontchannel),
    initiate_login_uri: address(routes.initiateLogin),
    jwks_uri: address(routes.jwks),
  }
}

function grantTypes({ responseType, scope }: Config): readonly string[] {
  const hasRefresh = returnsCode(responseType) && scope.split(' ').includes('offline_access')
  return [
    ...(returnsCode(responseType) ? ['authorization_code'] : []),
    ...(responseType === 'code' ? [] : ['implicit']),
    ...(hasRefresh ? ['refresh_token'] : []),
  ]
}

/** What makes the provider refuse weaker requests in the name of this client. */
function describeDemands({ config, provider }: Omit<DescribedClient, 'hosts'>): ClientMetadata {
  const { responseMode, proofAlgorithm, pushedAuthorization, signsRequests } = config
  const { idTokenAlgorithm, requestSigning, needsCertificateBinding } = provider
  const demand = (isMade: boolean) => (isMade ? true : undefined)
  return {
    authorization_signed_response_alg: isSigned(responseMode) ? idTokenAlgorithm : undefined,
    request_object_signing_alg: requestSigning?.algorithm,
    require_signed_request_object: demand(signsRequests),
    require_pushed_authorization_requests: demand(pushedAuthorization === true),
    dpop_bound_access_tokens: demand(proofAlgorithm !== undefined),
    tls_client_certificate_bound_access_tokens: demand(needsCertificateBinding === true),
  }
}

function withoutUndefined(members: ClientMetadata): ClientMetadata {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}
