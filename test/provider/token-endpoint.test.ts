import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { decodeJwt, jwtVerify } from 'jose'
import type { OidcErrorCode } from '../../lib/errors.js'
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
const grant = { code: secret('code'), codeVerifier: secret('code verifier'), redirectUri: 'https://www.test/callback' }
const tokens = { access_token: 'at', token_type: 'Bearer', id_token: 'a.b.c', expires_in: 60 }

async function setUp(t: TestContext, changes: Partial<ProviderSettings> = {}, metadata: Record<string, unknown> = {}) {
  const local = await createLocalProvider(t, signer)
  local.server.on('/.well-known/openid-configuration', json(metadataOf(local.server.origin, metadata)))
  local.server.on('/token', json(tokens))
  return { ...local, provider: createProvider({ ...local.settings, ...changes }) }
}

function formOf({ body }: { body: string } = { body: '' }): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(body))
}

test('the code goes to the token endpoint with its verifier and redirect URI, and comes back as tokens', async t => {
  const { provider, server } = await setUp(t)
  assert.deepEqual(await provider.redeemCode(grant), tokens)
  const requests = server.seen.filter(({ path }) => path === '/token')
  assert.equal(requests.length, 1)
  assert.equal(requests[0]?.method, 'POST')
  assert.deepEqual(formOf(requests[0]), {
    grant_type: 'authorization_code',
    code: grant.code,
    code_verifier: grant.codeVerifier,
    redirect_uri: grant.redirectUri,
  })
})

test('Basic credentials are form-encoded first, whatever they are made of', async t => {
  const clientId = 'id:with +%&=ü'
  const clientSecret = 'sec:ret +%20&=/"\'ü'
  const clientAuthentication = 'client_secret_basic'
  const { provider, server } = await setUp(t, { clientId, clientSecret, clientAuthentication })
  await provider.redeemCode(grant)
  const request = server.seen.at(-1)
  const [scheme, credentials = ''] = String(request?.headers.authorization).split(' ')
  assert.equal(scheme, 'Basic')
  const parts = Buffer.from(credentials, 'base64').toString().split(':')
  assert.equal(parts.length, 2)
  const decode = (part = '') => new URLSearchParams(`x=${part}`).get('x')
  assert.deepEqual(parts.map(decode), [clientId, clientSecret])
  assert.match(parts[1] ?? '', /^sec%3Aret\+%2B%2520%26%3D%2F/)
  assert.equal(formOf(request).client_id, undefined)
  assert.equal(formOf(request).client_secret, undefined)
})

test('credentials in the body stand there and nowhere else', async t => {
  const clientSecret = 'sec:ret +%20&=/"\'ü'
  const { provider, server } = await setUp(t, { clientSecret, clientAuthentication: 'client_secret_post' })
  await provider.redeemCode(grant)
  const request = server.seen.at(-1)
  assert.equal(request?.headers.authorization, undefined)
  assert.equal(formOf(request).client_id, CLIENT_ID)
  assert.equal(formOf(request).client_secret, clientSecret)
})

test('a public client names itself and proves nothing', async t => {
  const { provider, server } = await setUp(t, { clientSecret: undefined })
  await provider.redeemCode(grant)
  const request = server.seen.at(-1)
  assert.equal(request?.headers.authorization, undefined)
  assert.equal(formOf(request).client_id, CLIENT_ID)
  assert.equal(formOf(request).client_secret, undefined)
})

test('a private key signs an assertion for the issuer, with a new name each time', async t => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { provider, server, settings, clock } = await setUp(t, { clientSecret: undefined, clientKey: privateKey })
  const names = new Set<unknown>()
  for (let i = 0; i < 2; i += 1) {
    await provider.redeemCode(grant)
    const form = formOf(server.seen.at(-1))
    assert.equal(form.client_assertion_type, 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
    const expected = { issuer: CLIENT_ID, subject: CLIENT_ID, audience: settings.issuer, currentDate: clock.now() }
    const { payload } = await jwtVerify(form.client_assertion ?? '', publicKey, { ...expected, algorithms: ['ES256'] })
    assert.equal(payload.iat, clock.now().getTime() / 1000)
    names.add(payload.jti)
  }
  assert.equal(names.size, 2)
  assert.ok(!names.has(undefined), 'an error without a name')
})

test('a secret signs an assertion, named by the source of chance that was given', async t => {
  const clientSecret = secret('client secret for assertions')
  const clientAuthentication = 'client_secret_jwt'
  const methods = { token_endpoint_auth_methods_supported: [clientAuthentication] }
  const { provider, server, clock } = await setUp(
    t,
    { clientSecret, clientAuthentication, random: () => 'once' },
    methods,
  )
  await provider.redeemCode(grant)
  const form = formOf(server.seen.at(-1))
  const { payload } = await jwtVerify(form.client_assertion ?? '', Buffer.from(clientSecret), {
    currentDate: clock.now(),
  })
  assert.equal(payload.jti, 'once')
})

test('a secret that form encoding changes goes into the body, as it is', async t => {
  const clientSecret = 'sec+ret/with=odd%signs'
  const { provider, server } = await setUp(t, { clientSecret })
  await provider.redeemCode(grant)
  assert.equal(server.seen.at(-1)?.headers.authorization, undefined)
  assert.equal(formOf(server.seen.at(-1)).client_secret, clientSecret)
})

for (const [audience, atToken, atRevocation] of [
  [undefined, '', ''],
  ['issuer', '', ''],
  ['token_endpoint', '/token', '/token'],
  ['endpoint', '/token', '/revoke'],
  ['https://as.example/', 'https://as.example/', 'https://as.example/'],
] as const) {
  test(`with the audience ${audience}, each endpoint gets a new assertion that is made for it`, async t => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const methods = ['private_key_jwt', 'client_secret_jwt']
    const base = { clientAssertionAudience: audience } as const
    for (const credentials of [
      { ...base, clientSecret: undefined, clientKey: privateKey },
      { ...base, clientSecret: 'x'.repeat(32), clientAuthentication: 'client_secret_jwt' as const },
    ]) {
      const { provider, server } = await setUp(t, credentials)
      const metadata = {
        token_endpoint_auth_methods_supported: methods,
        revocation_endpoint: `${server.origin}/revoke`,
      }
      server.on('/.well-known/openid-configuration', json(metadataOf(server.origin, metadata)))
      await provider.redeemCode(grant)
      server.on('/revoke', text(200, 'text/plain', ''))
      await provider.revokeToken('rt', 'refresh_token')
      const payloads = server.seen
        .filter(({ method }) => method === 'POST')
        .map(request => decodeJwt(formOf(request).client_assertion ?? ''))
      const full = (path: string) => (path.startsWith('http') ? path : server.origin + path)
      assert.deepEqual(
        payloads.map(({ aud }) => aud),
        [full(atToken), full(atRevocation)],
      )
      assert.equal(new Set(payloads.map(({ jti }) => jti)).size, 2)
    }
  })
}

test('a request that failed and is made again brings another assertion', async t => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { provider, server } = await setUp(t, { clientSecret: undefined, clientKey: privateKey })
  server.on('/token', json({}, 503))
  await rejected(provider.refreshTokens({ refreshToken: 'rt' }), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  server.on('/token', json(tokens))
  await provider.refreshTokens({ refreshToken: 'rt' })
  const assertions = server.seen.map(formOf).flatMap(({ client_assertion: assertion }) => assertion ?? [])
  assert.equal(assertions.length, 2)
  assert.notEqual(decodeJwt(assertions[0] ?? '').jti, decodeJwt(assertions[1] ?? '').jti)
})

for (const [method, otherWay] of [
  ['client_secret_basic', /'client_secret_post'.*special characters/],
  ['client_secret_post', /'client_secret_basic'/],
  ['client_secret_jwt', /audience: 'token_endpoint'.*typ: 'JWT'/],
  ['private_key_jwt', /audience: 'token_endpoint'.*typ: 'JWT'/],
  ['none', /clientSecret/],
] as const) {
  test(`a client that is refused by ${method} is told of the other way to try`, async t => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const credentials = { clientAuthentication: method, clientKey: privateKey }
    const { provider, server } = await setUp(t, credentials, { token_endpoint_auth_methods_supported: [method] })
    for (const status of [400, 401]) {
      server.on('/token', json({ error: 'invalid_client' }, status))
      const error = await rejected(provider.redeemCode(grant), 'ERR_OIDC_CLIENT_REJECTED')
      assert.match(error.message, otherWay)
    }
  })
}

for (const [what, response, code, says] of [
  ['is not switched on', json({ error: 'unauthorized_client' }, 400), 'ERR_OIDC_TOKEN_DENIED', /switched on/],
  ['is not known', json({ error: 'unsupported_grant_type' }, 400), 'ERR_OIDC_UNSUPPORTED', /token-exchange/],
  ['has a wrong audience', json({ error: 'invalid_client' }, 400), 'ERR_OIDC_TOKEN_DENIED', /audience/],
  ['has a wrong target', json({ error: 'invalid_target' }, 400), 'ERR_OIDC_TOKEN_DENIED', /status 400/],
  ['has a refused token', json({ error: 'invalid_request' }, 400), 'ERR_OIDC_TOKEN_DENIED', /audience/],
  ['has a refused scope', json({ error: 'invalid_scope' }, 400), 'ERR_OIDC_TOKEN_DENIED', /status 400/],
  ['comes from another client', json({ error: 'invalid_client' }, 401), 'ERR_OIDC_CLIENT_REJECTED', /clientSecret/],
] as const) {
  test(`an exchange that ${what} is ${code}`, async t => {
    const { provider, server } = await setUp(t)
    server.on('/token', response)
    const error = await rejected(provider.exchangeToken({ subjectToken: 'at', audience: 'orders' }), code)
    assert.match(error.message, says)
  })
}

test('a grant that this client may not use is not called a wrong secret', async t => {
  const { provider, server } = await setUp(t)
  server.on('/token', json({ error: 'unauthorized_client' }, 400))
  const error = await rejected(provider.requestClientTokens({}), 'ERR_OIDC_CLIENT_REJECTED')
  assert.match(error.message, /client_credentials.*registration/)
})

const failures: readonly { name: string; response: Responder; code: OidcErrorCode }[] = [
  { name: 'a connection reset after the code was read', response: reset(), code: 'ERR_OIDC_PROVIDER_UNAVAILABLE' },
  { name: 'a silent provider', response: () => {}, code: 'ERR_OIDC_PROVIDER_UNAVAILABLE' },
  { name: 'status 500', response: json({}, 500), code: 'ERR_OIDC_PROVIDER_UNAVAILABLE' },
  { name: 'status 429', response: json({}, 429), code: 'ERR_OIDC_PROVIDER_UNAVAILABLE' },
  {
    name: 'an error page with status 503',
    response: text(503, 'text/html', '<html>'),
    code: 'ERR_OIDC_PROVIDER_UNAVAILABLE',
  },
  {
    name: 'an error page with status 400',
    response: text(400, 'text/html', '<html>'),
    code: 'ERR_OIDC_TOKEN_RESPONSE',
  },
  { name: 'invalid_grant', response: json({ error: 'invalid_grant' }, 400), code: 'ERR_OIDC_CODE_REJECTED' },
  { name: 'invalid_client', response: json({ error: 'invalid_client' }, 401), code: 'ERR_OIDC_CLIENT_REJECTED' },
  { name: 'a redirect', response: text(307, 'text/plain', ''), code: 'ERR_OIDC_PROVIDER_RESPONSE' },
  { name: 'tokens with status 201', response: json(tokens, 201), code: 'ERR_OIDC_TOKEN_RESPONSE' },
  { name: 'no content', response: (_, res) => void res.writeHead(204).end(), code: 'ERR_OIDC_TOKEN_RESPONSE' },
  { name: 'HTML with status 200', response: text(200, 'text/html', '<html>'), code: 'ERR_OIDC_PROVIDER_RESPONSE' },
  {
    name: 'tokens that call themselves text',
    response: text(200, 'text/plain', JSON.stringify(tokens)),
    code: 'ERR_OIDC_PROVIDER_RESPONSE',
  },
  { name: 'an array', response: json([tokens]), code: 'ERR_OIDC_TOKEN_RESPONSE' },
  { name: 'no ID Token', response: json({ ...tokens, id_token: undefined }), code: 'ERR_OIDC_TOKEN_RESPONSE' },
  {
    name: '50 MiB',
    response: text(200, 'application/json', Buffer.alloc(50 * 1024 * 1024, 0x20)),
    code: 'ERR_OIDC_PROVIDER_RESPONSE',
  },
]
for (const { name, response, code } of failures) {
  test(`${name}: the code has been sent exactly once, and the error shows neither it nor the secret`, async t => {
    const clientSecret = secret('client secret')
    const { provider, server } = await setUp(t, {
      clientSecret,
      timeout: name === 'a silent provider' ? 100 : undefined,
    })
    await provider.metadata()
    server.on('/token', response)
    const error = await rejected(provider.redeemCode(grant), code)
    assert.equal(server.count('/token'), 1)
    const shown = inspect(error, { depth: 10 })
    for (const hidden of [grant.code, grant.codeVerifier, clientSecret])
      assert.ok(!shown.includes(hidden), 'the error shows a secret')
  })
}

for (const [what, sent, advice] of [
  ['with PKCE', grant, /code_verifier.*IdentityServer3.*pkce: false.*HybridWithProofKey/],
  ['without PKCE', { code: grant.code, redirectUri: grant.redirectUri }, /requires? PKCE.*remove pkce: false/],
] as const) {
  test(`a code that is refused ${what} says what the operator can try`, async t => {
    const { provider, server } = await setUp(t)
    server.on('/token', json({ error: 'invalid_grant' }, 400))
    const error = await rejected(provider.redeemCode(sent), 'ERR_OIDC_CODE_REJECTED')
    assert.match(error.message, advice)
    assert.match(error.message, /too old, was used before/)
    const refresh = await rejected(provider.refreshTokens({ refreshToken: 'r' }), 'ERR_OIDC_REFRESH_REJECTED')
    assert.doesNotMatch(refresh.message, /PKCE|pkce|code_verifier/)
  })
}

test('a provider that names no token endpoint is not asked for a code, or for anything', async t => {
  const { provider, server } = await setUp(t, {}, { token_endpoint: undefined })
  await rejected(provider.redeemCode(grant), 'ERR_OIDC_UNSUPPORTED')
  assert.equal(server.seen.length, 1)
})

test('a site that gets no code needs no token endpoint until it sends one', async t => {
  const metadata = {
    token_endpoint: undefined,
    token_endpoint_auth_methods_supported: ['private_key_jwt'],
    response_types_supported: ['id_token'],
  }
  const { provider } = await setUp(t, { responseType: 'id_token' }, metadata)
  await provider.metadata()
  await rejected(provider.redeemCode(grant), 'ERR_OIDC_METADATA')
})
