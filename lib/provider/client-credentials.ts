import { KeyObject } from 'node:crypto'
import type { CryptoKey, JWK } from 'jose'
import { OidcError } from '../errors.js'
import type { AssertionAudience, AssertionHeader, ClientPrivateKey } from '../protocol/client-assertion.js'
import {
  type ClientAuthentication,
  formEncode,
  selectClientAuthenticationMethod,
} from '../protocol/client-authentication.js'
import { chooseListed, type Warn } from '../protocol/listed.js'
import type { ClientAuthenticationMethod, ProviderMetadata, SigningAlgorithm } from '../protocol/wire.js'
import type { ClientKeySource, NamedClientKey } from './client-key.js'
import { type ClientSecret, secretInAdvance } from './client-secret.js'

/** What the site has to prove with that it is the client it says it is. */
export interface ClientCredentials {
  readonly clientSecret?: ClientSecret | undefined
  /** Private key for `private_key_jwt`. Where it is a function, it is asked for the key of each request. */
  readonly clientKey?: ClientPrivateKey | ClientKeySource | undefined
  /** Default: what the provider's metadata and the credentials at hand allow, in that order. */
  readonly clientAuthentication?: ClientAuthenticationMethod | undefined
  /** Default: one that fits the key or the secret, and that the provider lists. */
  readonly clientAssertionAlgorithm?: SigningAlgorithm | undefined
  /** Default `issuer`. */
  readonly clientAssertionAudience?: AssertionAudience | undefined
  readonly clientAssertionHeader?: AssertionHeader | undefined
  /** Those that a default is chosen of. Default: all that fit the key. */
  readonly clientAssertionAlgorithms?: readonly SigningAlgorithm[] | undefined
}

/** A way to prove who this client is. With a key that a function returns, the rest is chosen when the key is known. */
export type ChosenAuthentication =
  | ClientAuthentication
  | {
      readonly method: 'private_key_jwt'
      readonly readKey: ClientKeySource
      /** @throws {OidcError} ERR_OIDC_OPTIONS, ERR_OIDC_UNSUPPORTED for a key that fits nothing */
      readonly choose: (named: NamedClientKey) => ClientAuthentication
    }

/**
 * @param warn - told where what the site has configured is not listed; it is used all the same
 * @throws {OidcError} ERR_OIDC_UNSUPPORTED where no method or algorithm fits, ERR_OIDC_OPTIONS where a credential is missing or does not fit
 */
export function selectClientAuthentication(
  credentials: ClientCredentials & { readonly clientId?: string },
  metadata: ProviderMetadata,
  warn?: Warn,
): ChosenAuthentication {
  const { clientKey, clientAuthentication, clientAssertionHeader: header = {} } = credentials
  const clientSecret = secretInAdvance(credentials.clientSecret)
  const atHand = {
    hasSecret: clientSecret !== undefined,
    hasKey: clientKey !== undefined,
    isChangedByEncoding: [credentials.clientId, clientSecret].some(
      text => text !== undefined && formEncode(text) !== text,
    ),
  }
  const supported = metadata.token_endpoint_auth_methods_supported
  const method = selectClientAuthenticationMethod(clientAuthentication, atHand, supported, warn)
  switch (method) {
    case 'none':
    case 'tls_client_auth':
    case 'self_signed_tls_client_auth':
      return { method }
    case 'private_key_jwt': {
      const key = required(clientKey, method)
      const choose = (named: NamedClientKey, tell?: Warn) => signWith(named, credentials, metadata, tell)
      if (typeof key === 'function') return { method, readKey: key, choose }
      return choose({ key }, warn)
    }
    case 'client_secret_jwt': {
      const secret = required(clientSecret, method)
      const listed = metadata.token_endpoint_auth_signing_alg_values_supported
      const wish = { ...ASSERTIONS, listed, algorithm: credentials.clientAssertionAlgorithm }
      const algorithm = selectAlgorithm(wish, macAlgorithms(secret), warn)
      return { method, clientSecret: secret, algorithm, header }
    }
    default:
      return { method, clientSecret: required(clientSecret, method) }
  }
}

function signWith(
  named: NamedClientKey,
  { clientAssertionAlgorithm, clientAssertionAlgorithms, clientAssertionHeader }: ClientCredentials,
  metadata: ProviderMetadata,
  warn: Warn | undefined,
): ClientAuthentication {
  const signer = selectSigner(
    named,
    {
      ...ASSERTIONS,
      listed: metadata.token_endpoint_auth_signing_alg_values_supported,
      algorithm: clientAssertionAlgorithm,
      allowed: clientAssertionAlgorithms,
      header: clientAssertionHeader,
    },
    warn,
  )
  return { method: 'private_key_jwt', ...signer }
}

/** What a key is to sign, for messages, and what the site and the provider say about the algorithm. */
export interface SigningWish {
  readonly what: string
  readonly option: string
  readonly listed: readonly string[] | undefined
  readonly algorithm: SigningAlgorithm | undefined
  readonly allowed?: readonly SigningAlgorithm[] | undefined
  readonly header?: AssertionHeader | undefined
}

const ASSERTIONS = { what: 'algorithm of client assertions', option: 'clientAuthentication.algorithm' }

/** @throws {OidcError} ERR_OIDC_OPTIONS, ERR_OIDC_UNSUPPORTED for a key that fits nothing */
export function selectSigner({ key, header }: NamedClientKey, wish: SigningWish, warn?: Warn) {
  const fitting = listFittingAlgorithms(key).filter(candidate => wish.allowed?.includes(candidate) ?? true)
  const algorithm = selectAlgorithm(wish, fitting, warn)
  const kid = isJwk(key) && key.kid !== undefined ? { kid: key.kid } : {}
  return { key, algorithm, header: { ...kid, ...wish.header, ...header } }
}

function required<T>(credential: T | undefined, method: ClientAuthenticationMethod): T {
  if (credential !== undefined) return credential
  throw new OidcError('ERR_OIDC_OPTIONS', `client authentication by ${method} needs a credential that was not given`)
}

/** By curve where the key has one, else by type, in the words of JWK, of node:crypto and of WebCrypto. */
const ALGORITHMS: Readonly<Record<string, readonly SigningAlgorithm[]>> = {
  RSA: ['RS256', 'PS256'],
  rsa: ['RS256', 'PS256'],
  'rsa-pss': ['PS256'],
  'RSASSA-PKCS1-v1_5 SHA-256': ['RS256'],
  'RSASSA-PKCS1-v1_5 SHA-384': ['RS384'],
  'RSASSA-PKCS1-v1_5 SHA-512': ['RS512'],
  'RSA-PSS SHA-256': ['PS256'],
  'RSA-PSS SHA-384': ['PS384'],
  'RSA-PSS SHA-512': ['PS512'],
  'P-256': ['ES256'],
  prime256v1: ['ES256'],
  'P-384': ['ES384'],
  secp384r1: ['ES384'],
  'P-521': ['ES512'],
  secp521r1: ['ES512'],
  Ed25519: ['EdDSA', 'Ed25519'],
  ed25519: ['EdDSA', 'Ed25519'],
  'ML-DSA-44': ['ML-DSA-44'],
  'ML-DSA-65': ['ML-DSA-65'],
  'ML-DSA-87': ['ML-DSA-87'],
  'ml-dsa-44': ['ML-DSA-44'],
  'ml-dsa-65': ['ML-DSA-65'],
  'ml-dsa-87': ['ML-DSA-87'],
}

/**
 * One algorithm that the provider takes. One that only follows from the key is refused here where the provider does not list it: it would
 * refuse every request. OpenID Connect Discovery 1.0 section 3.
 */
function selectAlgorithm(
  { algorithm: configured, listed, what, option }: SigningWish,
  fitting: readonly SigningAlgorithm[],
  warn: Warn | undefined,
): SigningAlgorithm {
  const candidates = configured === undefined ? fitting : [configured]
  if (candidates.length === 0) {
    throw new OidcError('ERR_OIDC_OPTIONS', `the type of the client key has no default algorithm: set ${option}`)
  }
  const advice = `set ${option}, or another key`
  return chooseListed({ what, candidates, isExplicit: configured !== undefined, advice }, listed, warn)
}

/** Bytes of a secret, RFC 7518 section 3.2. A shorter one is used with HS256 all the same: many providers take that. */
function macAlgorithms(clientSecret: string): readonly SigningAlgorithm[] {
  const length = Buffer.byteLength(clientSecret)
  return ['HS256', ...(length >= 48 ? (['HS384'] as const) : []), ...(length >= 64 ? (['HS512'] as const) : [])]
}

/** What a key can sign with, the most common first. */
export function listFittingAlgorithms(key: ClientPrivateKey): readonly SigningAlgorithm[] {
  return isJwk(key) ? fittingJwk(key) : (ALGORITHMS[kindOf(key)] ?? [])
}

function isJwk(key: ClientPrivateKey): key is JWK {
  return 'kty' in key
}

/** A key that names its algorithm is used with no other. */
function fittingJwk({ alg, crv, kty = '' }: JWK): readonly SigningAlgorithm[] {
  const fitting = ALGORITHMS[crv ?? kty] ?? []
  if (alg === undefined) return fitting
  return Object.values(ALGORITHMS)
    .flat()
    .filter(algorithm => algorithm === alg)
}

function kindOf(key: KeyObject | CryptoKey): string {
  if (key instanceof KeyObject) return key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? ''
  const { name, namedCurve, hash } = key.algorithm as { name: string; namedCurve?: string; hash?: { name: string } }
  return namedCurve ?? (hash === undefined ? name : `${name} ${hash.name}`)
}
