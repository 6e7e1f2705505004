import { createPublicKey, type JsonWebKeyInput, type KeyObject, verify } from 'node:crypto'
import { OidcError } from '../errors.js'
import { isJsonObject, isRecord, parseJson } from './json.js'
import { sanitize } from './printable.js'

/** What a browser may sign with, in order of preference. */
export const DEVICE_ALGORITHMS = ['ES256', 'RS256'] as const

export type DeviceAlgorithm = (typeof DEVICE_ALGORITHMS)[number]

/** The public key of a browser on a device: the members of its JWK that do not follow from `alg`. RFC 7518 sections 6.2 and 6.3. */
export type DeviceKey =
  | { readonly alg: 'ES256'; readonly x: string; readonly y: string }
  | { readonly alg: 'RS256'; readonly n: string }

/** A proof that is not verified yet. Device Bound Session Credentials (draft), "DBSC proofs". */
export interface DeviceProof {
  readonly alg: DeviceAlgorithm
  /** The key as the proof names it: at a registration only. */
  readonly jwk: unknown
  /** The challenge it responds to. */
  readonly challenge: string
  /** What is signed, and the signature. */
  readonly input: string
  readonly signature: string
}

/** Characters. One with an RSA key of 4096 bits has about 1,500. */
const LONGEST_PROOF = 4096

/** Characters of an RSA modulus in base64url: 2048 and 4096 bits. */
const SHORTEST_MODULUS = 342
const LONGEST_MODULUS = 683

/** 65537, which every hardware module uses. */
const EXPONENT = 'AQAB'

const TYPE = 'dbsc+jwt'

/**
 * Reads the header `Secure-Session-Response`: the compact form of a JWT, which a browser may put in quotes (RFC 9651 section 3.3.3). Nothing of it is verified.
 *
 * @throws {OidcError} ERR_OIDC_DEVICE_PROOF
 */
export function parseDeviceProof(header: string): DeviceProof {
  if (header.length > LONGEST_PROOF) throw refused('it is too long')
  const [, input = '', encodedHeader = '', encodedClaims = '', signature = ''] =
    /^"?(([\w-]+)\.([\w-]+))\.([\w-]+)"?$/.exec(header) ?? []
  const { alg, typ, crit, jwk } = parsePart(encodedHeader, 'header')
  const { jti } = parsePart(encodedClaims, 'claims')
  if (typ !== TYPE) throw refused('it was issued for another purpose', typ)
  if (!isDeviceAlgorithm(alg)) throw refused('it is signed with an algorithm that was not offered', alg)
  // RFC 7515 section 4.1.11: an extension that is not understood makes a signature invalid.
  if (crit !== undefined) throw refused('it has a critical extension')
  if (typeof jti !== 'string') throw refused('its jti is not a string', typeof jti)
  return { alg, jwk, challenge: jti, input, signature }
}

/**
 * Verifies the proof of a registration by the key it names, and returns that key.
 *
 * @throws {OidcError} ERR_OIDC_DEVICE_PROOF
 */
export function verifyRegistration(proof: DeviceProof): DeviceKey {
  const key = readKey(proof)
  verifySignature(proof, key)
  return key
}

/**
 * Verifies the proof of a refresh by the key that was registered. A proof that brings a key is refused: a key counts at the registration only.
 *
 * @throws {OidcError} ERR_OIDC_DEVICE_PROOF
 */
export function verifyRefresh(proof: DeviceProof, key: DeviceKey): void {
  if (proof.jwk !== undefined) throw refused('it brings a key, and is no registration')
  if (proof.alg !== key.alg) throw refused('it is signed with another algorithm than the registered key', proof.alg)
  verifySignature(proof, key)
}

/** Whether two registrations are of one key. */
export function isSameKey(one: DeviceKey, other: DeviceKey): boolean {
  return JSON.stringify(jwkOf(one)) === JSON.stringify(jwkOf(other))
}

function isDeviceAlgorithm(alg: unknown): alg is DeviceAlgorithm {
  return DEVICE_ALGORITHMS.some(offered => offered === alg)
}

function parsePart(encoded: string, part: string): Record<string, unknown> {
  try {
    const value = parseJson(Buffer.from(encoded, 'base64url').toString())
    if (isJsonObject(value)) return value
  } catch {} // the parser's own message would quote it
  throw refused(`its ${part} cannot be read`)
}

/** Only public members are taken, and only keys of the size that browsers make. */
function readKey({ alg, jwk }: DeviceProof): DeviceKey {
  if (!isRecord(jwk)) throw refused('it names no key')
  const { kty, crv, x, y, n, e } = jwk
  if (alg === 'ES256' && kty === 'EC' && crv === 'P-256' && isCoordinate(x) && isCoordinate(y)) return { alg, x, y }
  if (alg === 'RS256' && kty === 'RSA' && e === EXPONENT && isModulus(n)) return { alg, n }
  throw refused('its key does not fit its algorithm', kty)
}

function isCoordinate(value: unknown): value is string {
  return typeof value === 'string' && /^[\w-]{43}$/.test(value)
}

function isModulus(value: unknown): value is string {
  if (typeof value !== 'string' || !/^[\w-]+$/.test(value)) return false
  return value.length >= SHORTEST_MODULUS && value.length <= LONGEST_MODULUS
}

/** In the order of RFC 7638 section 3.2. */
function jwkOf(key: DeviceKey): Record<string, string> {
  if (key.alg === 'RS256') return { e: EXPONENT, kty: 'RSA', n: key.n }
  return { crv: 'P-256', kty: 'EC', x: key.x, y: key.y }
}

function verifySignature({ input, signature }: DeviceProof, key: DeviceKey): void {
  const encoding = key.alg === 'ES256' ? { dsaEncoding: 'ieee-p1363' as const } : {}
  const isRight = verify(
    'sha256',
    Buffer.from(input),
    { key: importKey(key), ...encoding },
    Buffer.from(signature, 'base64url'),
  )
  if (!isRight) throw refused('its signature was not made by the key')
}

function importKey(key: DeviceKey): KeyObject {
  try {
    return createPublicKey({ key: jwkOf(key), format: 'jwk' } as JsonWebKeyInput)
  } catch {
    throw refused('its key is not a point of the curve')
  }
}

function refused(message: string, actual?: unknown): OidcError {
  const cause = actual === undefined ? undefined : { actual: sanitize(actual) }
  return new OidcError('ERR_OIDC_DEVICE_PROOF', `device proof: ${message}`, { cause })
}
