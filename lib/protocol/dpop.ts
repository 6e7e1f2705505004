import { createECDH, createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import type { ProofAlgorithm } from './proof-algorithms.js'

/** The private key that the tokens of one session are bound to: the members of its JWK that do not follow from `alg`. RFC 7518 section 6.2. */
export interface ProofKey {
  readonly alg: ProofAlgorithm
  /** The private part, base64url. A secret. */
  readonly d: string
  readonly x: string
  /** Of `ES256` only. */
  readonly y?: string
}

/** The request that one proof is for. RFC 9449 section 4.2. */
export interface ProofContext {
  readonly method: string
  readonly url: string | URL
  /** Seconds since the epoch. */
  readonly now: number
  /** Never the same twice. */
  readonly jti: string
  /** What the server has asked for. RFC 9449 section 8. */
  readonly nonce?: string | undefined
  /** The token that goes along. RFC 9449 section 7. */
  readonly accessToken?: string | undefined
}

/** Order of P-256. SEC 2 section 2.4.2. */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** PrivateKeyInfo of Ed25519, up to the 32 bytes of the key. RFC 8410 section 7. */
const ED25519_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex')

/**
 * Makes a key of a secret: always the same key of the same secret, so that any process that knows the secret has it.
 *
 * @param secret - at least 48 random bytes
 */
export function deriveProofKey(alg: ProofAlgorithm, secret: Buffer): ProofKey {
  if (secret.length < 48) throw new TypeError('a proof key needs 48 random bytes')
  return alg === 'ES256' ? derivePrime(secret) : deriveEdwards(alg, secret.subarray(0, 32))
}

/** FIPS 186-5 appendix A.2.1: so many more bits than the order has that no key is likelier than another. */
function derivePrime(secret: Buffer): ProofKey {
  const scalar = (BigInt(`0x${secret.toString('hex')}`) % (ORDER - 1n)) + 1n
  const d = Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex')
  const pair = createECDH('prime256v1')
  pair.setPrivateKey(d)
  const point = pair.getPublicKey()
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map(part => part.toString('base64url')) as [string, string]
  return { alg: 'ES256', d: d.toString('base64url'), x, y }
}

function deriveEdwards(alg: ProofAlgorithm, seed: Buffer): ProofKey {
  const key = createPrivateKey({ key: Buffer.concat([ED25519_HEAD, seed]), format: 'der', type: 'pkcs8' })
  const { x = '' } = createPublicKey(key).export({ format: 'jwk' })
  return { alg, d: seed.toString('base64url'), x }
}

/** For `node:crypto`. It costs as much as a signature, so that the caller keeps it for a while. */
export function importProofKey(key: ProofKey): KeyObject {
  return createPrivateKey({ key: { ...publicJwk(key), d: key.d }, format: 'jwk' })
}

/** Public members only, in the order of RFC 7638 section 3.3. */
function publicJwk({ alg, x, y }: ProofKey): Record<string, string> {
  return alg === 'ES256' ? { crv: 'P-256', kty: 'EC', x, y: y ?? '' } : { crv: 'Ed25519', kty: 'OKP', x }
}

/** The `dpop_jkt` of a key: its JWK SHA-256 thumbprint. RFC 7638, RFC 9449 section 10. */
export function proofKeyThumbprint(key: ProofKey): string {
  return createHash('sha256')
    .update(JSON.stringify(publicJwk(key)))
    .digest('base64url')
}

/** A DPoP proof, for one request. RFC 9449 section 4.2. */
export function signProof(key: ProofKey, privateKey: KeyObject, context: ProofContext): string {
  const { method, url, now, jti, nonce, accessToken } = context
  const header = { typ: 'dpop+jwt', alg: key.alg, jwk: publicJwk(key) }
  const claims = {
    jti,
    htm: method,
    htu: withoutQuery(url),
    iat: now,
    ...(accessToken !== undefined && { ath: createHash('sha256').update(accessToken).digest('base64url') }),
    ...(nonce !== undefined && { nonce }),
  }
  const input = `${encode(header)}.${encode(claims)}`
  const hash = key.alg === 'ES256' ? 'sha256' : null
  const signature = sign(hash, Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return `${input}.${signature.toString('base64url')}`
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** `htu` has neither query nor fragment. */
function withoutQuery(url: string | URL): string {
  const { origin, pathname } = new URL(url)
  return origin + pathname
}

/** Characters of the longest nonce that is remembered. It goes into a header field. */
const LONGEST_NONCE = 512

/** The nonce in a `DPoP-Nonce` header; `undefined` where it has none that can be used. RFC 9449 section 8.1. */
export function parseNonce(header: string | null | undefined): string | undefined {
  if (header === null || header === undefined || header.length > LONGEST_NONCE) return undefined
  return /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(header) ? header : undefined
}

/** Whether a challenge of an API asks for a nonce, whatever the letter case of its scheme. RFC 9449 section 9. */
export function asksForNonce(challenge: string | null | undefined): boolean {
  return /\berror\s*=\s*"?use_dpop_nonce\b/i.test(challenge ?? '')
}
