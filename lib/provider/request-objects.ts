import { randomUUID } from 'node:crypto'
import { observe } from '../diagnostics/publish.js'
import { describeJwt } from '../diagnostics/values.js'
import type { AssertionHeader, ClientPrivateKey } from '../protocol/client-assertion.js'
import { type RequestEncryption, selectEncryption } from '../protocol/encryption-algorithms.js'
import { buildRequestClaims, signRequestObject } from '../protocol/request-object.js'
import type { ProviderMetadata, SigningAlgorithm } from '../protocol/wire.js'
import { selectSigner } from './client-credentials.js'
import type { ClientKeySource } from './client-key.js'
import type { KeySet } from './key-set.js'

/** What authorization requests are signed with. RFC 9101. */
export interface RequestSigning {
  /** Where it is a function, it is asked for the key of each request. */
  readonly key: ClientPrivateKey | ClientKeySource
  /** Default: one that fits the key, and that the provider lists. */
  readonly algorithm?: SigningAlgorithm | undefined
  /** Those that a default is chosen of. Default: all that fit the key. */
  readonly allowed?: readonly SigningAlgorithm[] | undefined
  readonly header?: AssertionHeader | undefined
  /** Left out: they are signed only. */
  readonly encryption?: RequestEncryption | undefined
}

interface RequestObjectSettings {
  readonly clientId: string
  readonly signing: RequestSigning
  /** Of the provider: what requests are encrypted to. */
  readonly keySet: Pick<KeySet, 'find'>
  readonly now: () => Date
  readonly random?: (() => string) | undefined
}

/**
 * Signs authorization requests, and encrypts them where the site wants that.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS, ERR_OIDC_UNSUPPORTED for a key that fits nothing, and where the provider has none to encrypt to
 */
export function createRequestObjects({ clientId, signing, keySet, now, random = randomUUID }: RequestObjectSettings) {
  const { key, algorithm, allowed, header, encryption } = signing
  async function sign(metadata: ProviderMetadata, params: URLSearchParams): Promise<string> {
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

  return function signRequest(metadata: ProviderMetadata, params: URLSearchParams): Promise<string> {
    let signed: string | undefined
    const make = async () => {
      signed = await sign(metadata, params)
      return encryption === undefined ? signed : encrypt(keySet, signed, selectEncryption(metadata, encryption))
    }
    return observe(make, (timing, _error, sent) => ({
      type: 'jwt',
      token: 'request-object',
      ...describeJwt(sent, signed),
      ...timing,
    }))
  }
}

async function encrypt(
  keySet: Pick<KeySet, 'find'>,
  signed: string,
  usable: ReturnType<typeof selectEncryption>,
): Promise<string> {
  const { encryptRequestObject, noEncryptionKey, selectEncryptionKey } = await import(
    '../protocol/request-encryption.js'
  )
  const key = await keySet.find(keys => selectEncryptionKey(keys, usable))
  if (key === undefined) throw noEncryptionKey(usable)
  return encryptRequestObject(signed, key, usable)
}
