/**
 * Records as they travel, with the names the specifications give them. Everything here arrived from elsewhere, so everything
 * is read-only, and what a specification does not promise is `unknown`.
 */

/** OpenID Connect Discovery 1.0 section 3, with the members this package uses. */
export interface ProviderMetadata {
  readonly issuer: string
  readonly authorization_endpoint: string
  readonly token_endpoint?: string
  readonly userinfo_endpoint?: string
  readonly jwks_uri?: string
  readonly end_session_endpoint?: string
  readonly revocation_endpoint?: string
  readonly check_session_iframe?: string
  readonly scopes_supported?: readonly string[]
  readonly response_types_supported?: readonly string[]
  readonly response_modes_supported?: readonly string[]
  readonly token_endpoint_auth_methods_supported?: readonly string[]
  readonly token_endpoint_auth_signing_alg_values_supported?: readonly string[]
  readonly id_token_signing_alg_values_supported?: readonly string[]
  readonly authorization_response_iss_parameter_supported?: boolean
  readonly [member: string]: unknown
}

/** The claims of an ID Token after every check has passed. OpenID Connect Core 1.0 section 2. */
export interface IdTokenClaims {
  readonly iss: string
  readonly sub: string
  readonly aud: string | readonly string[]
  /** Seconds since the epoch. */
  readonly exp: number
  /** Seconds since the epoch. */
  readonly iat: number
  readonly nonce?: string
  readonly azp?: string
  /** Seconds since the epoch. */
  readonly auth_time?: number
  readonly acr?: string
  readonly sid?: string
  readonly [claim: string]: unknown
}

/** A token endpoint answer that has been checked for its shape. RFC 6749 section 5.1, OpenID Connect Core 1.0 section 3.1.3.3. */
export interface TokenResponse {
  readonly access_token: string
  readonly token_type: string
  /** Seconds. Absent where the provider said nothing usable. */
  readonly expires_in?: number
  readonly scope?: string
  readonly refresh_token?: string
  readonly id_token?: string
}

/** A userinfo answer that has been checked for its shape. OpenID Connect Core 1.0 section 5.3.2. */
export interface UserInfo {
  readonly sub: string
  readonly [claim: string]: unknown
}

/** The response types this package speaks, in the word order of OAuth 2.0 Multiple Response Types 1.0. */
export type ResponseType = 'code' | 'code id_token' | 'code token' | 'code id_token token' | 'id_token'

/** How the provider hands its answer over. OAuth 2.0 Form Post Response Mode 1.0. */
export type ResponseMode = 'form_post' | 'query'

/** OpenID Connect Core 1.0 section 9. */
export type ClientAuthenticationMethod =
  | 'client_secret_basic'
  | 'client_secret_post'
  | 'client_secret_jwt'
  | 'private_key_jwt'
  | 'none'

/** Algorithms an ID Token may be signed with here. `none` is not among them, on purpose. */
export type SigningAlgorithm =
  | 'RS256'
  | 'RS384'
  | 'RS512'
  | 'PS256'
  | 'PS384'
  | 'PS512'
  | 'ES256'
  | 'ES384'
  | 'ES512'
  | 'EdDSA'
  | 'Ed25519'
  | 'HS256'
  | 'HS384'
  | 'HS512'
