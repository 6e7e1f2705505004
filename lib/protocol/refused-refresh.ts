import { OidcError } from '../errors.js'

/** What a refresh was for, and what the session still has. */
export interface RefreshCircumstances {
  /** Whether it was for the main access token, and not for one with another scope or for another API. */
  readonly isMain: boolean
  /** Whether the main access token has expired, or an API has refused it. */
  readonly isExpired: boolean
}

/** What a failed refresh means. docs/tokens.md has the same as a table. */
export interface RefreshVerdict {
  /** What the caller gets. */
  readonly error: OidcError
  readonly endsSession: boolean
  /** Which tokens of the session are not asked for again for a while: all of them, or the one that was asked for. */
  readonly pauses: 'session' | 'token'
  readonly isLogged: boolean
}

/** RFC 6749 section 5.2, RFC 8707 section 2, RFC 9396 section 5, OpenID Connect Core 1.0 section 3.1.2.6: a new sign-in may help, the same request will not. */
const DEFINITE: readonly unknown[] = [
  'invalid_grant',
  'invalid_request',
  'invalid_scope',
  'invalid_target',
  'invalid_authorization_details',
  'unauthorized_client',
  'unsupported_grant_type',
  'access_denied',
  'login_required',
  'interaction_required',
  'consent_required',
]

/**
 * Only a definite refusal of the main token ends a session: `invalid_grant` at once, any other when the access token has expired. LemonLDAP
 * and Authlib respond with `invalid_request` for a refresh token they do not know, IdentityServer3 for a disabled user, and Duende `invalid_scope`
 * after a scope was taken from the client: none of these gets better while the session waits.
 */
export function judgeRefusedRefresh(failure: OidcError, { isMain, isExpired }: RefreshCircumstances): RefreshVerdict {
  const { status, error } = causeOf(failure)
  if (failure.code === 'ERR_OIDC_REFRESH_REJECTED' && status === undefined) {
    // An ID Token about another user: a lie about who is signed in, whichever token it came with.
    return { error: failure, endsSession: true, pauses: 'session', isLogged: true }
  }
  const isInvalidGrant = failure.code === 'ERR_OIDC_REFRESH_REJECTED'
  const isDefinite = isInvalidGrant || (isRefusal(status) && DEFINITE.includes(error))
  if (!isDefinite) {
    const pauses = isMain || isAboutProvider(failure) ? 'session' : 'token'
    return { error: failure, endsSession: false, pauses, isLogged: true }
  }
  if (!isMain) return { error: denied(failure), endsSession: false, pauses: 'token', isLogged: true }
  const endsSession = isInvalidGrant || isExpired
  const result = endsSession && !isInvalidGrant ? rejected(failure) : failure
  return { error: result, endsSession, pauses: 'token', isLogged: !isInvalidGrant }
}

function isRefusal(status: unknown): boolean {
  return status === 400 || status === 401 || status === 403
}

/** The next refresh of any session would meet it as well. */
function isAboutProvider({ code }: OidcError): boolean {
  return code === 'ERR_OIDC_PROVIDER_UNAVAILABLE' || code === 'ERR_OIDC_CLIENT_REJECTED'
}

function denied({ code, message, cause, providerError }: OidcError): OidcError {
  const text =
    code === 'ERR_OIDC_REFRESH_REJECTED' ? 'the provider does not issue this token for this session' : message
  return new OidcError('ERR_OIDC_TOKEN_DENIED', text, { cause, providerError })
}

function rejected({ cause, providerError }: OidcError): OidcError {
  const message = 'the provider refused the refresh permanently, and the access token has expired'
  return new OidcError('ERR_OIDC_REFRESH_REJECTED', message, { cause, providerError })
}

function causeOf({ cause }: OidcError): { readonly status?: unknown; readonly error?: unknown } {
  return typeof cause === 'object' && cause !== null ? cause : {}
}
