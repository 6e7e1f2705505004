import { OidcError } from '../errors.js'
import type { AssertionSigner } from './client-assertion.js'

/** Seconds that a request object can be used for. FAPI 2.0 Message Signing section 5.3.2 allows 60 minutes at most. */
const LIFETIME = 300

/** RFC 9101 section 10.8: an explicit type, so that no other JWT of this key is a request. */
const TYPE = 'oauth-authz-req+jwt'

/** Parameters whose value is JSON: it stands in the claims as what it is. OpenID Connect Core 1.0 section 5.5, RFC 9396 section 3. */
const JSON_PARAMETERS: ReadonlySet<string> = new Set(['claims', 'authorization_details'])

/** Who asks whom, and when. */
export interface RequestObjectContext {
  readonly clientId: string
  /** The provider: the audience. */
  readonly issuer: string
  /** Seconds since the epoch. */
  readonly now: number
  /** Never the same twice. */
  readonly jti: string
}

/**
 * The claims of a request object: every parameter of the request, and what says who made it for whom. RFC 9101 section 4. A parameter of the
 * site cannot take the place of one of these.
 */
export function buildRequestClaims(
  params: URLSearchParams,
  { clientId, issuer, now, jti }: RequestObjectContext,
): Readonly<Record<string, unknown>> {
  const names = [...new Set(params.keys())].filter(name => name !== 'sub')
  const members = names.map(name => {
    const values = params.getAll(name)
    return [name, values.length === 1 ? toClaim(name, values[0] ?? '') : values] as const
  })
  const times = { iat: now, nbf: now, exp: now + LIFETIME }
  return { ...Object.fromEntries(members), iss: clientId, aud: issuer, ...times, jti }
}

function toClaim(name: string, value: string): unknown {
  if (name === 'max_age') return Number(value)
  if (!JSON_PARAMETERS.has(name)) return value
  try {
    return JSON.parse(value) as unknown
  } catch {
    return value // the provider says what is wrong with it
  }
}

/** @throws {OidcError} ERR_OIDC_OPTIONS for a key that does not fit its algorithm */
export async function signRequestObject(
  { key, algorithm, header: { typ: _, ...named } = {} }: AssertionSigner,
  claims: Readonly<Record<string, unknown>>,
): Promise<string> {
  const { SignJWT } = await import('jose/jwt/sign')
  const given = Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined))
  const header = { ...given, alg: algorithm, typ: TYPE }
  try {
    return await new SignJWT({ ...claims }).setProtectedHeader(header).sign(key)
  } catch (cause) {
    throw new OidcError('ERR_OIDC_OPTIONS', `the key of requestObject cannot sign with ${algorithm}`, { cause })
  }
}

/** What stays outside of the object. RFC 9101 section 5; OpenID Connect Core 1.0 section 6.1 wants type and scope in an address as well. */
export function buildSignedRequest(request: string, params: URLSearchParams, isPushed: boolean): URLSearchParams {
  const outside = isPushed ? ['client_id'] : ['client_id', 'response_type', 'scope']
  const kept = outside.flatMap(name => params.getAll(name).map((value): [string, string] => [name, value]))
  return new URLSearchParams([...kept, ['request', request]])
}
