import {
  constants,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  randomUUID,
  sign as signBytes,
} from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
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

interface KeyPair {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

const createPair = promisify(generateKeyPair) as (type: string, options?: object) => Promise<KeyPair>

/** RSA keys of earlier test processes. To find one takes a processor 50 to 500 ms, and most tests start a provider that needs one. */
const pool = fileURLToPath(new URL('../../.tmp/keys', import.meta.url))
const poolSize = 60
let notUsedHere: string[] | undefined

/** An RSA key of 2048 bits that this process has not used yet: from the pool or, when none is left there, a new one. */
async function takeRsaPair(): Promise<KeyPair> {
  if (notUsedHere === undefined) {
    mkdirSync(pool, { recursive: true, mode: 0o700 })
    notUsedHere = keysInPool().sort(() => Math.random() - 0.5)
  }
  const name = notUsedHere.pop()
  if (name !== undefined) {
    const privateKey = createPrivateKey(readFileSync(join(pool, name)))
    return { privateKey, publicKey: createPublicKey(privateKey) }
  }
  const pair = await createPair('rsa', { modulusLength: 2048 })
  if (keysInPool().length < poolSize) {
    const path = join(pool, randomUUID())
    writeFileSync(path, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
    renameSync(path, `${path}.pem`)
  }
  return pair
}

function keysInPool(): string[] {
  return readdirSync(pool).filter(name => name.endsWith('.pem'))
}

export async function createSigningKey(alg = 'RS256', options: { modulusLength?: number } = {}): Promise<SigningKey> {
  const { privateKey, publicKey } = await createKeyPair(alg, options.modulusLength ?? 2048)
  const kid = randomUUID()
  return { kid, alg, privateKey, publicJwk: { ...(publicKey.export({ format: 'jwk' }) as JWK), kid, alg, use: 'sig' } }
}

/** A private key as JWK, for a client that signs assertions. */
export function exportPrivateJwk({ privateKey, kid, alg }: SigningKey): JWK {
  return { ...(privateKey.export({ format: 'jwk' }) as JWK), kid, alg }
}

function createKeyPair(alg: string, modulusLength: number): Promise<KeyPair> {
  const curves: Record<string, string> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521', ES256K: 'secp256k1' }
  const namedCurve = curves[alg]
  if (namedCurve) return createPair('ec', { namedCurve })
  if (alg === 'EdDSA' || alg === 'Ed25519') return createPair('ed25519')
  return modulusLength === 2048 ? takeRsaPair() : createPair('rsa', { modulusLength })
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
