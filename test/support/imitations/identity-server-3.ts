import { hybridTypes, type Traits } from './traits.js'

export type IdentityServer3Flow = 'Hybrid' | 'HybridWithProofKey' | 'AuthorizationCode' | 'Implicit'

const responseTypes: Readonly<Record<IdentityServer3Flow, readonly string[]>> = {
  Hybrid: hybridTypes,
  HybridWithProofKey: hybridTypes,
  AuthorizationCode: ['code'],
  Implicit: ['id_token', 'id_token token', 'token'],
}

/**
 * IdentityServer3 2.7. The flow of a client decides about PKCE: two flows insist on it and the others refuse `code_verifier`, while the
 * metadata list both methods for all.
 */
export function identityServer3({ flow = 'Hybrid' }: { readonly flow?: IdentityServer3Flow } = {}): Traits {
  return {
    name: `IdentityServer3, flow ${flow}`,
    responseTypes: responseTypes[flow],
    metadata: {
      token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'],
      code_challenge_methods_supported: ['plain', 'S256'],
      frontchannel_logout_supported: true,
      frontchannel_logout_session_supported: true,
    },
    pkce: flow === 'HybridWithProofKey' ? 'required' : 'ignored',
    issParameter: 'never',
    ignoresCaseOfRedirectUris: true,
    errorsToSite: ['access_denied', 'login_required', 'consent_required', 'interaction_required', 'invalid_scope'],
    maxAge: 'to the millisecond',
    tokens: {
      saysScope: false,
      hashesAccessToken: false,
      keepsSidOnRefresh: false,
      wrongRedirectUri: 'unauthorized_client',
      scopeOnRefresh: 'ignored',
      disabledUser: 'invalid_request',
      scopeTaken: 'invalid_grant',
      leeway: 0,
    },
    clients: {
      refusal: 400,
      decodesBasic: false,
      assertion: { audiences: ['token endpoint'], typ: 'ignored', remembersIds: false },
    },
    signOut: { logoutToken: undefined, frame: ['sid'], needsHint: true },
  }
}
