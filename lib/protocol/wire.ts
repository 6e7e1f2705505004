/**
 * Records as they travel, with the names the specifications give them. Everything here arrived from elsewhere, so everything
 * is read-only, and what a specification does not promise is `unknown`.
 */

/** OpenID Connect Discovery 1.0 section 3, with the members this package uses. */
export interface ProviderMetadata {
  /** Its identifier, compared byte for byte. */
  readonly issuer: string
  /** Where the browser goes to sign in. */
  readonly authorization_endpoint: string
  /** Where codes and refresh tokens are traded for tokens. */
  readonly token_endpoint?: string
  /** Where claims are asked for with an access token. */
  readonly userinfo_endpoint?: string
  /** Where its public keys are. */
  readonly jwks_uri?: string
  /** Where the browser goes to sign out. OpenID Connect RP-Initiated Logout 1.0. */
  readonly end_session_endpoint?: string
  /** Where tokens are given back. RFC 7009. */
  readonly revocation_endpoint?: string
  /** Where authorization requests are sent before the browser leaves. RFC 9126 section 5. */
  readonly pushed_authorization_request_endpoint?: string
  /** A page to embed that knows the session there. OpenID Connect Session Management 1.0. */
  readonly check_session_iframe?: string
  /** Scopes it offers; not all have to be named. */
  readonly scopes_supported?: readonly string[]
  /** Response types it offers. */
  readonly response_types_supported?: readonly string[]
  /** Response modes it offers. */
  readonly response_modes_supported?: readonly string[]
  /** Ways a client can prove itself at the token endpoint. */
  readonly token_endpoint_auth_methods_supported?: readonly string[]
  /** Algorithms of client assertions. */
  readonly token_endpoint_auth_signing_alg_values_supported?: readonly string[]
  /** Algorithms ID Tokens are signed with. */
  readonly id_token_signing_alg_values_supported?: readonly string[]
  /** Algorithms signed authorization responses are signed with. JARM section 4. */
  readonly authorization_signing_alg_values_supported?: readonly string[]
  /** Algorithms of signed authorization requests. OpenID Connect Discovery 1.0 section 3. */
  readonly request_object_signing_alg_values_supported?: readonly string[]
  /** How the key of encrypted authorization requests is agreed on. OpenID Connect Discovery 1.0 section 3. */
  readonly request_object_encryption_alg_values_supported?: readonly string[]
  /** What they are encrypted with. OpenID Connect Discovery 1.0 section 3. */
  readonly request_object_encryption_enc_values_supported?: readonly string[]
  /** Types of `authorization_details` it knows. RFC 9396 section 10. */
  readonly authorization_details_types_supported?: readonly string[]
  /** Algorithms of DPoP proofs. RFC 9449 section 5.1. */
  readonly dpop_signing_alg_values_supported?: readonly string[]
  /** Whether every authorization response has `iss`. RFC 9207. */
  readonly authorization_response_iss_parameter_supported?: boolean
  /** Whether authorization requests have to be pushed. RFC 9126 section 5. */
  readonly require_pushed_authorization_requests?: boolean
  readonly [member: string]: unknown
}

/** The claims of an ID Token after every check has passed. OpenID Connect Core 1.0 section 2. */
export interface IdTokenClaims {
  /** The issuer. */
  readonly iss: string
  /** The user's identifier at the issuer. */
  readonly sub: string
  /** The clients it is for; this one is among them. */
  readonly aud: string | readonly string[]
  /** When it expires, in seconds since the epoch. */
  readonly exp: number
  /** When it was issued, in seconds since the epoch. */
  readonly iat: number
  /** That of the attempt. */
  readonly nonce?: string
  /** The client it was issued to. */
  readonly azp?: string
  /** When the user last authenticated, in seconds since the epoch. */
  readonly auth_time?: number
  /** How strongly: one of the provider's own values. */
  readonly acr?: string
  /** The provider's session. OpenID Connect Front-Channel Logout 1.0 section 3. */
  readonly sid?: string
  /** When the session has to end here, in seconds since the epoch. IPSIE OpenID Connect Profile. */
  readonly session_expiry?: number
  readonly [claim: string]: unknown
}

/** A token response whose format has been checked. RFC 6749 section 5.1, OpenID Connect Core 1.0 section 3.1.3.3. */
export interface TokenResponse {
  readonly access_token: string
  readonly token_type: string
  /** Seconds. Absent if the provider sent no usable value. */
  readonly expires_in?: number
  readonly scope?: string
  readonly refresh_token?: string
  readonly id_token?: string
  /** What the access token is good for, where it was asked for. RFC 9396 section 7. */
  readonly authorization_details?: readonly AuthorizationDetail[]
}

/**
 * One thing that a token is to allow, such as one payment: what `scope` cannot say. `type` decides what the other members mean; a site adds its own by
 * declaration merging. RFC 9396 section 2.
 */
export interface AuthorizationDetail {
  /** One of those that the provider documents, often a URI. */
  readonly type: string
  /** The APIs where it is used. */
  readonly locations?: readonly string[]
  /** What is to be done there. */
  readonly actions?: readonly string[]
  /** The kinds of data. */
  readonly datatypes?: readonly string[]
  /** One thing at the API. */
  readonly identifier?: string
  /** Levels of privilege. */
  readonly privileges?: readonly string[]
  readonly [member: string]: unknown
}

/** A userinfo response whose format has been checked. OpenID Connect Core 1.0 section 5.3.2. */
export interface UserInfo {
  /** The same as in the ID Token, which is checked. */
  readonly sub: string
  readonly [claim: string]: unknown
}

/** The response types this package speaks, in the word order of OAuth 2.0 Multiple Response Types 1.0. */
export type ResponseType =
  | 'code'
  | 'code id_token'
  | 'code token'
  | 'code id_token token'
  | 'id_token'
  | 'id_token token'

/** How the provider returns its response. OAuth 2.0 Form Post Response Mode 1.0; signed, with `.jwt`: JARM section 2.3. */
export type ResponseMode = 'form_post' | 'query' | 'form_post.jwt' | 'query.jwt'

/** How a client proves itself at the token endpoint. OpenID Connect Core 1.0 section 9. */
export type ClientAuthenticationMethod =
  | 'client_secret_basic'
  | 'client_secret_post'
  | 'client_secret_jwt'
  | 'private_key_jwt'
  | 'tls_client_auth'
  | 'self_signed_tls_client_auth'
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
  | 'ML-DSA-44'
  | 'ML-DSA-65'
  | 'ML-DSA-87'
  | 'HS256'
  | 'HS384'
  | 'HS512'
