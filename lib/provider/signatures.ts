import { OidcError } from '../errors.js'
import { type JwtExpectations, type KeysFor, type VerifiedJwt, verifyJwt } from '../protocol/jwt.js'
import type { SigningAlgorithm } from '../protocol/wire.js'
import type { KeySet } from './key-set.js'

export interface SignaturesSettings {
  readonly keySet: Pick<KeySet, 'keysFor' | 'renew'>
  readonly clientSecret: string | undefined
  /** Those that will be asked for. */
  readonly algorithms: readonly SigningAlgorithm[]
}

export type VerifySignature = (
  token: string,
  algorithm: SigningAlgorithm,
  /** For a token that is no ID Token and names its purpose in its header. */
  options?: Pick<JwtExpectations, 'typ'>,
) => Promise<VerifiedJwt>

/** Bytes of a secret, RFC 7518 section 3.2: a key as long as the hash, or longer. */
const SECRET_LENGTHS: Readonly<Record<string, number>> = { HS256: 32, HS384: 48, HS512: 64 }

export function isAsymmetric(algorithm: SigningAlgorithm): boolean {
  return !(algorithm in SECRET_LENGTHS)
}

/**
 * Signatures of the provider: by its published keys, or, for HS256 and its kin, by the client secret and nothing else.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS where an algorithm needs a client secret that is missing or too short
 */
export function createSignatures({ keySet, clientSecret, algorithms }: SignaturesSettings): VerifySignature {
  const secret = Buffer.from(clientSecret ?? '')
  for (const algorithm of algorithms) checkSecretLength(secret, algorithm)
  const secretFor: KeysFor = async () => [secret]

  return async function verify(token, algorithm, options) {
    const expected = { ...options, algorithm }
    if (!isAsymmetric(algorithm)) return verifyJwt(token, secretFor, expected)
    try {
      return await verifyJwt(token, keySet.keysFor, expected)
    } catch (error) {
      // Without a `kid`, or with one that was used again, a new key looks like a bad signature.
      if (!isSignatureFailure(error) || !(await keySet.renew())) throw error
      return verifyJwt(token, keySet.keysFor, expected)
    }
  }
}

function checkSecretLength(secret: Buffer, algorithm: SigningAlgorithm): void {
  const needed = SECRET_LENGTHS[algorithm] ?? 0
  if (secret.length >= needed) return
  throw new OidcError('ERR_OIDC_OPTIONS', `${algorithm} needs a client secret of at least ${needed} bytes`)
}

function isSignatureFailure(error: unknown): boolean {
  return error instanceof OidcError && error.code === 'ERR_OIDC_ID_TOKEN_SIGNATURE'
}
