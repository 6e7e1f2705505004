import assert from 'node:assert/strict'
import { generateKeyPairSync, webcrypto } from 'node:crypto'
import { test } from 'node:test'
import type { CryptoKey, JWK } from 'jose'
import type { ProviderMetadata } from '../../lib/protocol/wire.js'
import { type ClientCredentials, selectClientAuthentication } from '../../lib/provider/client-credentials.js'
import { metadataOf, rejected } from './support.js'

const clientSecret = 'not-a-secret-anywhere-else'
const { privateKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const { privateKey: p256 } = generateKeyPairSync('ec', { namedCurve: 'P-256' })

function select(credentials: ClientCredentials, changes: Record<string, unknown> = {}) {
  return selectClientAuthentication(credentials, metadataOf('https://op.test', changes) as ProviderMetadata)
}

test('a secret goes along the way the provider takes it, Basic first', () => {
  const methods = (...token_endpoint_auth_methods_supported: string[]) => ({ token_endpoint_auth_methods_supported })
  assert.deepEqual(select({ clientSecret }), { method: 'client_secret_basic', clientSecret })
  assert.deepEqual(select({ clientSecret }, methods('client_secret_post')), {
    method: 'client_secret_post',
    clientSecret,
  })
  assert.deepEqual(select({ clientSecret }, methods('client_secret_jwt')), {
    method: 'client_secret_jwt',
    clientSecret,
    algorithm: 'HS256',
    header: {},
  })
})

test('without a secret and a key nothing is proved', () => {
  assert.deepEqual(select({}), { method: 'none' })
})

test('what the site asks for is what is done', () => {
  const asked = { clientSecret, clientAuthentication: 'client_secret_post' } as const
  assert.deepEqual(select(asked), { method: 'client_secret_post', clientSecret })
  const jwt = { clientSecret, clientAuthentication: 'client_secret_jwt', clientAssertionAlgorithm: 'HS512' } as const
  assert.deepEqual(select(jwt, { token_endpoint_auth_methods_supported: undefined }), {
    method: 'client_secret_jwt',
    clientSecret,
    algorithm: 'HS512',
    header: {},
  })
})

test('a provider that takes none of what the site has is not asked', async () => {
  const select_ = async () => select({ clientSecret }, { token_endpoint_auth_methods_supported: ['private_key_jwt'] })
  await rejected(select_(), 'ERR_OIDC_UNSUPPORTED')
})

test('a method without its credential is a mistake of the site', async () => {
  for (const clientAuthentication of ['client_secret_basic', 'client_secret_jwt', 'private_key_jwt'] as const) {
    await rejected((async () => select({ clientAuthentication }))(), 'ERR_OIDC_OPTIONS')
  }
})

const subtle = async (name: string, more: object): Promise<CryptoKey> => {
  const algorithm = { name, modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), ...more }
  const pair = (await webcrypto.subtle.generateKey(algorithm, false, ['sign', 'verify'])) as webcrypto.CryptoKeyPair
  return pair.privateKey
}
const jwk = (key: typeof rsa, more: JWK = {}): JWK => ({ ...(key.export({ format: 'jwk' }) as JWK), ...more })
const onCurve = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).privateKey

const keys: readonly [name: string, clientKey: NonNullable<ClientCredentials['clientKey']>, algorithm: string][] = [
  ['an RSA KeyObject', rsa, 'RS256'],
  ['an RSA-PSS KeyObject', generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey, 'PS256'],
  ['a P-256 KeyObject', p256, 'ES256'],
  ['a P-384 KeyObject', onCurve('P-384'), 'ES384'],
  ['a P-521 KeyObject', onCurve('P-521'), 'ES512'],
  ['an Ed25519 KeyObject', generateKeyPairSync('ed25519').privateKey, 'EdDSA'],
  ['an RSA JWK', jwk(rsa), 'RS256'],
  ['an RSA JWK for PS384', jwk(rsa, { alg: 'PS384' }), 'PS384'],
  ['a P-256 JWK', jwk(p256), 'ES256'],
  ['an RSA CryptoKey for SHA-512', await subtle('RSASSA-PKCS1-v1_5', { hash: 'SHA-512' }), 'RS512'],
  ['an RSA-PSS CryptoKey for SHA-384', await subtle('RSA-PSS', { hash: 'SHA-384' }), 'PS384'],
  ['a P-384 CryptoKey', await subtle('ECDSA', { namedCurve: 'P-384' }), 'ES384'],
  ['an Ed25519 CryptoKey', await subtle('Ed25519', {}), 'EdDSA'],
]
for (const [name, clientKey, algorithm] of keys) {
  test(`${name} signs with ${algorithm}`, () => {
    const selected = select({ clientKey })
    assert.equal(selected.method, 'private_key_jwt')
    assert.equal('algorithm' in selected && selected.algorithm, algorithm)
  })
}

const algorithmOf = (credentials: ClientCredentials, supported?: readonly string[]) => {
  const selected = select(credentials, {
    token_endpoint_auth_methods_supported: [credentials.clientAuthentication ?? 'private_key_jwt'],
    token_endpoint_auth_signing_alg_values_supported: supported,
  })
  return 'algorithm' in selected && selected.algorithm
}

test('an RSA key signs with PS256 where the provider takes only that', () => {
  assert.equal(algorithmOf({ clientKey: rsa }, ['PS256']), 'PS256')
  assert.equal(algorithmOf({ clientKey: rsa }, ['PS256', 'RS256']), 'RS256')
  assert.equal(algorithmOf({ clientKey: rsa, clientAssertionAlgorithm: 'RS512' }), 'RS512')
  assert.equal(algorithmOf({ clientKey: rsa, clientAssertionAlgorithm: 'RS512' }, ['RS256', 'RS512']), 'RS512')
})

const secretOf = (length: number) => ({
  clientSecret: 's'.repeat(length),
  clientAuthentication: 'client_secret_jwt' as const,
})
for (const [length, supported, algorithm] of [
  [20, undefined, 'HS256'],
  [64, undefined, 'HS256'],
  [20, ['HS256', 'HS512'], 'HS256'],
  [48, ['RS256', 'HS384'], 'HS384'],
  [64, ['HS512'], 'HS512'],
  [64, ['HS512', 'HS384'], 'HS384'],
] as const) {
  test(`a secret of ${length} bytes signs with ${algorithm} where the provider lists ${supported ?? 'nothing'}`, () => {
    assert.equal(algorithmOf(secretOf(length), supported), algorithm)
  })
}

for (const [name, credentials, supported] of [
  ['a key that names its algorithm', { clientKey: jwk(rsa, { alg: 'PS512' }) }, ['RS256', 'PS256']],
  ['the algorithm of a curve', { clientKey: p256 }, ['RS256', 'ES384']],
  ['HS512 for a secret that is too short for it', secretOf(40), ['HS512']],
] as const) {
  test(`${name} that the provider does not list is found out, and the message names what it lists`, async () => {
    const error = await rejected((async () => algorithmOf(credentials, supported))(), 'ERR_OIDC_UNSUPPORTED')
    for (const listed of supported) assert.ok(error.message.includes(listed), error.message)
    assert.match(error.message, /clientAuthentication\.algorithm/)
  })
}

for (const [algorithm, credentials, listed] of [
  ['PS512', { clientKey: rsa }, ['RS256', 'PS256']],
  ['HS512', secretOf(64), ['RS256', 'HS256']],
  ['ES256', { clientKey: p256 }, ['RS256']],
] as const) {
  test(`${algorithm} is used where the site has chosen it, although the provider lists ${listed}, with a warning`, () => {
    const warnings: string[] = []
    const selected = selectClientAuthentication(
      { clientAuthentication: 'private_key_jwt', ...credentials, clientAssertionAlgorithm: algorithm },
      metadataOf('https://op.test', {
        token_endpoint_auth_methods_supported: undefined,
        token_endpoint_auth_signing_alg_values_supported: listed,
      }) as ProviderMetadata,
      warning => void warnings.push(warning),
    )
    assert.equal('algorithm' in selected && selected.algorithm, algorithm)
    assert.equal(warnings.length, 1)
    assert.match(warnings[0] ?? '', new RegExp(`"${algorithm}".*"${listed[0]}".*clientAuthentication.algorithm`))
  })
}

test('the name of a JWK goes along, unless the site names the key itself', () => {
  const headerOf = (credentials: ClientCredentials) => {
    const selected = select(credentials)
    return 'header' in selected ? selected.header : undefined
  }
  const clientKey = jwk(rsa, { kid: 'ours' })
  assert.deepEqual(headerOf({ clientKey }), { kid: 'ours' })
  assert.deepEqual(headerOf({ clientKey, clientAssertionHeader: { kid: 'theirs', typ: 'JWT' } }), {
    kid: 'theirs',
    typ: 'JWT',
  })
  assert.deepEqual(headerOf({ clientKey: rsa }), {})
})

test('a client id or a secret that form encoding changes goes into the body where the provider takes that', () => {
  const methods = { token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'] }
  const methodOf = (clientId: string, clientSecret: string, changes: object = methods) =>
    selectClientAuthentication(
      { clientId, clientSecret },
      metadataOf('https://op.test', { ...changes }) as ProviderMetadata,
    ).method
  for (const odd of ['a+b', 'a/b', 'a=b', 'a%b', 'a b', 'a:b', 'ä', 'a~b', "a'b", 'a&b']) {
    assert.equal(methodOf('client', odd), 'client_secret_post', odd)
    assert.equal(methodOf(odd, 'secret'), 'client_secret_post', odd)
    assert.equal(
      methodOf('client', odd, { token_endpoint_auth_methods_supported: undefined }),
      'client_secret_basic',
      odd,
    )
  }
  for (const plain of ['secret', 'a-b_c.d*e', 'AZaz09']) {
    assert.equal(methodOf('client', plain), 'client_secret_basic', plain)
    assert.equal(methodOf(plain, 'secret'), 'client_secret_basic', plain)
  }
})

test('a key that cannot sign is a mistake of the site', async () => {
  const { privateKey: x25519 } = generateKeyPairSync('x25519')
  for (const clientKey of [x25519, jwk(x25519), jwk(rsa, { alg: 'RSA-OAEP' })]) {
    await rejected((async () => select({ clientKey }))(), 'ERR_OIDC_OPTIONS')
  }
})
