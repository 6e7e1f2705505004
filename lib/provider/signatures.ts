import { OidcError } from '../errors.js'
import {
  type JwtExpectations,
  type KeysFor,
  readClaimsUnverified,
  type VerifiedJwt,
  verifyJwt,
} from '../protocol/jwt.js'
import type { SigningAlgorithm } from '../protocol/wire.js'
import type { Budget } from './budget.js'
import type { KeySet } from './key-set.js'

export interface SignaturesSettings {
  readonly keySet: Pick<KeySet, 'keysFor' | 'reload'>
  readonly clientSecret: string | undefined
  /** Those that will be asked for. */
  readonly algorithms: readonly SigningAlgorithm[]
  /** The issuer with a placeholder, where the keys are those of many tenants: some are of one tenant only. */
  readonly template?: string | undefined
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
export function createSignatures({ keySet, clientSecret, algorithms, template }: SignaturesSettings): VerifySignature {
  const secret = Buffer.from(clientSecret ?? '')
  for (const algorithm of algorithms) checkSecretLength(secret, algorithm)

  return async function verify(token, algorithms, { budget, ...options } = {}) {
    const expected = { ...options, algorithm: algorithms }
    let isBySecret = false
    const keysFor: KeysFor = async header => {
      isBySecret = !isAsymmetric(header.alg)
      if (isBySecret) return [secret]
      // What the token says of its issuer is compared afterwards; here it only leaves out keys that are of another one.
      const issuers = template === undefined ? {} : { issuers: [template, readClaimsUnverified(token).iss] }
      return keySet.keysFor({ ...header, ...issuers }, budget)
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
