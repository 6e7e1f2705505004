/** RFC 6749 section 4.1.3, RFC 7636 section 4.5. */
export interface CodeGrant {
  readonly code: string
  /** The same as in the authorization request. */
  readonly redirectUri: string
  readonly codeVerifier: string
}

/** RFC 6749 section 6. */
export interface RefreshGrant {
  readonly refreshToken: string
  /** At most what was granted. Left out: the same again. */
  readonly scope?: string
  /** The API the new access token is for. RFC 8707. */
  readonly resource?: string
}

/** The form fields that trade a code for tokens. The proof of who asks comes on top. */
export function buildCodeGrant({ code, redirectUri, codeVerifier }: CodeGrant): Record<string, string> {
  return { grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: codeVerifier }
}

/** The form fields that trade a refresh token for fresh tokens. The proof of who asks comes on top. */
export function buildRefreshGrant({ refreshToken, scope, resource }: RefreshGrant): Record<string, string> {
  return {
    grant_type: 'refresh_token',
    refresh_token: refreshToken,
    ...(scope !== undefined && { scope }),
    ...(resource !== undefined && { resource }),
  }
}
