import {
  constants,
  createHmac,
  createPrivateKey,
  generateKeyPair,
  type KeyObject,
  randomUUID,
  sign as signBytes,
} from 'node:crypto'
import { promisify } from 'node:util'
import type { JWK } from 'jose'

/**
 * Signatures made with node:crypto alone: the tests must be able to make what a JOSE library refuses to make, and must not
 * share their idea of a correct signature with the code under test.
 */
export interface SigningKey {
  readonly kid: string
  readonly alg: string
  readonly privateKey: KeyObject
  readonly publicJwk: JWK
}

const createPair = promisify(generateKeyPair) as (
  type: string,
  options?: object,
) => Promise<{ privateKey: KeyObject; publicKey: KeyObject }>

export async function createSigningKey(alg = 'RS256', options: { modulusLength?: number } = {}): Promise<SigningKey> {
  const { privateKey, publicKey } = await createPair(...pairOptions(alg, options.modulusLength ?? 2048))
  const kid = randomUUID()
  return { kid, alg, privateKey, publicJwk: { ...(publicKey.export({ format: 'jwk' }) as JWK), kid, alg, use: 'sig' } }
}

/** A private key as JWK, for a client that signs assertions. */
export function exportPrivateJwk({ privateKey, kid, alg }: SigningKey): JWK {
  return { ...(privateKey.export({ format: 'jwk' }) as JWK), kid, alg }
}

function pairOptions(alg: string, modulusLength: number): [string, object?] {
  const curves: Record<string, string> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521', ES256K: 'secp256k1' }
  const namedCurve = curves[alg]
  if (namedCurve) return ['ec', { namedCurve }]
  if (alg === 'EdDSA' || alg === 'Ed25519') return ['ed25519']
  return ['rsa', { modulusLength }]
}

export type KeyMaterial = KeyObject | Uint8Array | string

/** `header.payload.signature`, with any header whatsoever. `alg` decides how it is signed, not the header. */
export function signJwt(header: object, claims: unknown, alg: string, key: KeyMaterial): string {
  const input = `${encode(header)}.${encode(claims)}`
  return `${input}.${createSignature(input, alg, key).toString('base64url')}`
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value) ?? '').toString('base64url')
}

function createSignature(input: string, alg: string, key: KeyMaterial): Buffer {
  if (alg === 'none') return Buffer.alloc(0)
  const hash = `sha${alg.slice(2)}`
  if (alg.startsWith('HS')) return createHmac(hash, key).update(input).digest()
  const privateKey = typeof key === 'string' ? createPrivateKey(key) : (key as KeyObject)
  const data = Buffer.from(input)
  if (alg.startsWith('Ed')) return signBytes(null, data, privateKey)
  if (alg.startsWith('ES')) return signBytes(hash.slice(0, 6), data, { key: privateKey, dsaEncoding: 'ieee-p1363' })
  const padding = alg.startsWith('PS') ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: -1 } : {}
  return signBytes(hash, data, { key: privateKey, ...padding })
}
