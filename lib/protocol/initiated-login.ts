import { OidcError } from '../errors.js'
import { sanitize } from './printable.js'

/** What a request says that starts a sign-in from elsewhere. OpenID Connect Core 1.0 section 4. */
export interface InitiatedLogin {
  /** Who is probably about to sign in, for the provider's form. */
  readonly loginHint?: string
  /** The page to land on, as it was sent: whether it is one of this site is for the caller to check. */
  readonly targetLinkUri?: string
}

/** Characters of one parameter. */
const MAX_LENGTH = 2048

/**
 * Reads the parameters of such a request. Unknown ones are ignored: the request is not signed, so that it decides about nothing else.
 *
 * @param issuerFor - the issuer that `iss` has to be byte by byte
 * @throws {OidcError} ERR_OIDC_REQUEST_MALFORMED, ERR_OIDC_RESPONSE_ISSUER
 */
export function parseInitiatedLogin(
  fields: Iterable<readonly [string, string]>,
  issuerFor: (iss: string) => string,
): InitiatedLogin {
  const all = [...fields]
  const iss = single(all, 'iss')
  if (iss === undefined) throw malformed('iss is missing')
  const issuer = issuerFor(iss)
  if (iss !== issuer) {
    const cause = { expected: issuer, actual: sanitize(iss) }
    throw new OidcError('ERR_OIDC_RESPONSE_ISSUER', 'the sign-in was started by another issuer', { cause })
  }
  const [loginHint, targetLinkUri] = [single(all, 'login_hint'), single(all, 'target_link_uri')]
  return { ...(loginHint !== undefined && { loginHint }), ...(targetLinkUri !== undefined && { targetLinkUri }) }
}

/** A parameter without a value counts as one that is not there. OpenID Connect Core 1.0 section 3.1.2.1, RFC 6749 section 3.1. */
function single(fields: readonly (readonly [string, string])[], name: string): string | undefined {
  const values = fields.filter(([each]) => each === name).map(([, value]) => value)
  if (values.length > 1) throw malformed(`${name} occurs more than once`)
  const [value] = values
  if (value !== undefined && value.length > MAX_LENGTH) throw malformed(`${name} is too long`)
  return value === '' ? undefined : value
}

function malformed(message: string): OidcError {
  return new OidcError('ERR_OIDC_REQUEST_MALFORMED', `a sign-in that was started elsewhere: ${message}`)
}
