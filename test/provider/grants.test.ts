import assert from 'node:assert/strict'
import { before, type TestContext, test } from 'node:test'
import { createProvider } from '../../lib/provider/provider.js'
import {
  CLIENT_ID,
  createLocalProvider,
  createSigner,
  json,
  metadataOf,
  rejected,
  reset,
  type Signer,
  text,
} from './support.js'

let signer: Signer

before(async () => {
  signer = await createSigner('RS256', 'key-1')
})

const tokens = { access_token: 'at', token_type: 'Bearer', expires_in: 60 }

async function start(t: TestContext, metadata: Record<string, unknown> = {}) {
  const fixture = await createLocalProvider(t, signer)
  const { server, settings } = fixture
  server.on('/.well-known/openid-configuration', json(metadataOf(server.origin, metadata)))
  server.on('/token', json(tokens))
  const provider = createProvider(settings)
  t.after(provider.close)
  const form = () => Object.fromEntries(new URLSearchParams(server.seen.findLast(({ path }) => path !== '/jwks')?.body))
  return { ...fixture, provider, form }
}

test('a refresh sends the refresh token once, with the proof of who asks, and needs no ID Token', async t => {
  const { provider, server, form } = await start(t)
  const response = await provider.refreshTokens({ refreshToken: 'rt', scope: 'a', resource: 'https://api.example.com' })
  assert.equal(response.access_token, 'at')
  assert.deepEqual(form(), {
    grant_type: 'refresh_token',
    refresh_token: 'rt',
    scope: 'a',
    resource: 'https://api.example.com',
  })
  assert.match(server.seen.at(-1)?.headers.authorization ?? '', /^Basic /)
})

for (const [description, response, code] of [
  ['invalid_grant', json({ error: 'invalid_grant' }, 400), 'ERR_OIDC_REFRESH_REJECTED'],
  ['invalid_client', json({ error: 'invalid_client' }, 401), 'ERR_OIDC_CLIENT_REJECTED'],
  ['503', text(503, 'text/html', 'down'), 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
  ['a connection that breaks', reset(), 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
  ['a body that is no JSON', text(200, 'application/json', '{'), 'ERR_OIDC_PROVIDER_RESPONSE'],
] as const) {
  test(`a refresh that meets ${description} is sent exactly once`, async t => {
    const { provider, server } = await start(t)
    server.on('/token', response)
    await rejected(provider.refreshTokens({ refreshToken: 'rt' }), code)
    assert.equal(server.count('/token'), 1)
  })
}

test('Retry-After comes along with the error', async t => {
  const { provider, server } = await start(t)
  server.on('/token', (_request, res) => void res.writeHead(429, { 'retry-after': '7' }).end())
  const { cause } = await rejected(provider.refreshTokens({ refreshToken: 'rt' }), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  assert.equal((cause as { retryAfter: number }).retryAfter, 7)
})

test('invalid_grant for other grants is about the token, not about a code', async t => {
  const { provider, server } = await start(t)
  server.on('/token', json({ error: 'invalid_grant' }, 400))
  await rejected(provider.exchangeToken({ subjectToken: 'st', audience: 'a' }), 'ERR_OIDC_TOKEN_DENIED')
  await rejected(provider.requestClientTokens({}), 'ERR_OIDC_TOKEN_DENIED')
})

test('a provider that offers no revocation is not asked', async t => {
  const { provider, server } = await start(t)
  await rejected(provider.revokeToken('rt', 'refresh_token'), 'ERR_OIDC_UNSUPPORTED')
  assert.equal(server.seen.filter(({ method }) => method === 'POST').length, 0)
})

async function createSettings(t: TestContext) {
  const { server, settings } = await createLocalProvider(t, signer)
  return { server, settings: { ...settings, endpoints: { revocation_endpoint: `${server.origin}/revoke` } } }
}

for (const [status, code] of [
  [200, undefined],
  [400, 'ERR_OIDC_PROVIDER_RESPONSE'],
  [307, 'ERR_OIDC_PROVIDER_RESPONSE'],
  [503, 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
] as const) {
  test(`a revocation with the response ${status} ${code === undefined ? 'is done' : `is ${code}`}`, async t => {
    const { server, settings } = await createSettings(t)
    server.on('/revoke', text(status, 'text/plain', ''))
    const provider = createProvider(settings)
    t.after(provider.close)
    const revoking = provider.revokeToken('rt', 'refresh_token')
    if (code === undefined) await revoking
    else await rejected(revoking, code)
    const form = Object.fromEntries(new URLSearchParams(server.seen.find(({ path }) => path === '/revoke')?.body))
    assert.deepEqual(form, { token: 'rt', token_type_hint: 'refresh_token' })
  })
}

test('a refreshed ID Token is verified by signature, by its sign-in and by the access token beside it', async t => {
  const { provider, claims } = await start(t)
  const original = { iss: String(claims().iss), sub: 'alice', aud: CLIENT_ID }
  const { nonce: _, ...refreshed } = claims()
  const good = await signer.sign(refreshed)
  assert.equal((await provider.verifyRefreshedIdToken(good, original, 'at')).sub, 'alice')
  const stranger = await createSigner('RS256', 'key-1')
  const refusals = [
    [await stranger.sign(refreshed), 'ERR_OIDC_ID_TOKEN_SIGNATURE'],
    [await signer.sign({ ...refreshed, sub: 'bob' }), 'ERR_OIDC_ID_TOKEN_MISMATCH'],
    [await signer.sign({ ...refreshed, at_hash: 'AAAAAAAAAAAAAAAAAAAAAA' }), 'ERR_OIDC_ID_TOKEN_ACCESS_TOKEN_HASH'],
  ] as const
  for (const [token, code] of refusals) await rejected(provider.verifyRefreshedIdToken(token, original, 'at'), code)
})

test('a call to an API hands over redirects and errors, unread', async t => {
  const { provider, server } = await start(t)
  server.on('/api', (_request, res) => void res.writeHead(302, { location: 'https://evil.example' }).end('moved'))
  const response = await provider.callApi(new URL(`${server.origin}/api`), { headers: { 'x-own': '1' } })
  assert.deepEqual([response.status, await response.text()], [302, 'moved'])
  assert.equal(server.seen.at(-1)?.headers['x-own'], '1')
})
