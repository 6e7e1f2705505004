import type { CryptoKey } from 'jose'
import { decodeProtectedHeader } from 'jose/decode/protected_header'
import { compactVerify } from 'jose/jws/compact/verify'
import { OidcError } from '../errors.js'
import { isJsonObject, parseJson, withoutNulls } from './json.js'
import { sanitize } from './printable.js'
import type { SigningAlgorithm } from './wire.js'

export interface JwtHeader {
  readonly alg: string
  readonly kid?: string
  readonly typ?: string
}

/** Finds the keys that could have made a signature. None: the token is refused. */
export type KeysFor = (header: { alg: string; kid?: string }) => Promise<readonly (CryptoKey | Uint8Array)[]>

export interface JwtExpectations {
  /** The algorithms that are taken: one for ID Tokens. What the token says about itself is compared with them, never followed. */
  readonly algorithm: SigningAlgorithm | readonly SigningAlgorithm[]
  /** Which `typ` header values are taken. Default: none at all, or `JWT`. */
  readonly typ?: (typ: string | undefined) => boolean
  /** Characters. Default 65 536. */
  readonly maxLength?: number
}

export interface VerifiedJwt {
  readonly header: JwtHeader
  readonly claims: Record<string, unknown>
}

/**
 * Verifies the signature of a JWT and nothing else: its claims are still to be checked. RFC 7519 section 7.2, RFC 8725 section 3.
 *
 * @throws {OidcError} ERR_OIDC_ID_TOKEN_MALFORMED, ERR_OIDC_ID_TOKEN_ALGORITHM, ERR_OIDC_ID_TOKEN_KEY,
 *   ERR_OIDC_ID_TOKEN_SIGNATURE; whatever `keysFor` throws
 */
export async function verifyJwt(token: string, keysFor: KeysFor, expected: JwtExpectations): Promise<VerifiedJwt> {
  checkShape(token, expected.maxLength ?? 65_536)
  const header = parseHeader(token)
  checkAlgorithm(header, [expected.algorithm].flat())
  checkType(header, expected.typ ?? isPlainJwt)
  const { alg, kid } = header
  const keys = await keysFor({ alg, ...(kid !== undefined && { kid }) })
  if (keys.length === 0) throw new OidcError('ERR_OIDC_ID_TOKEN_KEY', 'no key of the provider fits the token')
  return { header, claims: parseClaims(await verifySignature(token, keys, alg)) }
}

/** A JWT with a purpose of its own (an access token, a logout token) names it in `typ`. RFC 8725 section 3.11. */
function isPlainJwt(typ: string | undefined): boolean {
  return typ === undefined || /^(application\/)?jwt$/i.test(typ)
}

/** JWS Compact Serialization, RFC 7515 section 7.1. */
function checkShape(token: string, maxLength: number): void {
  if (token.length > maxLength) throw malformed('it is too long')
  if (isEncrypted(token))
    throw malformed('it is encrypted: set decryption, or switch encryption off for this client at the provider')
  if (!/^[\w-]+\.[\w-]+\.[\w-]*$/.test(token)) throw malformed('it is not a signed JWT')
}

/** JWE Compact Serialization, RFC 7516 section 7.1: the key may be empty, and so may the other parts. */
export function isEncrypted(token: string): boolean {
  // Every token passes here, and few are encrypted: counting dots costs less than matching all characters.
  return token.split('.', 6).length === 5 && /^[\w-]+(?:\.[\w-]*){4}$/.test(token)
}

function parseHeader(token: string): JwtHeader {
  const header = readHeader(token)
  const { alg, kid = undefined, typ = undefined } = withoutNulls(header)
  const { crit } = header
  if (typeof alg !== 'string') throw wrongAlgorithm(alg)
  if (kid !== undefined && typeof kid !== 'string') throw malformed('its kid is not a string')
  if (typ !== undefined && typeof typ !== 'string') throw malformed('its typ is not a string')
  // RFC 7515 section 4.1.11: an extension that is not understood and processed makes the token invalid. None is used here.
  if (crit !== undefined) throw malformed('it has a critical extension')
  return { alg, ...(kid !== undefined && { kid }), ...(typ !== undefined && { typ }) }
}

function readHeader(token: string): Record<string, unknown> {
  try {
    return { ...decodeProtectedHeader(token) }
  } catch {
    throw malformed('its header is damaged') // the parser's own message would quote it
  }
}

function checkAlgorithm(header: JwtHeader, algorithms: readonly SigningAlgorithm[]): void {
  if (!algorithms.some(algorithm => algorithm === header.alg)) throw wrongAlgorithm(header.alg, algorithms)
}

function checkType(header: JwtHeader, isExpected: (typ: string | undefined) => boolean): void {
  if (!isExpected(header.typ)) throw malformed('it was issued for another purpose', { typ: sanitize(header.typ) })
}

async function verifySignature(
  token: string,
  keys: readonly (CryptoKey | Uint8Array)[],
  alg: string,
): Promise<Uint8Array> {
  let cause: unknown
  for (const key of keys) {
    try {
      return (await compactVerify(token, key, { algorithms: [alg] })).payload
    } catch (error) {
      cause = error // another key may still fit: without a kid there is no telling which one was meant
    }
  }
  throw new OidcError('ERR_OIDC_ID_TOKEN_SIGNATURE', 'the signature of the token was not made by the provider', {
    cause,
  })
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function parseClaims(payload: Uint8Array): Record<string, unknown> {
  const claims = readClaims(payload)
  if (!isJsonObject(claims)) throw malformed('its claims are not an object, or nested too deep')
  return claims
}

function readClaims(payload: Uint8Array): unknown {
  try {
    return parseJson(utf8.decode(payload))
  } catch {
    throw malformed('its claims are not JSON') // the parser's own message would quote them
  }
}

function wrongAlgorithm(actual: unknown, algorithms: readonly SigningAlgorithm[] = []): OidcError {
  const cause = { expected: algorithms.length === 0 ? undefined : algorithms.join(' '), actual: sanitize(actual) }
  return new OidcError('ERR_OIDC_ID_TOKEN_ALGORITHM', 'the token is not signed with the expected algorithm', { cause })
}

/**
 * The claims of a token that is not verified: good for deciding what may be spent on verifying it, and for nothing else.
 *
 * @throws {OidcError} ERR_OIDC_ID_TOKEN_MALFORMED
 */
export function readClaimsUnverified(token: string): Record<string, unknown> {
  checkShape(token, 65_536)
  return parseClaims(Buffer.from(token.split('.')[1] ?? '', 'base64url'))
}

function malformed(message: string, cause?: unknown): OidcError {
  return new OidcError('ERR_OIDC_ID_TOKEN_MALFORMED', `the token cannot be read: ${message}`, { cause })
}
