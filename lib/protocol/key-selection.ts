import type { JWK } from 'jose'
import { isRecord } from './json.js'
import { isMlDsa } from './signing-algorithms.js'

/** What a JWS header says about its key. RFC 7515 sections 4.1.1 and 4.1.4. Its other hints are never looked at. */
export interface KeyHint {
  readonly alg: string
  readonly kid?: string
  /** Where keys may be of one tenant: their `issuer` has to be one of these. Left out: that member counts for nothing. */
  readonly issuers?: readonly unknown[]
}

/** Bits. Shorter moduli can be factored (RFC 7518 section 3.3); longer ones only cost time. */
const RSA_MODULUS = { min: 2048, max: 8192 }

/** The curve each algorithm goes with. RFC 7518 section 3.4, RFC 8037 section 3.1. */
const CURVES: ReadonlyMap<string, string> = new Map([
  ['ES256', 'P-256'],
  ['ES384', 'P-384'],
  ['ES512', 'P-521'],
  ['EdDSA', 'Ed25519'],
  ['Ed25519', 'Ed25519'],
])

/**
 * The keys of a JWKS that could have made a signature: usually one, several where the header has no `kid` or the set has
 * twins. RFC 7517 section 4. A shared secret or a private key never comes from a published set.
 */
export function selectKeys(keys: readonly JWK[], header: KeyHint): readonly JWK[] {
  return keys.filter(
    key =>
      isRecord(key) &&
      isPublic(key) &&
      isForVerifying(key) &&
      isNamedBy(key, header) &&
      isOfIssuer(key, header) &&
      isForAlgorithm(key, header.alg),
  )
}

/** A private key, or a shared secret, was published by mistake. */
export function isPublic(key: JWK): boolean {
  return key.d === undefined && key.k === undefined && key.priv === undefined
}

function isForVerifying(key: JWK): boolean {
  const { use, key_ops: operations } = key
  if (use !== undefined && use !== 'sig') return false
  return operations === undefined || (Array.isArray(operations) && operations.includes('verify'))
}

function isNamedBy(key: JWK, header: KeyHint): boolean {
  return header.kid === undefined || key.kid === header.kid
}

/** The key set that Entra ID publishes for all tenants says of each key whose tokens it signs, with a placeholder where it is those of all. */
function isOfIssuer(key: JWK, { issuers }: KeyHint): boolean {
  const { issuer } = key as { readonly issuer?: unknown }
  return issuers === undefined || issuer === undefined || issuers.includes(issuer)
}

function isForAlgorithm(key: JWK, alg: string): boolean {
  if (key.alg !== undefined && key.alg !== alg) return false
  // Its key names the algorithm.
  if (isMlDsa(alg)) return key.kty === 'AKP' && key.alg === alg
  if (/^[RP]S(256|384|512)$/.test(alg)) return key.kty === 'RSA' && isSafeModulus(key.n)
  const curve = CURVES.get(alg)
  return curve !== undefined && key.kty === (curve === 'Ed25519' ? 'OKP' : 'EC') && key.crv === curve
}

/** RFC 7518 sections 3.3 and 4.3. */
export function isSafeModulus(n: unknown): boolean {
  if (typeof n !== 'string') return false
  const bits = bitLength(Buffer.from(n, 'base64url'))
  return bits >= RSA_MODULUS.min && bits <= RSA_MODULUS.max
}

function bitLength(bytes: Buffer): number {
  const start = bytes.findIndex(byte => byte !== 0)
  if (start === -1) return 0
  return (bytes.length - start) * 8 - Math.clz32(bytes[start] ?? 0) + 24
}
