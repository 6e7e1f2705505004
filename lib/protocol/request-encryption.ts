import type { JWK } from 'jose'
import { OidcError } from '../errors.js'
import { KEY_ALGORITHMS, type KeyEncryptionAlgorithm, type UsableEncryption } from './encryption-algorithms.js'
import { isPublic, isSafeModulus } from './key-selection.js'

/** A public key of the provider, and what it is used with. */
export interface EncryptionKey {
  readonly jwk: JWK
  readonly algorithm: KeyEncryptionAlgorithm
}

const CURVES: Readonly<Record<string, readonly unknown[]>> = { EC: ['P-256', 'P-384', 'P-521'], OKP: ['X25519'] }

/**
 * The key that request objects are encrypted to: one that the provider publishes for encryption, and the best algorithm that fits it. A key
 * that may be one for signatures is never taken. RFC 7517 section 4.2, OpenID Connect Core 1.0 section 10.2.
 */
export function selectEncryptionKey(
  keys: readonly JWK[],
  { algorithms }: Pick<UsableEncryption, 'algorithms'>,
): EncryptionKey | undefined {
  const published = keys.filter(key => isPublic(key) && isForEncryption(key))
  const found = algorithms.flatMap(algorithm =>
    published.filter(jwk => fits(jwk, algorithm)).map(jwk => ({ jwk, algorithm })),
  )
  return found[0]
}

function isForEncryption({ use, alg }: JWK): boolean {
  return use === 'enc' || (use === undefined && KEY_ALGORITHMS.some(name => name === alg))
}

function fits({ kty, crv, n, alg }: JWK, algorithm: KeyEncryptionAlgorithm): boolean {
  if (alg !== undefined && alg !== algorithm) return false
  if (algorithm === 'RSA-OAEP-256') return kty === 'RSA' && isSafeModulus(n)
  return CURVES[kty ?? '']?.includes(crv) ?? false
}

/**
 * Encrypts a signed request object. RFC 9101 section 6.1; RFC 7519 section 5.2 has it that a nested JWT says so in `cty`.
 *
 * @throws {OidcError} ERR_OIDC_UNSUPPORTED for a key that cannot be used
 */
export async function encryptRequestObject(
  signed: string,
  { jwk, algorithm }: EncryptionKey,
  { contentEncryption: enc }: Pick<UsableEncryption, 'contentEncryption'>,
): Promise<string> {
  const [{ CompactEncrypt }, { importJWK }] = await Promise.all([
    import('jose/jwe/compact/encrypt'),
    import('jose/key/import'),
  ])
  const kid = jwk.kid !== undefined && { kid: jwk.kid }
  try {
    const key = await importJWK(jwk, algorithm)
    const header = { alg: algorithm, enc, cty: 'JWT', ...kid }
    return await new CompactEncrypt(Buffer.from(signed)).setProtectedHeader(header).encrypt(key)
  } catch (cause) {
    const message = `request objects cannot be encrypted with ${algorithm} to the key that the provider publishes`
    throw new OidcError('ERR_OIDC_UNSUPPORTED', message, { cause })
  }
}

/** What a site is told that wants its requests encrypted, where there is nothing to encrypt them to. */
export function noEncryptionKey({ algorithms }: Pick<UsableEncryption, 'algorithms'>): OidcError {
  const message = `the provider publishes no key to encrypt request objects to (use "enc", for ${algorithms.join(' or ')}): leave requestObject.encryption out, or set another algorithm`
  return new OidcError('ERR_OIDC_UNSUPPORTED', message)
}
