import { identityServer4 } from './identity-server-4.js'
import type { Traits } from './traits.js'

export interface DuendeOptions {
  /** `StrictClientAssertionAudienceValidation`. */
  readonly strictAudience?: boolean
  /** `RequirePushedAuthorization`. */
  readonly requiresPushedRequests?: boolean
  /** `EmitIssuerIdentificationResponseParameter`. Default true. */
  readonly emitsIssuer?: boolean
}

/** Duende IdentityServer 7.4. */
export function duende(options: DuendeOptions = {}): Traits {
  const { strictAudience = false, requiresPushedRequests = false, emitsIssuer = true } = options
  const base = identityServer4()
  return {
    ...base,
    name: 'Duende IdentityServer',
    metadata: {
      ...base.metadata,
      authorization_response_iss_parameter_supported: emitsIssuer,
      require_pushed_authorization_requests: requiresPushedRequests,
    },
    issParameter: emitsIssuer ? 'code alone' : 'never',
    maxAge: 'once',
    tokens: { ...base.tokens, scopeTaken: 'invalid_scope' },
    clients: {
      refusal: 400,
      decodesBasic: true,
      assertion: {
        audiences: strictAudience ? ['issuer'] : ['issuer', 'token endpoint'],
        typ: strictAudience ? 'required' : 'strict',
        remembersIds: true,
      },
    },
    signOut: { ...base.signOut, logoutToken: { typ: 'logout+jwt' } },
  }
}
