import { listedResponseTypes, type Traits } from './traits.js'

/** OpenIddict 7.8. Its errors go back to the site only where a registered address is known and the fault is the user's. */
export function openIddict(): Traits {
  return {
    name: 'OpenIddict',
    responseTypes: listedResponseTypes,
    metadata: {
      token_endpoint_auth_methods_supported: ['client_secret_post', 'private_key_jwt', 'client_secret_basic'],
      code_challenge_methods_supported: ['plain', 'S256'],
      authorization_response_iss_parameter_supported: true,
      claims_parameter_supported: false,
      request_parameter_supported: false,
      request_uri_parameter_supported: false,
    },
    pkce: 'optional',
    issParameter: 'always',
    ignoresCaseOfRedirectUris: false,
    errorsToSite: ['access_denied', 'login_required', 'consent_required', 'interaction_required'],
    maxAge: 'once',
    tokens: {
      saysScope: true,
      hashesAccessToken: true,
      keepsSidOnRefresh: true,
      wrongRedirectUri: 'invalid_grant',
      scopeOnRefresh: 'honoured',
      disabledUser: 'invalid_grant',
      scopeTaken: undefined,
      leeway: 30,
    },
    clients: {
      refusal: 401,
      decodesBasic: true,
      assertion: { audiences: ['issuer'], typ: 'required', remembersIds: false },
    },
    signOut: { logoutToken: undefined, frame: undefined, needsHint: false },
  }
}
