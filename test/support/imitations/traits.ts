import type { Claims } from '../hostile-faults.js'

/** How one provider differs from the others. What is the same in all of them is in the files that take these traits. */
export interface Traits {
  /** As a test calls it: `IdentityServer3, flow Hybrid`. */
  readonly name: string
  /** Response types that this client may use; the metadata list {@link listedResponseTypes}. */
  readonly responseTypes: readonly string[]
  /** Merged over the discovery document. */
  readonly metadata: Claims
  /**
   * `ignored`: `code_challenge` is not looked at, and `code_verifier` is refused. `optional`: checked where a challenge was sent.
   * `required`: an authorization request without a challenge is refused.
   */
  readonly pkce: 'ignored' | 'optional' | 'required'
  /** When the response carries the parameter `iss` (RFC 9207). */
  readonly issParameter: 'never' | 'code alone' | 'always'
  /** Whether redirect URIs are compared without regard to case. */
  readonly ignoresCaseOfRedirectUris: boolean
  /** Errors that the site gets to see; all others end on a page of the provider. */
  readonly errorsToSite: readonly string[]
  /**
   * `to the millisecond`: the login page comes while `now > auth_time + max_age`, so `max_age=0` never ends. `to the second`: the same with
   * whole seconds. `once`: `max_age=0` asks once.
   */
  readonly maxAge: 'to the millisecond' | 'to the second' | 'once'
  readonly tokens: TokenTraits
  readonly clients: ClientTraits
  readonly signOut: SignOutTraits
}

export interface TokenTraits {
  /** Whether the token endpoint says which scope was granted. */
  readonly saysScope: boolean
  /** Whether the ID Token of the token endpoint has `at_hash`. */
  readonly hashesAccessToken: boolean
  /** Whether a refreshed ID Token still has `sid`. */
  readonly keepsSidOnRefresh: boolean
  /** The error for a code with a wrong `redirect_uri`. */
  readonly wrongRedirectUri: 'unauthorized_client' | 'invalid_grant'
  /** The `scope` of a refresh request. */
  readonly scopeOnRefresh: 'ignored' | 'honoured'
  /** The error for a refresh by a user who was disabled. */
  readonly disabledUser: 'invalid_request' | 'invalid_grant'
  /** The error for a refresh after a scope was taken from the client; `undefined`: nothing happens. */
  readonly scopeTaken: 'invalid_scope' | 'invalid_grant' | undefined
  /** Seconds for which a one-time refresh token may come again. */
  readonly leeway: number
}

export interface ClientTraits {
  /** The status of `invalid_client`. */
  readonly refusal: 400 | 401
  /** Whether id and secret in an Authorization header are form-decoded (RFC 6749 section 2.3.1). */
  readonly decodesBasic: boolean
  readonly assertion: {
    /** Names for the provider that an assertion may have as `aud`, as a string. */
    readonly audiences: readonly ('issuer' | 'token endpoint')[]
    /** Header `typ: client-authentication+jwt`: `strict` takes the issuer alone with it, `required` takes no assertion without it. */
    readonly typ: 'ignored' | 'strict' | 'required'
    /** Whether a `jti` that was used is refused. */
    readonly remembersIds: boolean
  }
}

export interface SignOutTraits {
  /** `undefined`: there is no back-channel logout. */
  readonly logoutToken: { readonly typ: string } | undefined
  /** Parameters of the frame; `undefined`: there are no frames. */
  readonly frame: readonly ('iss' | 'sid')[] | undefined
  /** Whether a sign-out without a hint asks and then ends on a page of the provider. */
  readonly needsHint: boolean
}

export const listedResponseTypes = [
  'code',
  'token',
  'id_token',
  'id_token token',
  'code id_token',
  'code token',
  'code id_token token',
]

export const hybridTypes = ['code id_token', 'code token', 'code id_token token']
