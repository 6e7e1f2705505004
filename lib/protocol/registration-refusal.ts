import { OidcError, type OidcErrorCode, type ProviderError } from '../errors.js'

/** A request about a client that the provider has refused. */
export interface RefusedRegistration {
  /** Which request: a new client, or one that is registered. */
  readonly request: 'create' | 'read' | 'update' | 'delete'
  readonly status: number
  readonly providerError: ProviderError | undefined
}

/** Errors of RFC 7591 section 3.2.2. */
const ADVICE: Readonly<Record<string, string>> = {
  invalid_redirect_uri: 'the provider does not accept the redirect URIs of this site',
  invalid_client_metadata: 'the provider does not accept the client metadata: its error names the member',
  invalid_software_statement: 'the provider does not accept the software statement',
  unapproved_software_statement: 'the software statement is not approved for this provider',
}

/** The error that a refusal amounts to. */
export function describeRefusedRegistration({ request, status, providerError }: RefusedRegistration): OidcError {
  const cause = { status, ...(providerError && { error: providerError.error }) }
  return new OidcError(codeOf(status), adviceOf({ request, status, providerError }), { cause, providerError })
}

function codeOf(status: number): OidcErrorCode {
  // RFC 7592 section 2.2: a provider need not let clients change or delete themselves.
  if (status === 405 || status === 501) return 'ERR_OIDC_UNSUPPORTED'
  return status === 429 || status >= 500 ? 'ERR_OIDC_PROVIDER_UNAVAILABLE' : 'ERR_OIDC_REGISTRATION_REJECTED'
}

function adviceOf({ request, status, providerError }: RefusedRegistration): string {
  if (status === 405 || status === 501)
    return `the provider does not offer to ${request} clients by dynamic registration`
  if (status === 429 || status >= 500) return `the provider did not ${request} the client`
  const known = ADVICE[providerError?.error ?? '']
  if (known !== undefined) return known
  if (status !== 401 && status !== 403) return `the provider refused to ${request} the client, with status ${status}`
  return request === 'create'
    ? 'the provider did not accept the registration: initialAccessToken is missing, has expired or was used up'
    : 'the provider did not accept the registration access token: the client no longer exists, or the token was replaced by another one'
}
