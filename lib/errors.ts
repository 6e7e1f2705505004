/**
 * Every way this package can fail, in one closed table: the code, the HTTP status that goes with it, and the sentence a
 * person sees. `docs/errors.md` has an entry per code; a test holds the two together.
 */
const ERRORS = {
  // Misuse, found at start-up or at the first request.
  ERR_OIDC_OPTIONS: [500, 'This site is not set up correctly.'],
  ERR_OIDC_NOT_MOUNTED: [500, 'This site is not set up correctly.'],
  ERR_OIDC_SEVERAL_INSTANCES: [500, 'This site is not set up correctly.'],

  // The provider and its answers.
  ERR_OIDC_PROVIDER_UNAVAILABLE: [
    503,
    'The sign-in service cannot be reached right now. Please try again in a moment.',
  ],
  ERR_OIDC_PROVIDER_RESPONSE: [502, 'The sign-in service gave an answer this site does not understand.'],
  ERR_OIDC_METADATA: [502, 'The sign-in service is not set up correctly.'],
  ERR_OIDC_METADATA_ISSUER: [502, 'The sign-in service is not set up correctly.'],
  ERR_OIDC_UNSUPPORTED: [502, 'The sign-in service does not offer what this site needs.'],
  ERR_OIDC_CLIENT_REJECTED: [502, 'The sign-in service does not accept this site.'],

  // The request to one of our own routes.
  ERR_OIDC_REQUEST_METHOD: [405, 'This page cannot be opened that way.'],
  ERR_OIDC_REQUEST_TYPE: [415, 'The answer of the sign-in service came in a form this site does not accept.'],
  ERR_OIDC_REQUEST_SIZE: [413, 'The answer of the sign-in service is too large.'],
  ERR_OIDC_REQUEST_MALFORMED: [400, 'The answer of the sign-in service is incomplete or damaged.'],

  // The transaction: one attempt to sign in, bound to one browser.
  ERR_OIDC_TRANSACTION_MISSING: [
    400,
    'This sign-in was not started in this browser, or the browser did not keep the cookies of this site. Please allow cookies for this site, and start again.',
  ],
  ERR_OIDC_TRANSACTION_MISMATCH: [400, 'This sign-in does not belong to this site.'],
  ERR_OIDC_TRANSACTION_EXPIRED: [400, 'This sign-in took too long.'],
  ERR_OIDC_COOKIE_NOT_KEPT: [
    400,
    'Your browser does not send the cookies of this site back, so you cannot be signed in. Please allow cookies for this site, and try again.',
  ],

  // The authorization response.
  ERR_OIDC_ACCESS_DENIED: [403, 'The sign-in was cancelled or not allowed.'],
  ERR_OIDC_AUTHORIZATION_FAILED: [400, 'The sign-in service could not sign you in.'],
  ERR_OIDC_RESPONSE_ISSUER: [400, 'The answer does not come from the expected sign-in service.'],

  // The ID Token, one code per check, in the order of OpenID Connect Core 1.0 section 3.1.3.7.
  ERR_OIDC_ID_TOKEN_MALFORMED: [400, 'The proof of your sign-in is damaged.'],
  ERR_OIDC_ID_TOKEN_ALGORITHM: [400, 'The proof of your sign-in could not be verified.'],
  ERR_OIDC_ID_TOKEN_KEY: [400, 'The proof of your sign-in could not be verified.'],
  ERR_OIDC_ID_TOKEN_SIGNATURE: [400, 'The proof of your sign-in could not be verified.'],
  ERR_OIDC_ID_TOKEN_ISSUER: [400, 'The proof of your sign-in comes from somebody else.'],
  ERR_OIDC_ID_TOKEN_AUDIENCE: [400, 'The proof of your sign-in was made for another site.'],
  ERR_OIDC_ID_TOKEN_AUTHORIZED_PARTY: [400, 'The proof of your sign-in was made for another site.'],
  ERR_OIDC_ID_TOKEN_SUBJECT: [400, 'The proof of your sign-in names nobody.'],
  ERR_OIDC_ID_TOKEN_EXPIRED: [400, 'The proof of your sign-in is no longer valid.'],
  ERR_OIDC_ID_TOKEN_ISSUED_AT: [400, 'The proof of your sign-in carries a wrong time.'],
  ERR_OIDC_ID_TOKEN_NOT_BEFORE: [400, 'The proof of your sign-in is not valid yet.'],
  ERR_OIDC_ID_TOKEN_NONCE: [400, 'The proof of your sign-in belongs to another attempt.'],
  ERR_OIDC_ID_TOKEN_CODE_HASH: [400, 'The parts of the sign-in answer do not belong together.'],
  ERR_OIDC_ID_TOKEN_ACCESS_TOKEN_HASH: [400, 'The parts of the sign-in answer do not belong together.'],
  ERR_OIDC_ID_TOKEN_STATE_HASH: [400, 'The parts of the sign-in answer do not belong together.'],
  ERR_OIDC_ID_TOKEN_AUTH_TIME: [400, 'You were asked to sign in anew, and the sign-in service did not do so.'],
  ERR_OIDC_ID_TOKEN_ACR: [400, 'The sign-in was not as strong as this site asked for.'],
  ERR_OIDC_ID_TOKEN_MISMATCH: [400, 'The parts of the sign-in answer do not belong together.'],

  // The logout token, one code per check, in the order of OpenID Connect Back-Channel Logout 1.0 section 2.6.
  ERR_OIDC_LOGOUT_TOKEN_MALFORMED: [400, 'The sign-out notice is damaged.'],
  ERR_OIDC_LOGOUT_TOKEN_ALGORITHM: [400, 'The sign-out notice could not be verified.'],
  ERR_OIDC_LOGOUT_TOKEN_KEY: [400, 'The sign-out notice could not be verified.'],
  ERR_OIDC_LOGOUT_TOKEN_SIGNATURE: [400, 'The sign-out notice could not be verified.'],
  ERR_OIDC_LOGOUT_TOKEN_ISSUER: [400, 'The sign-out notice comes from somebody else.'],
  ERR_OIDC_LOGOUT_TOKEN_AUDIENCE: [400, 'The sign-out notice was made for another site.'],
  ERR_OIDC_LOGOUT_TOKEN_ISSUED_AT: [400, 'The sign-out notice carries a wrong time.'],
  ERR_OIDC_LOGOUT_TOKEN_EXPIRED: [400, 'The sign-out notice is no longer valid.'],
  ERR_OIDC_LOGOUT_TOKEN_ID: [400, 'The sign-out notice has no name of its own.'],
  ERR_OIDC_LOGOUT_TOKEN_SUBJECT: [400, 'The sign-out notice does not say who is meant.'],
  ERR_OIDC_LOGOUT_TOKEN_EVENTS: [400, 'The notice is not about a sign-out.'],
  ERR_OIDC_LOGOUT_TOKEN_NONCE: [400, 'The notice is not about a sign-out.'],

  // The token endpoint and userinfo.
  ERR_OIDC_CODE_REJECTED: [400, 'The sign-in service does not accept this sign-in any more.'],
  ERR_OIDC_TOKEN_RESPONSE: [502, 'The sign-in service gave an answer this site does not understand.'],
  ERR_OIDC_TOKEN_DENIED: [403, 'The sign-in service does not allow what this page needs.'],
  ERR_OIDC_REFRESH_REJECTED: [401, 'Your sign-in has ended. Please sign in again.'],
  ERR_OIDC_USER_INFO_RESPONSE: [502, 'The sign-in service gave an answer this site does not understand.'],
  ERR_OIDC_USER_INFO_SUBJECT: [502, 'The sign-in service answered for somebody else.'],

  // What is kept.
  ERR_OIDC_SIGN_IN_ENDED: [400, 'You were signed out after this sign-in had begun.'],
  ERR_OIDC_STORE_UNAVAILABLE: [503, 'This site cannot reach its memory right now. Please try again in a moment.'],
  ERR_OIDC_SESSIONS_SEALED: [500, 'This site is not set up correctly.'],
  ERR_OIDC_SESSION_TOO_LATE: [500, 'This page could not be completed.'],

  // Guards.
  ERR_OIDC_LOGIN_REQUIRED: [401, 'You need to sign in first.'],
  ERR_OIDC_CLAIM_REQUIRED: [403, 'You are signed in, but this page is not for you.'],
  ERR_OIDC_SCOPE_REQUIRED: [403, 'You are signed in, but this page needs a permission you have not given.'],
  ERR_OIDC_ACCESS_TOKEN_EXPIRED: [401, 'You need to sign in again.'],
  ERR_OIDC_STEP_UP_REQUIRED: [401, 'This page needs a fresher or stronger sign-in.'],

  // Calls to other services on behalf of the person.
  ERR_OIDC_API_ORIGIN: [500, 'This site is not set up correctly.'],
  ERR_OIDC_API_UNAVAILABLE: [502, 'The service behind this page cannot be reached right now.'],
  ERR_OIDC_API_BUSY: [503, 'Too much is going on at once. Please try again in a moment.'],
  ERR_OIDC_API_REQUEST: [400, 'This request is damaged, or could be read in two ways.'],
  ERR_OIDC_API_UPGRADE: [501, 'This address does not take WebSocket connections.'],
  ERR_OIDC_FOREIGN_REQUEST: [403, 'This address can only be used by the pages of this site.'],
  ERR_OIDC_SESSION_CHANGED: [409, 'You have signed in anew, or another user has. Please reload this page.'],
} as const satisfies Record<string, readonly [status: number, sentence: string]>

/**
 * The closed set of codes an {@link OidcError} can carry. Part of the public contract.
 *
 * @useDeclaredType
 */
export type OidcErrorCode = keyof typeof ERRORS

/** All codes, for documentation tools and exhaustive handlers. */
export const oidcErrorCodes = Object.keys(ERRORS) as readonly OidcErrorCode[]

/**
 * What the provider said about a failure, with the names of RFC 6749 section 5.2. Control characters, markup, secrets and e-mail addresses are
 * taken out, and it is cut. For the log and for decisions of the site's own code, and never for a page: the provider, or whoever sent the answer,
 * chose the words.
 */
export interface ProviderError {
  /** The code, at most 100 characters. */
  readonly error: string
  /** At most 300 characters. */
  readonly error_description?: string
  /** The address of a page about it, at most 200 characters. */
  readonly error_uri?: string
}

/** What an {@link OidcError} can be given besides its message. */
export interface OidcErrorOptions extends ErrorOptions {
  /** Where the provider said something. */
  readonly providerError?: ProviderError | undefined
}

/**
 * The one error class of this package. `message` is for the developer and the log and never contains a secret, a token or
 * text chosen by a stranger; `sentence` is for the person in front of the browser; `cause` is the evidence.
 */
export class OidcError extends Error {
  /** Tells it from other errors where `instanceof` cannot. */
  override readonly name = 'OidcError'
  /** Says what went wrong, for programs; see docs/errors.md. */
  readonly code: OidcErrorCode
  /** HTTP status that fits; Express uses it. */
  readonly status: number
  /** Same as {@link status}, for error handlers written for `http-errors`. */
  readonly statusCode: number
  /** One plain sentence that can be shown to anybody. */
  readonly sentence: string
  /** What the provider said about it, where it said anything. */
  readonly providerError: ProviderError | undefined
  /**
   * Response headers that belong to the failure, as in `http-errors`; Express sends them where the site has no error handler. `Retry-After` in
   * seconds for 503, `Allow` for 405, `WWW-Authenticate` for 401.
   */
  headers: Readonly<Record<string, string>>
  /** The local page a failed sign-in was on its way to, checked to be one of this site. */
  returnTo: string | undefined

  constructor(code: OidcErrorCode, message: string, options?: OidcErrorOptions) {
    super(message, options)
    const [status, sentence] = ERRORS[code]
    this.code = code
    this.status = status
    this.statusCode = status
    this.sentence = sentence
    this.providerError = options?.providerError
    this.headers = headersOf(status, options?.cause)
  }
}

/** Seconds after which to try again, where nothing more is known. */
const RETRY_AFTER = 5

/** Seconds. A pause that a provider asks for is not longer here. */
const LONGEST_RETRY_AFTER = 60

/** @param cause - `retryAfter` in seconds and `allow`, where the failure knows them */
function headersOf(status: number, cause: unknown): Readonly<Record<string, string>> {
  const { retryAfter = RETRY_AFTER, allow = 'GET, POST' } = (cause ?? {}) as { retryAfter?: number; allow?: string }
  if (status === 503)
    return { 'Retry-After': String(Math.min(LONGEST_RETRY_AFTER, Math.max(1, Math.ceil(retryAfter)))) }
  if (status === 405) return { Allow: allow }
  if (status === 401) return { 'WWW-Authenticate': 'OpenIdConnect' }
  return {}
}
