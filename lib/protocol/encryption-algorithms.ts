import { chooseListed, type Warn } from './listed.js'
import type { ProviderMetadata } from './wire.js'

/** How the key of an encrypted token is agreed on: `alg` of a JWE. RFC 7518 section 4.1. */
export type KeyEncryptionAlgorithm = 'RSA-OAEP-256' | 'ECDH-ES' | 'ECDH-ES+A128KW' | 'ECDH-ES+A256KW'

/** What its content is encrypted with: `enc` of a JWE. RFC 7518 section 5.1. */
export type ContentEncryptionAlgorithm = 'A128CBC-HS256' | 'A128GCM' | 'A256GCM' | 'A256CBC-HS512'

/**
 * The best first. Not among them: RSA1_5, whose padding is an oracle (RFC 8725 section 3.2); PBES2, whose `p2c` lets the sender
 * decide how long this site computes; `dir` and AES key wrapping, for which a client secret would have to serve as key.
 */
export const KEY_ALGORITHMS = [
  'RSA-OAEP-256',
  'ECDH-ES',
  'ECDH-ES+A128KW',
  'ECDH-ES+A256KW',
] as const satisfies readonly KeyEncryptionAlgorithm[]

/** The default of OpenID Connect Dynamic Client Registration 1.0 section 2 first. */
export const CONTENT_ALGORITHMS = [
  'A128CBC-HS256',
  'A128GCM',
  'A256GCM',
  'A256CBC-HS512',
] as const satisfies readonly ContentEncryptionAlgorithm[]

/** How the site encrypts its request objects to the provider. RFC 9101 section 6.1. */
export interface RequestEncryption {
  /** `alg` of the JWE. Default: the first one that the provider lists and has a key for. */
  readonly algorithm?: KeyEncryptionAlgorithm | undefined
  /** `enc` of the JWE. Default: the first one that the provider lists. */
  readonly contentEncryption?: ContentEncryptionAlgorithm | undefined
}

/** What would do, the best first. */
export interface UsableEncryption {
  readonly algorithms: readonly KeyEncryptionAlgorithm[]
  readonly contentEncryption: ContentEncryptionAlgorithm
}

/**
 * What request objects can be encrypted with. OpenID Connect Discovery 1.0 section 3.
 *
 * @throws {OidcError} ERR_OIDC_UNSUPPORTED where the provider lists nothing that would do, and no option names anything
 */
export function selectEncryption(
  {
    request_object_encryption_alg_values_supported: algorithms,
    request_object_encryption_enc_values_supported: contents,
  }: ProviderMetadata,
  { algorithm, contentEncryption }: RequestEncryption,
  warn?: Warn,
): UsableEncryption {
  const content = {
    what: 'content encryption of request objects',
    candidates: contentEncryption === undefined ? CONTENT_ALGORITHMS : [contentEncryption],
    isExplicit: contentEncryption !== undefined,
    advice: 'set requestObject.encryption.contentEncryption, or leave requestObject.encryption out',
  }
  const key = {
    what: 'encryption of request objects',
    candidates: algorithm === undefined ? KEY_ALGORITHMS : [algorithm],
    isExplicit: algorithm !== undefined,
    advice: 'set requestObject.encryption.algorithm, or leave requestObject.encryption out',
  }
  const first = chooseListed<KeyEncryptionAlgorithm>(key, algorithms, warn)
  const isKnown = algorithms !== undefined && algorithms.length > 0
  const others = key.candidates.filter(name => name !== first && (!isKnown || algorithms.includes(name)))
  return {
    algorithms: [first, ...others],
    contentEncryption: chooseListed<ContentEncryptionAlgorithm>(content, contents, warn),
  }
}
