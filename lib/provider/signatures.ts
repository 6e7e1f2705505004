import { OidcError } from '../errors.js'
import { type JwtExpectations, type KeysFor, type VerifiedJwt, verifyJwt } from '../protocol/jwt.js'
import type { SigningAlgorithm } from '../protocol/wire.js'
import type { Budget } from './budget.js'
import type { KeySet } from './key-set.js'

export interface SignaturesSettings {
  readonly keySet: Pick<KeySet, 'keysFor' | 'reload'>
  readonly clientSecret: string | undefined
  /** Those that will be asked for. */
  readonly algorithms: readonly SigningAlgorithm[]
}

export type VerifySignature = (
  token: string,
  algorithms: SigningAlgorithm | readonly SigningAlgorithm[],
  /** For a token that is not an ID Token: its `typ`, and what pays for fetching keys once more. */
  options?: Pick<JwtExpectations, 'typ'> & { readonly budget?: () => Promise<Budget> },
) => Promise<VerifiedJwt>

/** Bytes of a secret, RFC 7518 section 3.2: a key as long as the hash, or longer. */
const SECRET_LENGTHS: Readonly<Record<string, number>> = { HS256: 32, HS384: 48, HS512: 64 }

export function isAsymmetric(algorithm: string): boolean {
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

  return async function verify(token, algorithms, { budget, ...options } = {}) {
    const expected = { ...options, algorithm: algorithms }
    let isBySecret = false
    const keysFor: KeysFor = async header => {
      isBySecret = !isAsymmetric(header.alg)
      return isBySecret ? [secret] : keySet.keysFor(header, budget)
    }
    try {
      return await verifyJwt(token, keysFor, expected)
    } catch (error) {
      // Without a `kid`, or with one that was used again, a new key looks like a bad signature.
      if (isBySecret || !isSignatureFailure(error) || !(await keySet.reload(budget))) throw error
      return verifyJwt(token, keysFor, expected)
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
