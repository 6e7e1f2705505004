import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import type { OidcOptions } from '../../lib/index.js'
import { parseOptions } from '../../lib/options/parse-options.js'
import { selectClientAuthentication } from '../../lib/provider/client-credentials.js'
import { createSigningKey } from '../support/signing-keys.js'

const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const authentication = { method: 'private_key_jwt', key } as const

const good: OidcOptions = {
  profile: 'fapi2',
  issuer: 'https://op.example',
  clientId: 'client',
  clientAuthentication: authentication,
  baseUrl: 'https://rp.example',
  secret: 'abcdefghijklmnopqrstuvwxyz012345',
  redis: 'redis://127.0.0.1:1',
  log: () => {},
}

const parse = (options: object = {}) => parseOptions({ ...good, ...options }, {})

test('the profile fapi2 sets everything that it decides', () => {
  const { config, provider } = parse()
  const { responseType, responseMode, pkce, pushedAuthorization, proofAlgorithm, requiresResponseIssuer } = config
  assert.deepEqual(
    { responseType, responseMode, pkce, pushedAuthorization, proofAlgorithm, requiresResponseIssuer },
    {
      responseType: 'code',
      responseMode: 'query',
      pkce: true,
      pushedAuthorization: true,
      proofAlgorithm: 'ES256',
      requiresResponseIssuer: true,
    },
  )
  assert.equal(provider.idTokenAlgorithm, 'PS256')
  assert.equal(provider.pushedAuthorization, true)
})

test('without a profile nothing of it is set', () => {
  const { config, provider } = parse({ profile: undefined })
  assert.equal(config.responseType, 'code id_token')
  assert.equal(config.pushedAuthorization, 'auto')
  assert.equal(config.proofAlgorithm, undefined)
  assert.equal(config.requiresResponseIssuer, false)
  assert.equal(provider.idTokenAlgorithm, undefined)
})

for (const options of [
  { responseMode: 'form_post' },
  { idTokenAlgorithm: 'ES256' },
  { idTokenAlgorithm: 'EdDSA' },
  { dpop: { algorithm: 'Ed25519' } },
  { userInfo: { algorithm: 'PS256' } },
  { clockTolerance: 60 },
  { responseType: 'code', pkce: true, pushedAuthorization: true, dpop: true },
  { clientAuthentication: { ...authentication, audience: 'issuer' } },
  { clientAuthentication: { ...authentication, audience: 'https://op.example' } },
  { clientAuthentication: { ...authentication, algorithm: 'ES256' } },
]) {
  test(`the profile fapi2 goes with ${JSON.stringify(options)}`, () => void parse(options))
}

const { privateKey: rsa } = await createSigningKey('PS256')
const { privateKey: otherCurve } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
for (const [options, says] of [
  [{ responseType: 'code id_token' }, /responseType "code"/],
  [{ responseType: 'code token' }, /responseType "code"/],
  [{ responseType: 'id_token' }, /responseType "code"/],
  [{ pkce: false }, /PKCE/],
  [{ pushedAuthorization: false }, /pushedAuthorization/],
  [{ pushedAuthorization: 'auto' }, /pushedAuthorization/],
  [{ dpop: false }, /dpop/],
  [{ clockTolerance: 61 }, /at most 60/],
  [{ idTokenAlgorithm: 'RS256' }, /idTokenAlgorithm is "RS256"/],
  [{ idTokenAlgorithm: 'HS256', clientSecret: 'x'.repeat(32) }, /idTokenAlgorithm is "HS256"/],
  [{ userInfo: { algorithm: 'RS512' } }, /userInfo.algorithm is "RS512"/],
  [{ clientAuthentication: undefined, clientSecret: 'a client secret' }, /private_key_jwt/],
  [{ clientAuthentication: 'client_secret_basic', clientSecret: 'a client secret' }, /private_key_jwt/],
  [{ clientAuthentication: 'none' }, /private_key_jwt/],
  [{ clientAuthentication: { method: 'client_secret_jwt' }, clientSecret: 'x'.repeat(32) }, /private_key_jwt/],
  [{ clientAuthentication: { ...authentication, audience: 'token_endpoint' } }, /audience/],
  [{ clientAuthentication: { ...authentication, audience: ['issuer'] } }, /audience/],
  [{ clientAuthentication: { ...authentication, key: rsa, algorithm: 'RS256' } }, /algorithm is "RS256"/],
  [{ clientAuthentication: { ...authentication, key: otherCurve } }, /clientAuthentication.key is another/],
] as const) {
  test(`the profile fapi2 does not go with ${JSON.stringify(options)}: ${says}`, () => {
    assert.throws(() => parse(options), { code: 'ERR_OIDC_OPTIONS', message: says })
  })
}

test('a profile of another name does not start', () => {
  for (const profile of ['fapi', 'FAPI2', 'fapi1', true, '']) {
    assert.throws(() => parse({ profile }), { code: 'ERR_OIDC_OPTIONS', message: /profile/ })
  }
})

test('an RSA key signs assertions with PS256 under the profile, although the provider lists RS256 first', () => {
  const metadata = {
    issuer: 'https://op.example',
    authorization_endpoint: 'https://op.example/authorize',
    token_endpoint_auth_methods_supported: ['private_key_jwt'],
    token_endpoint_auth_signing_alg_values_supported: ['RS256', 'PS256'],
  }
  const { provider } = parse({ clientAuthentication: { ...authentication, key: rsa } })
  const selected = selectClientAuthentication(provider, metadata)
  assert.equal('algorithm' in selected && selected.algorithm, 'PS256')
})

test('the profile fapi2-message-signing adds signed requests and signed responses', () => {
  const { config, provider } = parse({ profile: 'fapi2-message-signing' })
  const { responseMode, signsRequests, pushedAuthorization, requiresResponseIssuer } = config
  assert.deepEqual(
    { responseMode, signsRequests, pushedAuthorization, requiresResponseIssuer },
    { responseMode: 'query.jwt', signsRequests: true, pushedAuthorization: true, requiresResponseIssuer: true },
  )
  assert.equal(provider.requestSigning?.key, key)
  assert.equal(parse().config.signsRequests, false)
})

for (const options of [
  { responseMode: 'form_post.jwt' },
  { requestObject: { algorithm: 'ES256' } },
  { requestObject: { key: rsa } },
]) {
  test(`the profile fapi2-message-signing goes with ${JSON.stringify(options)}`, () => {
    parse({ profile: 'fapi2-message-signing', ...options })
  })
}

for (const [options, says] of [
  [{ requestObject: false }, /signed requests/],
  [{ responseMode: 'query' }, /signed responses/],
  [{ responseMode: 'form_post' }, /signed responses/],
  [{ requestObject: { algorithm: 'RS256' } }, /requestObject.algorithm is "RS256"/],
  [{ requestObject: { key: otherCurve } }, /requestObject.key is another/],
  [{ pushedAuthorization: 'auto' }, /pushedAuthorization/],
  [{ dpop: false }, /dpop/],
] as const) {
  test(`the profile fapi2-message-signing does not go with ${JSON.stringify(options)}: ${says}`, () => {
    assert.throws(() => parse({ profile: 'fapi2-message-signing', ...options }), {
      code: 'ERR_OIDC_OPTIONS',
      message: says,
    })
  })
}

test('signed requests need a key', () => {
  const options = { profile: undefined, clientAuthentication: undefined, clientSecret: 'a client secret' }
  assert.throws(() => parse({ ...options, requestObject: true }), {
    code: 'ERR_OIDC_OPTIONS',
    message: /requestObject/,
  })
  parse({ ...options, requestObject: { key } })
})
