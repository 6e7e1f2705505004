import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { compactVerify, decodeJwt, decodeProtectedHeader } from 'jose'
import { type AssertionHeader, resolveAudience } from '../../lib/protocol/client-assertion.js'
import {
  buildClientAuthentication,
  type ClientAuthentication,
  selectClientAuthenticationMethod,
} from '../../lib/protocol/client-authentication.js'

const context = { clientId: 's6BhdRkqt3', audience: 'https://op.example/', now: 1_750_000_000, jti: 'never-twice' }
const clientSecret = '7Fjfp0ZBr1KtDRbnfVdmIw'
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })

const nothing = { hasSecret: false, hasKey: false }
const secret = { hasSecret: true, hasKey: false }
const key = { hasSecret: false, hasKey: true }
const encoded = { ...secret, isChangedByEncoding: true }
const both = { hasSecret: true, hasKey: true }

for (const [name, configured, atHand, supported, method] of [
  ['a secret and no published list mean basic', undefined, secret, undefined, 'client_secret_basic'],
  ['a secret and a key and no published list mean basic', undefined, both, undefined, 'client_secret_basic'],
  [
    'basic is taken before post',
    undefined,
    secret,
    ['client_secret_post', 'client_secret_basic'],
    'client_secret_basic',
  ],
  ['post is taken where basic is not offered', undefined, secret, ['none', 'client_secret_post'], 'client_secret_post'],
  [
    'a signed proof is taken where nothing else is offered',
    undefined,
    secret,
    ['client_secret_jwt'],
    'client_secret_jwt',
  ],
  [
    'post is taken before basic for a secret that form encoding changes',
    undefined,
    encoded,
    ['client_secret_basic', 'client_secret_post'],
    'client_secret_post',
  ],
  [
    'such a secret goes by basic where post is not offered',
    undefined,
    encoded,
    ['client_secret_basic'],
    'client_secret_basic',
  ],
  ['such a secret goes by basic where nothing is published', undefined, encoded, undefined, 'client_secret_basic'],
  [
    'such a secret goes by basic where the site chose that',
    'client_secret_basic',
    encoded,
    ['client_secret_basic', 'client_secret_post'],
    'client_secret_basic',
  ],
  ['a key is taken before a secret', undefined, both, ['client_secret_basic', 'private_key_jwt'], 'private_key_jwt'],
  ['a key that is not offered leaves the secret', undefined, both, ['client_secret_post'], 'client_secret_post'],
  ['nothing at hand means none', undefined, nothing, undefined, 'none'],
  ['none need not be published', undefined, nothing, ['client_secret_basic'], 'none'],
  ['none can be configured by a client that has nothing', 'none', nothing, undefined, 'none'],
  [
    'what is configured comes first',
    'client_secret_post',
    both,
    ['client_secret_basic', 'client_secret_post'],
    'client_secret_post',
  ],
  ['what is configured needs no published list', 'private_key_jwt', key, undefined, 'private_key_jwt'],
  ['none can be configured though it is not published', 'none', secret, ['client_secret_basic'], 'none'],
] as const) {
  test(name, () => {
    assert.equal(selectClientAuthenticationMethod(configured, atHand, supported), method)
  })
}

for (const [configured, atHand, supported] of [
  ['client_secret_post', secret, ['client_secret_basic']],
  ['client_secret_basic', secret, ['client_secret_post', 'private_key_jwt']],
  ['client_secret_jwt', secret, ['client_secret_basic']],
  ['private_key_jwt', both, ['client_secret_post', 'client_secret_basic']],
] as const) {
  test(`${configured} is used where the site has chosen it, although the provider lists ${supported}, with a warning`, () => {
    const warnings: string[] = []
    const select = (listed: readonly string[] | undefined) =>
      selectClientAuthenticationMethod(configured, atHand, listed, warning => void warnings.push(warning))
    assert.equal(select(supported), configured)
    assert.equal(warnings.length, 1)
    for (const name of [configured, ...supported]) assert.ok(warnings[0]?.includes(`"${name}"`), warnings[0])
    assert.match(warnings[0] ?? '', /clientAuthentication/)
    for (const listed of [undefined, [], [...supported, configured]]) assert.equal(select(listed), configured)
    assert.equal(warnings.length, 1)
  })
}

for (const [name, configured, atHand, supported, code] of [
  ['basic without a secret', 'client_secret_basic', key, undefined, 'ERR_OIDC_OPTIONS'],
  ['post without a secret', 'client_secret_post', nothing, undefined, 'ERR_OIDC_OPTIONS'],
  ['a signed proof without a secret', 'client_secret_jwt', nothing, undefined, 'ERR_OIDC_OPTIONS'],
  ['a signed proof without a key', 'private_key_jwt', secret, undefined, 'ERR_OIDC_OPTIONS'],
  ['a secret where only a key is taken', undefined, secret, ['private_key_jwt'], 'ERR_OIDC_UNSUPPORTED'],
  ['a secret where only certificates are taken', undefined, secret, ['tls_client_auth'], 'ERR_OIDC_UNSUPPORTED'],
  ['a secret where only strangers are taken', undefined, secret, ['none'], 'ERR_OIDC_UNSUPPORTED'],
  ['a key where nothing but basic can be assumed', undefined, key, undefined, 'ERR_OIDC_UNSUPPORTED'],
] as const) {
  test(`${name} is found out`, () => {
    assert.throws(() => selectClientAuthenticationMethod(configured, atHand, supported), { code })
  })
}

test('basic credentials are those of RFC 6749 section 2.3.1', async () => {
  const parts = await buildClientAuthentication({ method: 'client_secret_basic', clientSecret }, context)
  const authorization = 'Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3'
  assert.deepEqual(parts, { headers: { authorization }, body: {} })
})

test('basic credentials come back whole, whatever characters they have', async () => {
  const clientId = 'id with : + % é "'
  const odd = '~!*()\'& =:+%/"é'
  const { headers } = await buildClientAuthentication(
    { method: 'client_secret_basic', clientSecret: odd },
    { ...context, clientId },
  )
  const decoded = Buffer.from(headers.authorization?.slice('Basic '.length) ?? '', 'base64').toString()
  const parts = decoded.split(':').map(part => new URLSearchParams(`x=${part}`).get('x'))
  assert.deepEqual(parts, [clientId, odd])
})

test('post puts both into the form', async () => {
  const parts = await buildClientAuthentication({ method: 'client_secret_post', clientSecret }, context)
  assert.deepEqual(parts, { headers: {}, body: { client_id: 's6BhdRkqt3', client_secret: clientSecret } })
})

test('a client without credentials says who it is', async () => {
  assert.deepEqual(await buildClientAuthentication({ method: 'none' }, context), {
    headers: {},
    body: { client_id: 's6BhdRkqt3' },
  })
})

const typ = 'client-authentication+jwt'

const signed: readonly (readonly [string, ClientAuthentication, object, Parameters<typeof compactVerify>[1]])[] = [
  [
    'a secret',
    { method: 'client_secret_jwt', clientSecret, algorithm: 'HS256' },
    { alg: 'HS256', typ: 'client-authentication+jwt' },
    Buffer.from(clientSecret),
  ],
  [
    'a key',
    { method: 'private_key_jwt', key: privateKey, algorithm: 'RS256' },
    { alg: 'RS256', typ: 'client-authentication+jwt' },
    publicKey,
  ],
  [
    'a named key in JWK form',
    { method: 'private_key_jwt', key: privateKey.export({ format: 'jwk' }), algorithm: 'PS256', header: { kid: 'k1' } },
    { alg: 'PS256', kid: 'k1', typ: 'client-authentication+jwt' },
    publicKey,
  ],
]

for (const [name, auth, header, verificationKey] of signed) {
  test(`a proof signed with ${name} says who, to whom and for how long`, async () => {
    const { headers, body } = await buildClientAuthentication(auth, context)
    const { client_assertion: assertion = '', ...rest } = body
    assert.deepEqual(headers, {})
    assert.deepEqual(rest, {
      client_id: 's6BhdRkqt3',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    })
    await compactVerify(assertion, verificationKey)
    assert.deepEqual(decodeProtectedHeader(assertion), header)
    assert.deepEqual(decodeJwt(assertion), {
      iss: 's6BhdRkqt3',
      sub: 's6BhdRkqt3',
      aud: 'https://op.example/',
      jti: 'never-twice',
      iat: 1_750_000_000,
      exp: 1_750_000_060,
    })
  })
}

const headers: readonly (readonly [string, AssertionHeader, object])[] = [
  ['of a provider that wants another typ', { typ: 'JWT' }, { typ: 'JWT' }],
  ['of a provider that wants no typ', { typ: false }, {}],
  ['with a certificate', { 'x5t#S256': 'dGh1bWI', x5t: 'c2hhMQ' }, { typ, 'x5t#S256': 'dGh1bWI', x5t: 'c2hhMQ' }],
  ['with names that are left open', { typ: undefined, kid: undefined }, { typ }],
]
for (const [name, header, expected] of headers) {
  test(`the header ${name} has the members that were asked for, and no other`, async () => {
    for (const auth of [
      { method: 'private_key_jwt', key: privateKey, algorithm: 'PS256', header },
      { method: 'client_secret_jwt', clientSecret, algorithm: 'HS512', header },
    ] as const) {
      const { body } = await buildClientAuthentication(auth, context)
      assert.deepEqual(decodeProtectedHeader(body.client_assertion ?? ''), { alg: auth.algorithm, ...expected })
    }
  })
}

test('the header cannot change the algorithm', async () => {
  const header = { alg: 'none' } as AssertionHeader
  const { body } = await buildClientAuthentication(
    { method: 'private_key_jwt', key: privateKey, algorithm: 'RS256', header },
    context,
  )
  assert.equal(decodeProtectedHeader(body.client_assertion ?? '').alg, 'RS256')
})

const addresses = {
  issuer: 'https://op.example',
  token_endpoint: 'https://op.example/t',
  endpoint: 'https://op.example/r',
}
for (const [audience, aud] of [
  ['issuer', 'https://op.example'],
  ['token_endpoint', 'https://op.example/t'],
  ['endpoint', 'https://op.example/r'],
  ['https://elsewhere.example/as', 'https://elsewhere.example/as'],
  ['urn:provider', 'urn:provider'],
  [['issuer'], ['https://op.example']],
  [
    ['issuer', 'token_endpoint', 'https://x.example'],
    ['https://op.example', 'https://op.example/t', 'https://x.example'],
  ],
  [['issuer', 'https://op.example'], ['https://op.example']],
] as const) {
  test(`the audience ${JSON.stringify(audience)} is sent as ${JSON.stringify(aud)}`, async () => {
    const resolved = resolveAudience(audience, addresses)
    const auth = { method: 'client_secret_jwt', clientSecret, algorithm: 'HS256' } as const
    const { body } = await buildClientAuthentication(auth, { ...context, audience: resolved })
    assert.deepEqual(decodeJwt(body.client_assertion ?? '').aud, aud)
  })
}

for (const auth of [
  { method: 'client_secret_jwt', clientSecret, algorithm: 'RS256' },
  { method: 'private_key_jwt', key: privateKey, algorithm: 'ES256' },
  { method: 'private_key_jwt', key: publicKey, algorithm: 'RS256' },
] as const) {
  test(`${auth.method} with a credential that cannot make ${auth.algorithm} is a mistake of the site`, async () => {
    await assert.rejects(buildClientAuthentication(auth, context), { code: 'ERR_OIDC_OPTIONS' })
  })
}
