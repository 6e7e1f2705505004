import assert from 'node:assert/strict'
import { generateKeyPairSync, webcrypto } from 'node:crypto'
import { test } from 'node:test'
import type { CryptoKey, JWK } from 'jose'
import type { ProviderMetadata } from '../../lib/protocol/wire.js'
import { type ClientCredentials, selectClientAuthentication } from '../../lib/provider/client-credentials.js'
import { metadataOf, rejected } from './support.js'

const clientSecret = 'not a secret anywhere else'
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

test('an RSA key signs with PS256 where the provider takes only that, and a named algorithm wins', () => {
  const only = { token_endpoint_auth_signing_alg_values_supported: ['PS256'] }
  const algorithmOf = (credentials: ClientCredentials) => {
    const selected = select(credentials, only)
    return 'algorithm' in selected && selected.algorithm
  }
  assert.equal(algorithmOf({ clientKey: rsa }), 'PS256')
  assert.equal(algorithmOf({ clientKey: rsa, clientAssertionAlgorithm: 'RS512' }), 'RS512')
})

test('the name of a JWK goes along', () => {
  const selected = select({ clientKey: jwk(rsa, { kid: 'ours' }) })
  assert.equal('kid' in selected && selected.kid, 'ours')
  assert.ok(!('kid' in select({ clientKey: rsa })), 'there is a kid')
})

test('a key that cannot sign is a mistake of the site', async () => {
  const { privateKey: x25519 } = generateKeyPairSync('x25519')
  for (const clientKey of [x25519, jwk(x25519), jwk(rsa, { alg: 'RSA-OAEP' })]) {
    await rejected((async () => select({ clientKey }))(), 'ERR_OIDC_OPTIONS')
  }
})
