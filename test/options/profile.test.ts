import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import type { OidcOptions } from '../../lib/index.js'
import { parseOptions } from '../../lib/options/parse-options.js'
import { selectClientAuthentication } from '../../lib/provider/client-credentials.js'
import { createSelfSigned } from '../attacks/self-signed.js'
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

const mtls = createSelfSigned()

/** Without the certificate, which is another one each time. */
function nameOf(options: object): string {
  return JSON.stringify(options, (name, value) => (name === 'mtls' ? 'a certificate' : value))
}

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

for (const [what, options, proofAlgorithm, needsCertificateBinding] of [
  ['a certificate, which binds the tokens then', { mtls }, undefined, true],
  ['the same, written out', { mtls, dpop: false }, undefined, true],
  ['a certificate from a function', { mtls: () => mtls }, undefined, true],
  ['a certificate for the connection, and DPoP for the tokens', { mtls, dpop: true }, 'ES256', false],
  ['tls_client_auth', { mtls, clientAuthentication: 'tls_client_auth' }, undefined, true],
  ['self_signed_tls_client_auth', { mtls, clientAuthentication: 'self_signed_tls_client_auth' }, undefined, true],
  [
    'tls_client_auth with DPoP',
    { mtls, clientAuthentication: 'tls_client_auth', dpop: { algorithm: 'Ed25519' } },
    'Ed25519',
    false,
  ],
  [
    'a fetch of the site that shows the certificate, and DPoP',
    { fetch, clientAuthentication: 'tls_client_auth' },
    'ES256',
    false,
  ],
] as const) {
  test(`the profile fapi2 goes with ${what}`, () => {
    const { config, provider } = parse(options)
    assert.equal(config.proofAlgorithm, proofAlgorithm)
    assert.equal(provider.needsCertificateBinding, needsCertificateBinding)
  })
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
  [{ clientAuthentication: 'client_secret_post', clientSecret: 'a client secret' }, /tls_client_auth/],
  [{ clientAuthentication: 'tls_client_auth' }, /needs mtls/],
  [{ clientAuthentication: 'self_signed_tls_client_auth' }, /needs mtls/],
  [{ clientAuthentication: 'tls_client_auth', fetch, dpop: false }, /leave dpop out, or set mtls/],
  [{ routes: { token: '/token' } }, /routes.token/],
] as const) {
  test(`the profile fapi2 does not go with ${JSON.stringify(options)}: ${says}`, () => {
    assert.throws(() => parse(options), { code: 'ERR_OIDC_OPTIONS', message: says })
  })
}

test('the profile fapi2 does not go with a route that hands out tokens, nor with a Bearer fallback, where a certificate binds them', () => {
  const says = (message: RegExp) => ({ code: 'ERR_OIDC_OPTIONS', message })
  assert.throws(() => parse({ mtls, routes: { token: '/token' } }), says(/leave routes.token out/))
  assert.throws(() => parse({ mtls, responseType: 'code token' }), says(/responseType "code"/))
  assert.throws(() => parse({ mtls, clientAuthentication: 'none' }), says(/private_key_jwt/))
  assert.throws(() => parse({ mtls: { cert: mtls.cert, key: createSelfSigned().key } }), says(/mtls/))
})

test('without the profile a certificate demands nothing of the provider', () => {
  const { config, provider } = parse({ profile: undefined, mtls })
  assert.deepEqual([config.proofAlgorithm, provider.needsCertificateBinding], [undefined, false])
})

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
  { mtls, requestObject: { key: rsa }, clientAuthentication: 'tls_client_auth' },
]) {
  test(`the profile fapi2-message-signing goes with ${nameOf(options)}`, () => {
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
  [{ mtls, clientAuthentication: 'tls_client_auth' }, /requestObject/],
] as const) {
  test(`the profile fapi2-message-signing does not go with ${nameOf(options)}: ${says}`, () => {
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
