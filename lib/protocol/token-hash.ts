import { createHash, hash } from 'node:crypto'
import { OidcError, type OidcErrorCode } from '../errors.js'
import { isSameSecret } from './constant-time.js'
import { isMlDsa } from './signing-algorithms.js'

/** Values that the hash claims cover: only those of the same response. */
export interface TokenHashSubjects {
  readonly code?: string | undefined
  readonly accessToken?: string | undefined
  readonly state?: string | undefined
}

/** Which hashes have to be there. `s_hash` never has to. */
export interface RequiredTokenHashes {
  readonly codeHash: boolean
  readonly accessTokenHash: boolean
}

/**
 * Checks that a code, an access token and a state belong to the ID Token they came with. OpenID Connect Core 1.0 sections
 * 3.1.3.8, 3.2.2.9 and 3.3.2.10. A hash whose value did not come along vouches for nothing and is not looked at.
 *
 * @param alg - the algorithm of the ID Token's signature
 * @throws {OidcError} ERR_OIDC_ID_TOKEN_CODE_HASH, ERR_OIDC_ID_TOKEN_ACCESS_TOKEN_HASH, ERR_OIDC_ID_TOKEN_STATE_HASH
 */
export function checkTokenHashes(
  claims: Readonly<Record<string, unknown>>,
  alg: string,
  { code, accessToken, state }: TokenHashSubjects,
  required: RequiredTokenHashes,
): void {
  const { c_hash, at_hash, s_hash } = claims
  if (!isHashOf(c_hash, code, alg, required.codeHash)) throw wrongHash('ERR_OIDC_ID_TOKEN_CODE_HASH', 'c_hash')
  if (!isHashOf(at_hash, accessToken, alg, required.accessTokenHash)) {
    throw wrongHash('ERR_OIDC_ID_TOKEN_ACCESS_TOKEN_HASH', 'at_hash')
  }
  if (!isHashOf(s_hash, state, alg, false)) throw wrongHash('ERR_OIDC_ID_TOKEN_STATE_HASH', 's_hash')
}

/**
 * The left half of the hash of a value, as `c_hash`, `at_hash` and `s_hash` carry it. OpenID Connect Core 1.0 section 3.3.2.11.
 *
 * @param alg - the algorithm of the ID Token's signature; it decides which hash is used
 * @throws {OidcError} ERR_OIDC_ID_TOKEN_ALGORITHM
 */
export function buildTokenHash(value: string, alg: string): string {
  // The hash within ML-DSA itself, FIPS 204 section 3.7; 64 bytes, as with Ed25519.
  const digest = isMlDsa(alg)
    ? createHash('shake256', { outputLength: 64 }).update(value).digest()
    : hash(hashOf(alg), value, 'buffer')
  return digest.subarray(0, digest.length / 2).toString('base64url')
}

function isHashOf(hash: unknown, value: string | undefined, alg: string, isRequired: boolean): boolean {
  if (value === undefined || hash === undefined) return !isRequired
  return typeof hash === 'string' && isSameSecret(hash, buildTokenHash(value, alg))
}

function hashOf(alg: string): string {
  if (alg === 'EdDSA' || alg === 'Ed25519') return 'sha512' // the hash within Ed25519 itself, RFC 8032 section 5.1
  const bits = /^[RPEH]S(256|384|512)$/.exec(alg)?.[1]
  if (bits === undefined) throw new OidcError('ERR_OIDC_ID_TOKEN_ALGORITHM', 'no hash goes with the algorithm')
  return `sha${bits}`
}

function wrongHash(code: OidcErrorCode, claim: string): OidcError {
  return new OidcError(code, `${claim} is missing, or does not match what came with the ID Token`)
}
