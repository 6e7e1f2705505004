import { OidcError, type OidcErrorCode } from '../errors.js'
import { audiencesOf } from './identifiers.js'
import { withoutNulls } from './json.js'
import { sanitize } from './printable.js'
import { isNumericDate } from './time.js'

/** What a signed authorization response must match. */
export interface SignedResponseExpectations {
  readonly issuer: string
  readonly clientId: string
  /** Seconds since the epoch. */
  readonly now: number
  /** Seconds two clocks may be apart. */
  readonly clockTolerance: number
}

/** Claims about the JWT itself. `iss` is not among them: it is a parameter of the response as well. */
const ABOUT_THE_JWT: ReadonlySet<string> = new Set(['aud', 'exp', 'iat', 'nbf', 'jti'])

/**
 * The parameters inside a signed response, in the form of a response that is not signed. JARM section 2.1. Nothing is checked.
 *
 * @param claims - of the JWT
 */
export function responseFieldsOf(claims: Readonly<Record<string, unknown>>): [name: string, value: string][] {
  return Object.entries(claims).flatMap(([name, value]) => {
    const isText = typeof value === 'string' || typeof value === 'number'
    return isText && !ABOUT_THE_JWT.has(name) ? [[name, String(value)] as [string, string]] : []
  })
}

/**
 * Checks the claims of a signed authorization response whose signature has been verified. JARM section 2.4. All of `iss`, `aud` and `exp` are
 * required, and there is no audience besides this client.
 *
 * @throws {OidcError} ERR_OIDC_RESPONSE_ISSUER, ERR_OIDC_RESPONSE_AUDIENCE, ERR_OIDC_RESPONSE_EXPIRED, ERR_OIDC_RESPONSE_MALFORMED
 */
export function checkSignedResponse(
  given: Readonly<Record<string, unknown>>,
  { issuer, clientId, now, clockTolerance }: SignedResponseExpectations,
): void {
  const { iss, aud, exp, iat, nbf } = withoutNulls(given)
  if (iss !== issuer)
    throw wrong('ERR_OIDC_RESPONSE_ISSUER', 'iss is missing, or is not the issuer of the provider', iss)
  const audiences = audiencesOf(aud)
  if (audiences.length === 0 || audiences.some(audience => audience !== clientId))
    throw wrong('ERR_OIDC_RESPONSE_AUDIENCE', 'aud is missing, or is not this client alone', aud)
  if (!isNumericDate(exp)) throw wrong('ERR_OIDC_RESPONSE_EXPIRED', 'exp is missing or not a time', exp)
  if (now >= exp + clockTolerance) throw wrong('ERR_OIDC_RESPONSE_EXPIRED', 'exp has passed', exp)
  for (const [name, time] of Object.entries({ iat, nbf })) {
    if (time === undefined || (isNumericDate(time) && time <= now + clockTolerance)) continue
    throw wrong('ERR_OIDC_RESPONSE_MALFORMED', `${name} is in the future, or not a time`, time)
  }
}

function wrong(code: OidcErrorCode, message: string, actual: unknown): OidcError {
  return new OidcError(code, `signed authorization response: ${message}`, { cause: { actual: sanitize(actual) } })
}
