import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { UnsecuredJWT } from 'jose'
import { OidcError, type OidcErrorCode } from '../../lib/errors.js'
import { createProvider, type ProviderSettings } from '../../lib/provider/provider.js'
import { secret } from '../support/secrets.js'
import {
  CLIENT_ID,
  createLocalProvider,
  createSigner,
  json,
  metadataOf,
  type Responder,
  rejected,
  reset,
  text,
} from './support.js'

const signer = await createSigner('RS256', 'one')
const stranger = await createSigner('RS256', 'one')
const curve = await createSigner('ES256', 'curve')
const accessToken = secret('access token')
const JWT = 'application/jwt'

async function setUp(t: TestContext, changes: Partial<ProviderSettings> = {}) {
  const local = await createLocalProvider(t, signer)
  local.server.on('/jwks', json({ keys: [signer.jwk, curve.jwk] }))
  const provider = createProvider({ ...local.settings, ...changes })
  const signed = { iss: local.server.origin, aud: CLIENT_ID, sub: 'alice', name: 'Alice' }
  return { ...local, provider, signed }
}

test('plain userinfo is asked for with the token in the header, and nowhere else', async t => {
  const { provider, server } = await setUp(t)
  assert.deepEqual(await provider.fetchUserInfo(accessToken), { sub: 'alice', name: 'Alice' })
  const request = server.seen.at(-1)
  assert.equal(request?.method, 'GET')
  assert.equal(request?.path, '/userinfo')
  assert.equal(request?.headers.authorization, `Bearer ${accessToken}`)
  assert.equal(request?.headers.accept, 'application/json')
  assert.equal(request?.body, '')
})

test('signed userinfo is accepted from the provider whether or not it was announced', async t => {
  for (const changes of [{}, { userInfoAlgorithm: 'RS256' } as const]) {
    const { provider, server, signed } = await setUp(t, changes)
    server.on('/userinfo', text(200, `${JWT}; charset=utf-8`, `${await signer.sign(signed)}\n`))
    assert.deepEqual(await provider.fetchUserInfo(accessToken), signed)
    assert.equal(
      server.seen.find(({ path }) => path === '/userinfo')?.headers.accept,
      changes.userInfoAlgorithm ? JWT : 'application/json',
    )
  }
})

test('userinfo may be signed with an algorithm of its own, and then with no other', async t => {
  const { provider, server, signed } = await setUp(t, { userInfoAlgorithm: 'ES256' })
  server.on('/userinfo', text(200, JWT, await curve.sign(signed)))
  assert.equal((await provider.fetchUserInfo(accessToken)).sub, 'alice')
  server.on('/userinfo', text(200, JWT, await signer.sign(signed)))
  await rejected(provider.fetchUserInfo(accessToken), 'ERR_OIDC_USER_INFO_RESPONSE')
})

test('userinfo that names neither issuer nor audience is accepted if the signature is right', async t => {
  const { provider, server } = await setUp(t)
  server.on('/userinfo', text(200, JWT, await signer.sign({ sub: 'alice' })))
  assert.equal((await provider.fetchUserInfo(accessToken)).sub, 'alice')
})

type Forge = (signed: Record<string, unknown>) => string | Promise<string>
const forgeries: readonly { name: string; token: Forge }[] = [
  { name: 'no signature', token: signed => new UnsecuredJWT(signed).encode() },
  { name: 'the key of a stranger', token: signed => stranger.sign(signed) },
  { name: 'a key that is not published', token: signed => stranger.sign(signed, { kid: 'unknown' }) },
  { name: 'another issuer', token: signed => signer.sign({ ...signed, iss: 'https://else.test' }) },
  { name: 'another audience', token: signed => signer.sign({ ...signed, aud: 'another' }) },
  { name: 'an end in the past', token: signed => signer.sign({ ...signed, exp: 1 }) },
  { name: 'the purpose of a logout token', token: signed => signer.sign(signed, { typ: 'logout+jwt' }) },
  { name: 'no subject', token: signed => signer.sign({ ...signed, sub: undefined }) },
  { name: 'a cut signature', token: async signed => (await signer.sign(signed)).slice(0, -10) },
  { name: 'plain JSON in it', token: signed => JSON.stringify(signed) },
]
for (const { name, token } of forgeries) {
  test(`signed userinfo with ${name} is refused`, async t => {
    const { provider, server, signed } = await setUp(t)
    server.on('/userinfo', text(200, JWT, await token(signed)))
    await rejected(provider.fetchUserInfo(accessToken), 'ERR_OIDC_USER_INFO_RESPONSE')
    assert.equal(server.count('/userinfo'), 1)
  })
}

test('signed userinfo with another algorithm than the agreed one is refused', async t => {
  for (const agreed of [{ userInfoAlgorithm: 'RS256' }, { idTokenAlgorithm: 'RS256' }] as const) {
    const { provider, server, signed } = await setUp(t, agreed)
    server.on('/userinfo', text(200, JWT, await curve.sign(signed)))
    await rejected(provider.fetchUserInfo(accessToken), 'ERR_OIDC_USER_INFO_RESPONSE')
    assert.equal(server.count('/userinfo'), 1)
  }
})

test('signed userinfo with an asymmetric algorithm that the provider lists needs no option', async t => {
  const { provider, server, signed } = await setUp(t)
  server.on('/userinfo', text(200, JWT, await curve.sign(signed)))
  assert.equal((await provider.fetchUserInfo(accessToken)).sub, 'alice')
})

test('plain userinfo is refused where signed was agreed', async t => {
  const { provider } = await setUp(t, { userInfoAlgorithm: 'RS256' })
  await rejected(provider.fetchUserInfo(accessToken), 'ERR_OIDC_USER_INFO_RESPONSE')
})

test('keys that cannot be fetched are told from a signature that is wrong', async t => {
  const { provider, server, signed } = await setUp(t)
  server.on('/userinfo', text(200, JWT, await signer.sign(signed)))
  server.on('/jwks', reset())
  await rejected(provider.fetchUserInfo(accessToken), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
})

const failures: readonly {
  name: string
  response: Responder
  code: OidcErrorCode
  status?: number
  requests?: number
}[] = [
  { name: 'status 401', response: json({}, 401), code: 'ERR_OIDC_USER_INFO_RESPONSE', status: 401 },
  { name: 'status 403', response: json({}, 403), code: 'ERR_OIDC_USER_INFO_RESPONSE', status: 403 },
  { name: 'status 500', response: json({}, 500), code: 'ERR_OIDC_PROVIDER_UNAVAILABLE', status: 500 },
  { name: 'status 429', response: json({}, 429), code: 'ERR_OIDC_PROVIDER_UNAVAILABLE', status: 429 },
  { name: 'status 302', response: json({}, 302), code: 'ERR_OIDC_PROVIDER_RESPONSE', status: 302 },
  { name: 'HTML', response: text(200, 'text/html', '<html>'), code: 'ERR_OIDC_PROVIDER_RESPONSE' },
  { name: 'an array', response: json([{ sub: 'alice' }]), code: 'ERR_OIDC_USER_INFO_RESPONSE' },
  { name: 'no subject', response: json({ name: 'Alice' }), code: 'ERR_OIDC_USER_INFO_RESPONSE' },
  // A read that is cut is made once more.
  { name: 'a cut connection', response: reset(), code: 'ERR_OIDC_PROVIDER_UNAVAILABLE', requests: 2 },
]
for (const { name, response, code, status, requests = 1 } of failures) {
  test(`userinfo that responds with ${name} fails, is requested only once, and the error does not contain the token`, async t => {
    const { provider, server } = await setUp(t)
    server.on('/userinfo', response)
    const error = await rejected(provider.fetchUserInfo(accessToken), code)
    if (status !== undefined) assert.deepEqual(error.cause, { status })
    assert.equal(server.count('/userinfo'), requests)
    assert.ok(!inspect(error, { depth: 10 }).includes(accessToken), 'the error shows the token')
  })
}

for (const token of ['', 'a b', 'a\r\nx-evil: 1', 'ü']) {
  test(`the token ${JSON.stringify(token)} is not sent`, async t => {
    const { provider, server } = await setUp(t)
    await rejected(provider.fetchUserInfo(token), 'ERR_OIDC_PROVIDER_RESPONSE')
    assert.equal(server.count('/userinfo'), 0)
  })
}

test('a provider without userinfo says so', async t => {
  const { provider, server } = await setUp(t)
  server.on('/.well-known/openid-configuration', json(metadataOf(server.origin, { userinfo_endpoint: undefined })))
  const error = await rejected(provider.fetchUserInfo(accessToken), 'ERR_OIDC_METADATA')
  assert.ok(error instanceof OidcError, String(error))
})
