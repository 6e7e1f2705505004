import { listedResponseTypes, type Traits } from './traits.js'

/** IdentityServer4 4.1. It makes logout tokens by the code that makes access tokens, and so they have their `typ`. */
export function identityServer4(): Traits {
  return {
    name: 'IdentityServer4',
    responseTypes: listedResponseTypes,
    metadata: {
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
      code_challenge_methods_supported: ['plain', 'S256'],
      frontchannel_logout_supported: true,
      frontchannel_logout_session_supported: true,
      backchannel_logout_supported: true,
      backchannel_logout_session_supported: true,
      request_parameter_supported: true,
    },
    pkce: 'optional',
    issParameter: 'never',
    ignoresCaseOfRedirectUris: false,
    errorsToSite: [
      'access_denied',
      'account_selection_required',
      'login_required',
      'consent_required',
      'interaction_required',
    ],
    maxAge: 'to the second',
    tokens: {
      saysScope: true,
      hashesAccessToken: true,
      keepsSidOnRefresh: true,
      wrongRedirectUri: 'invalid_grant',
      scopeOnRefresh: 'ignored',
      disabledUser: 'invalid_request',
      scopeTaken: undefined,
      leeway: 0,
    },
    clients: {
      refusal: 400,
      decodesBasic: true,
      assertion: { audiences: ['token endpoint'], typ: 'ignored', remembersIds: true },
    },
    signOut: { logoutToken: { typ: 'at+jwt' }, frame: ['sid', 'iss'], needsHint: true },
  }
}

/** Open.IdentityServer 1.0, the maintained fork: the same but for the age of a sign-in. Its `iss` parameter is off unless switched on. */
export function openIdentityServer(): Traits {
  return { ...identityServer4(), name: 'Open.IdentityServer', maxAge: 'to the millisecond' }
}
