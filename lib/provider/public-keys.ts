import { createHash, createPrivateKey, createPublicKey, type JsonWebKey, KeyObject, X509Certificate } from 'node:crypto'
import type { JWK } from 'jose'
import { OidcError } from '../errors.js'
import type { ClientPrivateKey } from '../protocol/client-assertion.js'
import type { CertificateSource } from './client-certificate.js'
import type { ClientCredentials } from './client-credentials.js'
import type { NamedClientKey } from './client-key.js'
import type { Decryption } from './decryption.js'
import type { RequestSigning } from './request-objects.js'

/** Members of a public key. RFC 7518 section 6, RFC 8037 section 2. */
const PARAMETERS = ['kty', 'crv', 'x', 'y', 'n', 'e', 'pub', 'alg'] as const

/** What a JWK says about itself, and others may know. RFC 7517 section 4. */
const DESCRIPTION = ['kid', 'alg', 'x5c', 'x5t', 'x5t#S256'] as const

/** A key of this site, and what the provider is told about it. */
export interface PublishedKey {
  readonly key: ClientPrivateKey
  readonly use: 'sig' | 'enc'
  /** Names the key, if not as the JWK itself does. */
  readonly kid?: string | undefined
}

/**
 * The public half of a private key, for the provider to fetch. It is computed, and only members that are known to be public are copied.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS for a key whose public half cannot be computed
 */
export function toPublicJwk({ key, use, kid }: PublishedKey): JWK {
  const description = 'kty' in key && !(key instanceof KeyObject) ? pick(key, DESCRIPTION) : {}
  return { ...pick(publicHalf(key), PARAMETERS), ...description, ...(kid !== undefined && { kid }), use } as JWK
}

export interface PublishedKeys {
  readonly clientKey?: ClientCredentials['clientKey']
  readonly clientAssertionHeader?: ClientCredentials['clientAssertionHeader']
  readonly decryption?: Decryption | undefined
  readonly requestSigning?: RequestSigning | undefined
  readonly clientAuthentication?: ClientCredentials['clientAuthentication']
  readonly certificate?: CertificateSource | undefined
}

/** Whether the provider has to know a key of this site, or its certificate. */
export function hasPublicKeys({ clientKey, decryption, requestSigning, ...settings }: PublishedKeys): boolean {
  return [clientKey, decryption, requestSigning].some(part => part !== undefined) || publishesCertificate(settings)
}

/** What the provider may know of the keys of this site. */
export async function listPublicKeys(settings: PublishedKeys): Promise<readonly JWK[]> {
  const { clientKey, clientAssertionHeader, decryption, requestSigning } = settings
  const signing = [
    await readKey(clientKey, clientAssertionHeader?.kid),
    await readKey(requestSigning?.key, requestSigning?.header?.kid),
  ].flat()
  const decryptionKeys = (await decryption?.readKeys()) ?? []
  const keys = toPublicJwks([...signing, ...decryptionKeys.map(key => ({ key, use: 'enc' as const }))])
  const { certificate } = settings
  if (certificate === undefined || !publishesCertificate(settings)) return keys
  return [...keys, toCertificateJwk((await certificate()).cert)]
}

/** No CA vouches for such a certificate: the provider knows it by the key set of the client. RFC 8705 section 2.2.2. */
function publishesCertificate({ clientAuthentication }: Pick<PublishedKeys, 'clientAuthentication'>): boolean {
  return clientAuthentication === 'self_signed_tls_client_auth'
}

/**
 * A certificate as a key set has it. RFC 7517 sections 4.7 and 4.9.
 *
 * @param pem - its first certificate is the one of this site
 */
function toCertificateJwk(pem: string | Buffer): JWK {
  const { publicKey, raw } = new X509Certificate(pem)
  const thumbprint = createHash('sha256').update(raw).digest('base64url')
  return {
    ...(publicKey.export({ format: 'jwk' }) as JWK),
    kid: thumbprint,
    use: 'sig',
    x5c: [raw.toString('base64')],
    'x5t#S256': thumbprint,
  }
}

async function readKey(source: ClientCredentials['clientKey'], kid: string | undefined): Promise<PublishedKey[]> {
  if (source === undefined) return []
  const { key, header }: NamedClientKey = typeof source === 'function' ? await source() : { key: source }
  return [{ key, kid: header?.kid ?? kid, use: 'sig' }]
}

/** Each key once, also where it serves for two things. RFC 7517 section 5. */
export function toPublicJwks(keys: readonly PublishedKey[]): readonly JWK[] {
  const all = keys.map(toPublicJwk)
  const texts = all.map(jwk => JSON.stringify(jwk))
  return all.filter((_, index) => texts.indexOf(texts[index] ?? '') === index)
}

function publicHalf(key: ClientPrivateKey): JWK {
  if (!(key instanceof KeyObject) && !('kty' in key))
    throw unpublishable('the public key of a CryptoKey cannot be read')
  try {
    const privateKey = key instanceof KeyObject ? key : createPrivateKey({ key: key as JsonWebKey, format: 'jwk' })
    return createPublicKey(privateKey).export({ format: 'jwk' }) as JWK
  } catch {
    throw unpublishable('the public key of one of them cannot be written as a JWK')
  }
}

function pick(jwk: object, names: readonly string[]): Readonly<Record<string, unknown>> {
  const given: Readonly<Record<string, unknown>> = { ...jwk }
  return Object.fromEntries(names.filter(name => given[name] !== undefined).map(name => [name, given[name]]))
}

function unpublishable(reason: string): OidcError {
  return new OidcError('ERR_OIDC_OPTIONS', `routes.jwks needs keys as KeyObject or private JWK: ${reason}`)
}
