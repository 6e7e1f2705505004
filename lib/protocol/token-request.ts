import { detailsParam } from './authorization-details.js'
import type { AuthorizationDetail } from './wire.js'

/** RFC 6749 section 4.1.3, RFC 7636 section 4.5. */
export interface CodeGrant {
  readonly code: string
  /** The same as in the authorization request. */
  readonly redirectUri: string
  /** Left out: the authorization request had no challenge. */
  readonly codeVerifier?: string
}

/** RFC 6749 section 6. */
export interface RefreshGrant {
  readonly refreshToken: string
  /** At most what was granted. Left out: the same again. */
  readonly scope?: string
  /** The API the new access token is for. RFC 8707. */
  readonly resource?: string
  /** At most what was granted. RFC 9396 section 6. */
  readonly authorizationDetails?: readonly AuthorizationDetail[]
}

/** The form fields that trade a code for tokens. The client authentication comes on top. */
export function buildCodeGrant({ code, redirectUri, codeVerifier }: CodeGrant): Record<string, string> {
  return {
    grant_type: 'authorization_code',
    code,
    redirect_uri: redirectUri,
    ...(codeVerifier !== undefined && { code_verifier: codeVerifier }),
  }
}

/** The form fields that trade a refresh token for fresh tokens. The client authentication comes on top. */
export function buildRefreshGrant({
  refreshToken,
  scope,
  resource,
  authorizationDetails,
}: RefreshGrant): Record<string, string> {
  return {
    grant_type: 'refresh_token',
    refresh_token: refreshToken,
    ...(scope !== undefined && { scope }),
    ...(resource !== undefined && { resource }),
    ...detailsParam(authorizationDetails),
  }
}

/** RFC 6749 section 4.4, RFC 8707. */
export interface ClientCredentialsGrant {
  readonly scope?: string
  /** The API the token is for. */
  readonly resource?: string
  /** What the token is to allow. RFC 9396 section 6. */
  readonly authorizationDetails?: readonly AuthorizationDetail[]
}

/** The form fields that ask for a token for the client itself. */
export function buildClientCredentialsGrant({
  scope,
  resource,
  authorizationDetails,
}: ClientCredentialsGrant): Record<string, string> {
  return {
    grant_type: 'client_credentials',
    ...(scope !== undefined && { scope }),
    ...(resource !== undefined && { resource }),
    ...detailsParam(authorizationDetails),
  }
}

/** RFC 8693 section 2.1, with access tokens on both sides. */
export interface ExchangeGrant {
  /** The access token of the user on whose behalf the service is called. */
  readonly subjectToken: string
  /** The logical name of the next service. */
  readonly audience?: string
  /** The address of the next service. */
  readonly resource?: string
  readonly scope?: string
  /** What the token is to allow. RFC 9396 section 6. */
  readonly authorizationDetails?: readonly AuthorizationDetail[]
}

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'

/** The form fields that trade an access token for one that another service takes. */
export function buildExchangeGrant({
  subjectToken,
  audience,
  resource,
  scope,
  authorizationDetails,
}: ExchangeGrant): Record<string, string> {
  return {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: subjectToken,
    subject_token_type: ACCESS_TOKEN,
    requested_token_type: ACCESS_TOKEN,
    ...(audience !== undefined && { audience }),
    ...(resource !== undefined && { resource }),
    ...(scope !== undefined && { scope }),
    ...detailsParam(authorizationDetails),
  }
}

/** RFC 7009 section 2.1. */
export function buildRevocation(
  token: string,
  hint: 'refresh_token' | 'access_token',
): { readonly token: string; readonly token_type_hint: string } {
  return { token, token_type_hint: hint }
}
