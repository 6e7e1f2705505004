/** What users see, by names that the dictionaries of the other languages have as well. Several errors can have one sentence. */
export const SENTENCES = {
  siteSetup: 'This site is not set up correctly.',
  providerAway: 'The sign-in service cannot be reached right now. Please try again in a moment.',
  providerUnknown: 'This site does not know this sign-in service.',
  providerUnreadable: 'The sign-in service sent a response that this site cannot read.',
  providerSetup: 'The sign-in service is not set up correctly.',
  providerUnsupported: 'The sign-in service does not offer what this site needs.',
  clientRejected: 'The sign-in service does not accept this site.',
  hostUnknown: 'This site does not exist at this address.',
  method: 'This address cannot be opened directly.',
  requestType: 'The sign-in response has the wrong content type.',
  requestSize: 'The sign-in response is too large.',
  requestMalformed: 'The sign-in response is incomplete or damaged.',
  transactionMissing:
    'The sign-in was not started in this browser, or the browser did not keep the cookies of this site. Please allow cookies for this site, and start again.',
  transactionMismatch: 'The settings of this site changed during the sign-in. Please start again.',
  transactionExpired: 'The sign-in took too long. Please start again.',
  cookieNotKept:
    'Your browser does not keep the cookies of this site, so you cannot be signed in. Please allow cookies for this site, and try again.',
  accessDenied: 'The sign-in was cancelled or not allowed.',
  authorizationFailed: 'The sign-in service could not sign you in.',
  responseIssuer: 'The sign-in response was not sent by the expected sign-in service.',
  tenantRefused: 'Your organization has no access to this site.',
  unverified: 'The sign-in response could not be verified.',
  damaged: 'The sign-in response is damaged.',
  undecrypted: 'The sign-in response could not be decrypted.',
  audience: 'The sign-in response was issued for another site.',
  responseExpired: 'The sign-in response has expired. Please try again.',
  tokenIssuer: 'The sign-in response was issued by another sign-in service.',
  subject: 'The sign-in response does not identify a user.',
  issuedAt: 'The sign-in response has an invalid time.',
  notBefore: 'The sign-in response is not valid yet.',
  nonce: 'The sign-in response belongs to another sign-in. Please try again.',
  parts: 'The parts of the sign-in response do not match.',
  authTime: 'This page needs a new sign-in, but the sign-in service did not ask for one.',
  acr: 'The sign-in was not as strong as this site requires.',
  codeRejected: 'The sign-in service no longer accepts this sign-in. Please try again.',
  tokenDenied: 'The sign-in service did not grant the permission that this page needs.',
  refreshRejected: 'Your sign-in has ended. Please sign in again.',
  userInfoSubject: 'The sign-in service sent the data of another user.',
  signInEnded: 'You were signed out during this sign-in. Please sign in again.',
  storeAway: 'This site is temporarily unavailable. Please try again in a moment.',
  sessionTooLate: 'This page could not be completed.',
  loginRequired: 'You need to sign in first.',
  claimRequired: 'You are signed in, but you may not use this page.',
  scopeRequired: 'You are signed in, but this page needs a permission that was not granted.',
  accessTokenExpired: 'You need to sign in again.',
  stepUp: 'This page needs a more recent or stronger sign-in.',
  deviceRequired:
    'This page needs a browser that can protect your session with a key of this device. Please sign in again, or use another browser.',
  deviceProof: 'Your browser did not show that it is the one you signed in with. Please sign in again.',
  apiAway: 'The service behind this page cannot be reached right now. Please try again in a moment.',
  apiBusy: 'Too many requests are in progress. Please try again in a moment.',
  apiRequest: 'This request is damaged or ambiguous.',
  apiUpgrade: 'This address does not accept WebSocket connections.',
  foreignRequest: 'This address can only be used by the pages of this site.',
  sessionChanged: 'You or another user signed in again in this browser. Please reload this page.',
} as const

/** The name of a sentence. */
export type SentenceName = keyof typeof SENTENCES

/**
 * Every way this package can fail, in one closed table: the code, the HTTP status that goes with it, and the sentence a
 * user sees. `docs/errors.md` has an entry per code; a test holds the two together.
 */
const ERRORS = {
  // Misuse, found at start-up or at the first request.
  ERR_OIDC_OPTIONS: [500, SENTENCES.siteSetup],
  ERR_OIDC_NOT_MOUNTED: [500, SENTENCES.siteSetup],
  ERR_OIDC_SEVERAL_INSTANCES: [500, SENTENCES.siteSetup],

  // The provider and its responses.
  ERR_OIDC_PROVIDER_UNAVAILABLE: [503, SENTENCES.providerAway],
  ERR_OIDC_PROVIDER_UNKNOWN: [404, SENTENCES.providerUnknown],
  ERR_OIDC_PROVIDER_RESPONSE: [502, SENTENCES.providerUnreadable],
  ERR_OIDC_METADATA: [502, SENTENCES.providerSetup],
  ERR_OIDC_METADATA_ISSUER: [502, SENTENCES.providerSetup],
  ERR_OIDC_UNSUPPORTED: [502, SENTENCES.providerUnsupported],
  ERR_OIDC_CLIENT_REJECTED: [502, SENTENCES.clientRejected],
  ERR_OIDC_REGISTRATION_REJECTED: [502, SENTENCES.clientRejected],
  ERR_OIDC_REGISTRATION_RESPONSE: [502, SENTENCES.providerUnreadable],

  // The host of a request, on a site that has several.
  ERR_OIDC_HOST_UNKNOWN: [421, SENTENCES.hostUnknown],
  ERR_OIDC_HOST_UNAVAILABLE: [503, SENTENCES.storeAway],

  // The request to one of our own routes.
  ERR_OIDC_REQUEST_METHOD: [405, SENTENCES.method],
  ERR_OIDC_REQUEST_TYPE: [415, SENTENCES.requestType],
  ERR_OIDC_REQUEST_SIZE: [413, SENTENCES.requestSize],
  ERR_OIDC_REQUEST_MALFORMED: [400, SENTENCES.requestMalformed],

  // The transaction: one attempt to sign in, bound to one browser.
  ERR_OIDC_TRANSACTION_MISSING: [400, SENTENCES.transactionMissing],
  ERR_OIDC_TRANSACTION_MISMATCH: [400, SENTENCES.transactionMismatch],
  ERR_OIDC_TRANSACTION_EXPIRED: [400, SENTENCES.transactionExpired],
  ERR_OIDC_COOKIE_NOT_KEPT: [400, SENTENCES.cookieNotKept],

  // The authorization response.
  ERR_OIDC_ACCESS_DENIED: [403, SENTENCES.accessDenied],
  ERR_OIDC_AUTHORIZATION_FAILED: [400, SENTENCES.authorizationFailed],
  ERR_OIDC_RESPONSE_ISSUER: [400, SENTENCES.responseIssuer],
  ERR_OIDC_TENANT_REFUSED: [403, SENTENCES.tenantRefused],

  // The signed authorization response, one code per check, in the order of JARM section 2.4.
  ERR_OIDC_RESPONSE_UNSIGNED: [400, SENTENCES.unverified],
  ERR_OIDC_RESPONSE_MALFORMED: [400, SENTENCES.damaged],
  ERR_OIDC_RESPONSE_ENCRYPTION: [400, SENTENCES.undecrypted],
  ERR_OIDC_RESPONSE_DECRYPTION: [400, SENTENCES.undecrypted],
  ERR_OIDC_RESPONSE_ALGORITHM: [400, SENTENCES.unverified],
  ERR_OIDC_RESPONSE_KEY: [400, SENTENCES.unverified],
  ERR_OIDC_RESPONSE_SIGNATURE: [400, SENTENCES.unverified],
  ERR_OIDC_RESPONSE_AUDIENCE: [400, SENTENCES.audience],
  ERR_OIDC_RESPONSE_EXPIRED: [400, SENTENCES.responseExpired],

  // The ID Token, one code per check, in the order of OpenID Connect Core 1.0 section 3.1.3.7.
  ERR_OIDC_ID_TOKEN_MALFORMED: [400, SENTENCES.damaged],
  ERR_OIDC_ID_TOKEN_ENCRYPTION: [400, SENTENCES.undecrypted],
  ERR_OIDC_ID_TOKEN_DECRYPTION: [400, SENTENCES.undecrypted],
  ERR_OIDC_ID_TOKEN_ALGORITHM: [400, SENTENCES.unverified],
  ERR_OIDC_ID_TOKEN_KEY: [400, SENTENCES.unverified],
  ERR_OIDC_ID_TOKEN_SIGNATURE: [400, SENTENCES.unverified],
  ERR_OIDC_ID_TOKEN_ISSUER: [400, SENTENCES.tokenIssuer],
  ERR_OIDC_ID_TOKEN_AUDIENCE: [400, SENTENCES.audience],
  ERR_OIDC_ID_TOKEN_AUTHORIZED_PARTY: [400, SENTENCES.audience],
  ERR_OIDC_ID_TOKEN_SUBJECT: [400, SENTENCES.subject],
  ERR_OIDC_ID_TOKEN_EXPIRED: [400, SENTENCES.responseExpired],
  ERR_OIDC_ID_TOKEN_ISSUED_AT: [400, SENTENCES.issuedAt],
  ERR_OIDC_ID_TOKEN_NOT_BEFORE: [400, SENTENCES.notBefore],
  ERR_OIDC_ID_TOKEN_NONCE: [400, SENTENCES.nonce],
  ERR_OIDC_ID_TOKEN_CODE_HASH: [400, SENTENCES.parts],
  ERR_OIDC_ID_TOKEN_ACCESS_TOKEN_HASH: [400, SENTENCES.parts],
  ERR_OIDC_ID_TOKEN_STATE_HASH: [400, SENTENCES.parts],
  ERR_OIDC_ID_TOKEN_AUTH_TIME: [400, SENTENCES.authTime],
  ERR_OIDC_ID_TOKEN_ACR: [400, SENTENCES.acr],
  ERR_OIDC_ID_TOKEN_MISMATCH: [400, SENTENCES.parts],

  // The logout token, one code per check, in the order of OpenID Connect Back-Channel Logout 1.0 section 2.6.
  ERR_OIDC_LOGOUT_TOKEN_MALFORMED: [400, 'The logout token is damaged.'],
  ERR_OIDC_LOGOUT_TOKEN_ALGORITHM: [400, 'The logout token could not be verified.'],
  ERR_OIDC_LOGOUT_TOKEN_KEY: [400, 'The logout token could not be verified.'],
  ERR_OIDC_LOGOUT_TOKEN_SIGNATURE: [400, 'The logout token could not be verified.'],
  ERR_OIDC_LOGOUT_TOKEN_ISSUER: [400, 'The logout token was issued by another provider.'],
  ERR_OIDC_LOGOUT_TOKEN_AUDIENCE: [400, 'The logout token was issued for another client.'],
  ERR_OIDC_LOGOUT_TOKEN_ISSUED_AT: [400, 'The logout token has an invalid issue time.'],
  ERR_OIDC_LOGOUT_TOKEN_EXPIRED: [400, 'The logout token has expired.'],
  ERR_OIDC_LOGOUT_TOKEN_ID: [400, 'The logout token has no `jti`.'],
  ERR_OIDC_LOGOUT_TOKEN_SUBJECT: [400, 'The logout token has neither `sub` nor `sid`.'],
  ERR_OIDC_LOGOUT_TOKEN_EVENTS: [400, 'The token is not a logout token.'],
  ERR_OIDC_LOGOUT_TOKEN_NONCE: [400, 'The token is not a logout token.'],

  // Shared signals, and global revocations.
  ERR_OIDC_SIGNAL_MALFORMED: [400, 'The security event is damaged.'],
  ERR_OIDC_SIGNAL_KEY: [400, 'The security event could not be verified.'],
  ERR_OIDC_SIGNAL_ISSUER: [400, 'The security event was issued by another transmitter.'],
  ERR_OIDC_SIGNAL_AUDIENCE: [400, 'The security event was issued for another receiver.'],
  ERR_OIDC_SIGNAL_AUTHENTICATION: [401, 'The request is not authorized.'],

  // The token endpoint and userinfo.
  ERR_OIDC_CODE_REJECTED: [400, SENTENCES.codeRejected],
  ERR_OIDC_TOKEN_RESPONSE: [502, SENTENCES.providerUnreadable],
  ERR_OIDC_TOKEN_DENIED: [403, SENTENCES.tokenDenied],
  ERR_OIDC_REFRESH_REJECTED: [401, SENTENCES.refreshRejected],
  ERR_OIDC_USER_INFO_RESPONSE: [502, SENTENCES.providerUnreadable],
  ERR_OIDC_USER_INFO_SUBJECT: [502, SENTENCES.userInfoSubject],

  // What is kept.
  ERR_OIDC_SIGN_IN_ENDED: [400, SENTENCES.signInEnded],
  ERR_OIDC_STORE_UNAVAILABLE: [503, SENTENCES.storeAway],
  ERR_OIDC_SESSIONS_SEALED: [500, SENTENCES.siteSetup],
  ERR_OIDC_SESSION_TOO_LATE: [500, SENTENCES.sessionTooLate],

  // Guards.
  ERR_OIDC_LOGIN_REQUIRED: [401, SENTENCES.loginRequired],
  ERR_OIDC_CLAIM_REQUIRED: [403, SENTENCES.claimRequired],
  ERR_OIDC_SCOPE_REQUIRED: [403, SENTENCES.scopeRequired],
  ERR_OIDC_ACCESS_TOKEN_EXPIRED: [401, SENTENCES.accessTokenExpired],
  ERR_OIDC_STEP_UP_REQUIRED: [401, SENTENCES.stepUp],
  ERR_OIDC_DEVICE_REQUIRED: [403, SENTENCES.deviceRequired],
  ERR_OIDC_DEVICE_PROOF: [401, SENTENCES.deviceProof],

  // Calls to other services on behalf of the user.
  ERR_OIDC_API_ORIGIN: [500, SENTENCES.siteSetup],
  ERR_OIDC_API_UNAVAILABLE: [502, SENTENCES.apiAway],
  ERR_OIDC_API_BUSY: [503, SENTENCES.apiBusy],
  ERR_OIDC_API_REQUEST: [400, SENTENCES.apiRequest],
  ERR_OIDC_API_UPGRADE: [501, SENTENCES.apiUpgrade],
  ERR_OIDC_FOREIGN_REQUEST: [403, SENTENCES.foreignRequest],
  ERR_OIDC_SESSION_CHANGED: [409, SENTENCES.sessionChanged],
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
 * The provider's error, with the names of RFC 6749 section 5.2. Control characters, markup, secrets and e-mail addresses are
 * taken out, and it is cut. For the log and for decisions of the site's own code, and never for a page: the provider, or the sender of the response,
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
  /** Set if the provider sent an error. */
  readonly providerError?: ProviderError | undefined
}

/**
 * The one error class of this package. `message` is for the developer and the log and never contains a secret, a token or
 * text chosen by a stranger; `sentence` is for the user in front of the browser; `cause` has the details.
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
  /** One plain sentence that is safe to show to every user. */
  readonly sentence: string
  /** The error of the provider, if it sent one. */
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
    this.headers = headersOf(status, this)
  }
}

/** Seconds after which to try again, where nothing more is known. */
const RETRY_AFTER = 5

/** Seconds. A pause that a provider asks for is not longer here. */
const LONGEST_RETRY_AFTER = 60

/** What the `cause` of an {@link OidcError} may say for programs. */
export interface ErrorFacts {
  /** HTTP status of the response that was refused. */
  readonly status?: number
  /** Seconds. */
  readonly retryAfter?: number
  /** Methods that a route accepts, as in the header `Allow`. */
  readonly allow?: string
  /** Why the store is not available: a word of Redis, or of this package. */
  readonly reason?: unknown
  /** The code of the provider, where a stored failure has it. */
  readonly error?: unknown
}

/** @internal The one place where a `cause` is read. */
export function factsOf({ cause }: { readonly cause?: unknown }): ErrorFacts {
  return (cause ?? {}) as ErrorFacts
}

function headersOf(status: number, error: { readonly cause?: unknown }): Readonly<Record<string, string>> {
  const { retryAfter = RETRY_AFTER, allow = 'GET, POST' } = factsOf(error)
  if (status === 503)
    return { 'Retry-After': String(Math.min(LONGEST_RETRY_AFTER, Math.max(1, Math.ceil(retryAfter)))) }
  if (status === 405) return { Allow: allow }
  if (status === 401) return { 'WWW-Authenticate': 'OpenIdConnect' }
  return {}
}
