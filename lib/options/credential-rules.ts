import { createPrivateKey, type KeyObject } from 'node:crypto'
import { types } from 'node:util'
import {
  type AssertionAudience,
  type AssertionHeader,
  audienceNames,
  type ClientPrivateKey,
} from '../protocol/client-assertion.js'
import { CONTENT_ALGORITHMS, KEY_ALGORITHMS, type RequestEncryption } from '../protocol/encryption-algorithms.js'
import type { DecryptionKey } from '../protocol/jwe.js'
import type { ClientCertificate } from '../provider/client-certificate.js'
import type { NamedClientKey } from '../provider/client-key.js'
import { jsonObject } from '../validation/json-rule.js'
import { describe, isPlain, type ObjectRule, object, objectOr, type RulesFor } from '../validation/object-rule.js'
import { guarded, refuseValue } from '../validation/place.js'
import { boolean, callback, list, oneOf, type Rule, rule, secret, string } from '../validation/rules.js'
import { signingAlgorithm } from './option-rules.js'
import type { ClientKeyFunction, PrivateKeyAuthentication, SecretAssertionAuthentication } from './options.js'

type Jwk = Exclude<ClientPrivateKey, { readonly type: unknown }>

function isPrivateJwk(value: unknown): value is Jwk {
  if (typeof value !== 'object' || value === null || !('kty' in value)) return false
  // The private part of an AKP key.
  const secretPart: unknown = Reflect.get(value, value.kty === 'AKP' ? 'priv' : 'd')
  return typeof secretPart === 'string'
}

const KEY = 'a private key: a KeyObject (createPrivateKey(pem)), a CryptoKey or a private JWK'

/** Keys of the platform are used as they are; a JWK is copied. */
const privateKey: Rule<ClientPrivateKey> = secret({
  expected: KEY,
  read: (value, place) =>
    guarded(place, () => {
      if (types.isKeyObject(value) && value.type === 'private') return value
      if (types.isCryptoKey(value) && value.type === 'private' && value.usages.includes('sign')) return value
      const jwk: unknown = isPlain(value) ? jsonObject.read(value, place) : undefined
      return isPrivateJwk(jwk) ? jwk : refuseValue(value, KEY, place)
    }),
})

/** A key, or a function; what it returns is read by {@link readClientKey}. */
const privateKeyOrSource: Rule<ClientPrivateKey | ClientKeyFunction> = secret({
  expected: `${KEY}, or a function that returns one`,
  read: (value, place) =>
    guarded(place, () =>
      typeof value === 'function' ? keyFunction.read(value, place) : privateKey.read(value, place),
    ),
})

const keyFunction = callback<ClientKeyFunction>(privateKeyOrSource.expected)

/** What a function has returned: a key, or a key with members of the header. @throws {OidcError} ERR_OIDC_OPTIONS */
export function readClientKey(returned: unknown, option: string): NamedClientKey {
  const place = { path: `what ${option} returns` }
  const isNamed = isPlain(returned) && 'key' in returned
  return isNamed ? namedKey.read(returned, place) : { key: privateKey.read(returned, place) }
}

const DECRYPTION_KEY =
  'a private key of RSA (2048 bits or more), EC (P-256, P-384, P-521) or X25519: a KeyObject or a private JWK'

const decryptionKey: Rule<DecryptionKey> = secret({
  expected: DECRYPTION_KEY,
  read: (value, place) =>
    guarded(place, () => {
      if (types.isKeyObject(value) && canDecrypt(value)) return value
      const jwk: unknown = isPlain(value) ? jsonObject.read(value, place) : undefined
      const isUsable = isPrivateJwk(jwk) && (jwk.use ?? 'enc') === 'enc' && canDecrypt(importPrivate(jwk))
      return isUsable ? jwk : refuseValue(value, DECRYPTION_KEY, place)
    }),
})

function importPrivate(jwk: Jwk): KeyObject | undefined {
  try {
    return createPrivateKey({ key: jwk, format: 'jwk' })
  } catch {
    return undefined
  }
}

function canDecrypt(key: KeyObject | undefined): boolean {
  if (key?.type !== 'private') return false
  const { modulusLength = 0, namedCurve = '' } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'rsa') return modulusLength >= 2048
  return key.asymmetricKeyType === 'x25519' || ['prime256v1', 'secp384r1', 'secp521r1'].includes(namedCurve)
}

const decryptionKeys = list('decryption keys', decryptionKey, { least: 1 })
type DecryptionKeysFunction = () => readonly DecryptionKey[] | Promise<readonly DecryptionKey[]>

/** What a function has returned. @throws {OidcError} ERR_OIDC_OPTIONS */
export function readDecryptionKeys(returned: unknown): readonly DecryptionKey[] {
  return decryptionKeys.read(returned, { path: 'what decryption.keys returns' })
}

const decryptionKeysOrFunction: Rule<readonly DecryptionKey[] | DecryptionKeysFunction> = {
  expected: 'a list of private keys (KeyObject or JWK), or a function that returns one',
  read: (value, place) =>
    guarded(place, () =>
      typeof value === 'function'
        ? callback<DecryptionKeysFunction>(decryptionKeysOrFunction.expected).read(value, place)
        : decryptionKeys.read(value, place),
    ),
}

export const decryption = object({
  keys: describe(decryptionKeysOrFunction, { text: 'the private keys; several while you replace one', required: true }),
  idToken: describe(boolean, { text: 'refuses ID Tokens that are not encrypted', default: '`false`' }),
  userInfo: describe(boolean, { text: 'refuses userinfo that is not encrypted', default: '`false`' }),
  response: describe(boolean, { text: 'refuses signed responses (JARM) that are not encrypted', default: '`false`' }),
})

const audience: Rule<AssertionAudience> = {
  expected: `${audienceNames.join(', ')}, a URL, or a list of these`,
  read: (value, place) =>
    guarded(place, () => (Array.isArray(value) ? audienceList.read(value, place) : audienceName.read(value, place))),
}

const audienceName = rule(
  audience.expected,
  (value): value is string =>
    typeof value === 'string' && (audienceNames.some(name => name === value) || URL.canParse(value)),
)
const audienceList = list('audiences', audienceName, { least: 1 })

const HEADER_TEXT = 'a string of 1 to 512 ASCII characters'
const isHeaderText = (value: unknown): value is string =>
  typeof value === 'string' && /^[\x20-\x7e]{1,512}$/.test(value)
const headerText = rule(HEADER_TEXT, isHeaderText)

const base64Text = string('base64 of a certificate', /^[A-Za-z0-9+/]{1,16384}={0,2}$/)

const header = object({
  typ: describe(
    rule(
      `${HEADER_TEXT}, or false to leave it out`,
      (value): value is string | false => value === false || isHeaderText(value),
    ),
    { text: 'the type of assertions; `false` for none', default: '`client-authentication+jwt`' },
  ),
  kid: describe(headerText, { text: 'names the key', default: 'the `kid` of a JWK' }),
  x5t: describe(headerText, { text: 'names the certificate by its SHA-1' }),
  'x5t#S256': describe(headerText, { text: 'names the certificate by its SHA-256' }),
  x5c: describe(list('certificates in base64', base64Text, { least: 1 }), {
    text: 'the certificate and its intermediate certificates',
  }),
} satisfies RulesFor<AssertionHeader>)

/** Names the key of a request object. Its `typ` is that of RFC 9101 section 10.8. */
const requestHeader = object({
  kid: describe(headerText, { text: 'names the key', default: 'the `kid` of a JWK' }),
  x5t: describe(headerText, { text: 'names the certificate by its SHA-1' }),
  'x5t#S256': describe(headerText, { text: 'names the certificate by its SHA-256' }),
  x5c: describe(list('certificates in base64', base64Text, { least: 1 }), {
    text: 'the certificate and its intermediate certificates',
  }),
} satisfies RulesFor<Omit<AssertionHeader, 'typ'>>)

const requestEncryption = objectOr(
  'true, false or an object',
  value => typeof value === 'boolean',
  object({
    algorithm: describe(oneOf(...KEY_ALGORITHMS), {
      text: '`alg` of the JWE',
      default: 'one that fits a key of the provider, and that it lists',
    }),
    contentEncryption: describe(oneOf(...CONTENT_ALGORITHMS), {
      text: '`enc` of the JWE',
      default: 'the first of these that the provider lists',
    }),
  } satisfies RulesFor<RequestEncryption>),
)

/** Signed, and encrypted, authorization requests. */
export const requestObjectOrBoolean = objectOr(
  'true, false or an object',
  value => typeof value === 'boolean',
  object({
    key: describe(privateKeyOrSource, { text: 'the private key', default: 'that of `clientAuthentication`' }),
    algorithm: describe(signingAlgorithm, {
      text: 'algorithm of the signed requests',
      default: 'one that fits the key, and that the provider lists',
    }),
    header: describe(requestHeader, {
      text: 'members of the JOSE header',
      default: 'those of `clientAuthentication.header`',
    }),
    encryption: describe(requestEncryption, {
      text: 'encrypts the signed requests to a key of the provider; an object gives the algorithms',
      default: '`false`',
    }),
  }),
)

const namedKey = object({
  key: describe(privateKey, { text: 'the private key', required: `give ${KEY}` }),
  header: describe(header, { text: 'members of the JOSE header' }),
} satisfies RulesFor<NamedClientKey>)

const assertion = {
  audience: describe(audience, { text: '`aud` of the assertions', default: '`issuer`' }),
  header: describe(header, { text: 'members of the JOSE header' }),
}

function methodNamed<const T extends string>(name: T): Rule<T> {
  return rule(
    '"private_key_jwt" or "client_secret_jwt" (other methods are given as a string)',
    (value): value is T => value === name,
  )
}

const withKey = object({
  method: describe(methodNamed('private_key_jwt'), {
    text: '`private_key_jwt`, or `client_secret_jwt` without a key',
    required: 'it is "private_key_jwt" or "client_secret_jwt"',
  }),
  key: describe(privateKeyOrSource, { text: 'for `private_key_jwt`', required: `give ${KEY}` }),
  algorithm: describe(signingAlgorithm, {
    text: 'algorithm of the assertions',
    default: 'one that fits the key or the secret, and that the provider lists',
  }),
  ...assertion,
} satisfies RulesFor<PrivateKeyAuthentication>)

const withSecret = object({
  method: describe(methodNamed('client_secret_jwt'), { text: 'signs with the client secret', required: true }),
  algorithm: describe(oneOf('HS256', 'HS384', 'HS512'), { text: 'algorithm of the assertions' }),
  ...assertion,
} satisfies RulesFor<SecretAssertionAuthentication>)

type Assertion = ReturnType<typeof withKey.read> | ReturnType<typeof withSecret.read>

const withAssertion: ObjectRule<Assertion> = {
  ...withKey,
  read: (value, place) =>
    guarded(place, () => {
      const method: unknown = isPlain(value) && 'method' in value ? value.method : undefined
      return method === 'client_secret_jwt' ? withSecret.read(value, place) : withKey.read(value, place)
    }),
}

const methods = [
  'client_secret_basic',
  'client_secret_post',
  'client_secret_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth',
  'none',
] as const

/** One of the methods, or an object that says how assertions are made. */
export const clientAuthentication = objectOr(
  `${methods.map(name => `"${name}"`).join(', ')}, or an object with method "private_key_jwt" or "client_secret_jwt"`,
  (value): value is (typeof methods)[number] => methods.some(name => name === value),
  withAssertion,
)

/** Whether the parts belong together is found out when they are used for the first time, which is at the start unless it is a function. */
export const clientCertificate: Rule<ClientCertificate | (() => ClientCertificate | Promise<ClientCertificate>)> =
  secret(
    rule(
      'an object with cert and key, or a function that returns one',
      (value): value is ClientCertificate | (() => ClientCertificate) => typeof value === 'function' || isPlain(value),
    ),
  )
