import { randomUUID } from 'node:crypto'
import type { AssertionHeader, ClientPrivateKey } from '../protocol/client-assertion.js'
import { buildRequestClaims, signRequestObject } from '../protocol/request-object.js'
import type { ProviderMetadata, SigningAlgorithm } from '../protocol/wire.js'
import { selectSigner } from './client-credentials.js'
import type { ClientKeySource } from './client-key.js'

/** What authorization requests are signed with. RFC 9101. */
export interface RequestSigning {
  /** Where it is a function, it is asked for the key of each request. */
  readonly key: ClientPrivateKey | ClientKeySource
  /** Default: one that fits the key, and that the provider lists. */
  readonly algorithm?: SigningAlgorithm | undefined
  /** Those that a default is chosen of. Default: all that fit the key. */
  readonly allowed?: readonly SigningAlgorithm[] | undefined
  readonly header?: AssertionHeader | undefined
}

interface RequestObjectSettings {
  readonly clientId: string
  readonly signing: RequestSigning
  readonly now: () => Date
  readonly random?: (() => string) | undefined
}

/** Signs authorization requests. @throws {OidcError} ERR_OIDC_OPTIONS, ERR_OIDC_UNSUPPORTED for a key that fits nothing */
export function createRequestObjects({ clientId, signing, now, random = randomUUID }: RequestObjectSettings) {
  const { key, algorithm, allowed, header } = signing
  return async function signRequest(metadata: ProviderMetadata, params: URLSearchParams): Promise<string> {
    const named = typeof key === 'function' ? await key() : { key }
    const signer = selectSigner(named, {
      what: 'algorithm of request objects',
      option: 'requestObject.algorithm',
      listed: metadata.request_object_signing_alg_values_supported,
      ...{ algorithm, allowed, header },
    })
    const context = { clientId, issuer: metadata.issuer, now: Math.floor(now().getTime() / 1000), jti: random() }
    return signRequestObject(signer, buildRequestClaims(params, context))
  }
}
