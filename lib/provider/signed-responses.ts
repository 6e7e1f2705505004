import { observe } from '../diagnostics/publish.js'
import { describeJwt } from '../diagnostics/values.js'
import { readClaimsUnverified } from '../protocol/jwt.js'
import { checkSignedResponse, responseFieldsOf, type SignedResponseExpectations } from '../protocol/signed-response.js'
import { idTokenAlgorithms } from '../protocol/signing-algorithms.js'
import { renameTokenError } from '../protocol/token-codes.js'
import type { ProviderMetadata, SigningAlgorithm } from '../protocol/wire.js'
import type { OpenToken } from './decryption.js'
import type { VerifySignature } from './signatures.js'

/** A signed authorization response: what it says, and how to find out whether that may be believed. */
export interface SignedResponse {
  /** The parameters, not verified. They are good for finding the transaction, and for nothing else. */
  readonly unverified: readonly (readonly [string, string])[]
  /** The parameters, after every check of JARM section 2.4. */
  verify(): Promise<[name: string, value: string][]>
}

interface SignedResponseSettings extends Omit<SignedResponseExpectations, 'now'> {
  readonly now: () => Date
  readonly open: OpenToken
  /** Whether a response that is not encrypted is refused. */
  readonly isEncryptionDemanded: boolean
  readonly verify: VerifySignature
  readonly metadata: () => Promise<ProviderMetadata>
  /** The one algorithm that the site has named. */
  readonly named: SigningAlgorithm | undefined
}

function rename(error: unknown): never {
  throw renameTokenError('RESPONSE', error)
}

/** Opens signed authorization responses. JARM section 2.4. @throws {OidcError} ERR_OIDC_RESPONSE_… */
export function createSignedResponses(settings: SignedResponseSettings) {
  const { open, isEncryptionDemanded, verify, metadata, named, now, ...expected } = settings

  async function verifyResponse(token: string): Promise<[string, string][]> {
    const { authorization_signing_alg_values_supported: listed = [] } = await metadata()
    const algorithms = idTokenAlgorithms({ id_token_signing_alg_values_supported: listed }, named)
    const { claims } = await verify(token, algorithms).catch(rename)
    checkSignedResponse(claims, { ...expected, now: now().getTime() / 1000 })
    return responseFieldsOf(claims)
  }

  return async function openResponse(received: string): Promise<SignedResponse> {
    try {
      const token = await open(received, isEncryptionDemanded)
      const verifyObserved = () =>
        observe(
          () => verifyResponse(token),
          timing => ({
            type: 'jwt',
            token: 'authorization-response',
            ...describeJwt(received, token),
            ...(timing.passed && { issuer: expected.issuer }),
            ...timing,
          }),
        )
      return { unverified: responseFieldsOf(readClaimsUnverified(token)), verify: verifyObserved }
    } catch (error) {
      return rename(error)
    }
  }
}
