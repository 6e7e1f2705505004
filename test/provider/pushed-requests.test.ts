import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeJwt } from 'jose'
import { deriveProofKey } from '../../lib/protocol/dpop.js'
import { createProvider, type ProviderSettings } from '../../lib/provider/provider.js'
import { createLocalProvider, createSigner, json, metadataOf, rejected, text } from './support.js'

const signer = await createSigner('RS256', 'k1')
const clientKey = await createSigner('ES256', 'c1')
const REFERENCE = 'urn:ietf:params:oauth:request_uri:one'

type Setup = Parameters<typeof createLocalProvider>[0]

async function setUp(t: Setup, changes: Partial<ProviderSettings> = {}, metadata: Record<string, unknown> = {}) {
  const { server, settings } = await createLocalProvider(t, signer)
  const { issuer } = settings
  const endpoint = `${issuer}/par`
  const document = metadataOf(issuer, { pushed_authorization_request_endpoint: endpoint, ...metadata })
  server.on('/par', json({ request_uri: REFERENCE, expires_in: 60 }, 201))
  const provider = createProvider({ ...settings, metadata: document, ...changes })
  return { server, provider, endpoint, settings, seen: () => server.seen.filter(({ path }) => path === '/par') }
}

const asked = new URLSearchParams([
  ['client_id', 'katanaclient'],
  ['response_type', 'code'],
  ['resource', 'https://a.example'],
  ['resource', 'https://b.example'],
])

test('a request is pushed with everything it has, and the client proves itself', async t => {
  const { provider, seen, settings } = await setUp(t)
  assert.equal(await provider.pushRequest(asked), REFERENCE)
  const [request] = seen()
  assert.equal(request?.method, 'POST')
  assert.equal(request?.headers['content-type'], 'application/x-www-form-urlencoded')
  assert.deepEqual([...new URLSearchParams(request?.body)], [...asked])
  const credentials = Buffer.from(`${settings.clientId}:${settings.clientSecret}`).toString('base64')
  assert.equal(request?.headers.authorization, `Basic ${credentials}`)
})

test('an assertion at a pushed request is for the issuer, and a new one every time', async t => {
  const key = { ...clientKey.jwk, ...(await import('jose').then(jose => jose.exportJWK(clientKey.privateKey))) }
  const { provider, seen, settings } = await setUp(t, { clientSecret: undefined, clientKey: key })
  await provider.pushRequest(asked)
  await provider.pushRequest(asked)
  const claims = seen().map(({ body }) => decodeJwt(new URLSearchParams(body).get('client_assertion') ?? ''))
  assert.deepEqual(
    claims.map(({ aud }) => aud),
    [settings.issuer, settings.issuer],
  )
  assert.equal(new Set(claims.map(({ jti }) => jti)).size, 2)
})

test('status 200 will do, and any other without an error is not understood', async t => {
  const { provider, server } = await setUp(t)
  server.on('/par', json({ request_uri: REFERENCE }, 200))
  assert.equal(await provider.pushRequest(asked), REFERENCE)
  for (const status of [202, 204, 302, 404]) {
    server.on('/par', json({ request_uri: REFERENCE }, status))
    await rejected(provider.pushRequest(asked), 'ERR_OIDC_PROVIDER_RESPONSE')
  }
  server.on('/par', text(201, 'text/html', '<p>ok</p>'))
  await rejected(provider.pushRequest(asked), 'ERR_OIDC_PROVIDER_RESPONSE')
})

test('a refused push says why, and is sent once', async t => {
  const { provider, server, seen } = await setUp(t)
  server.on('/par', json({ error: 'invalid_request', error_description: 'redirect_uri is not registered' }, 400))
  const error = await rejected(provider.pushRequest(asked), 'ERR_OIDC_AUTHORIZATION_FAILED')
  assert.deepEqual(error.providerError, {
    error: 'invalid_request',
    error_description: 'redirect_uri is not registered',
  })
  server.on('/par', json({ error: 'invalid_client' }, 401))
  await rejected(provider.pushRequest(asked), 'ERR_OIDC_CLIENT_REJECTED')
  server.on('/par', json({}, 503))
  await rejected(provider.pushRequest(asked), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  assert.equal(seen().length, 3)
})

test('a pushed request for tokens that are bound has a proof, and a new nonce is met by a fresh one with a fresh assertion', async t => {
  const key = { ...clientKey.jwk, ...(await import('jose').then(jose => jose.exportJWK(clientKey.privateKey))) }
  const { provider, server, seen, endpoint } = await setUp(t, { clientSecret: undefined, clientKey: key })
  server.on('/par', (request, res) => {
    const { nonce } = decodeJwt(String(request.headers.dpop))
    const [status, body] = nonce === 'n1' ? [201, { request_uri: REFERENCE }] : [400, { error: 'use_dpop_nonce' }]
    res.writeHead(status as number, { 'content-type': 'application/json', 'dpop-nonce': 'n1' })
    res.end(JSON.stringify(body))
  })
  const proofKey = deriveProofKey('ES256', Buffer.alloc(48, 7))
  assert.equal(await provider.pushRequest(asked, proofKey), REFERENCE)
  const [first, second] = seen().map(({ headers }) => decodeJwt(String(headers.dpop)))
  assert.equal(second?.htu, endpoint)
  assert.equal(second?.htm, 'POST')
  assert.notEqual(first?.jti, second?.jti)
  const assertions = seen().map(({ body }) => new URLSearchParams(body).get('client_assertion'))
  assert.equal(new Set(assertions).size, 2)
})

test('without the endpoint a site that pushes does not start, and one that need not is not disturbed', async t => {
  const without = { pushed_authorization_request_endpoint: undefined }
  await assert.rejects(setUp(t, { pushedAuthorization: true }, without), { code: 'ERR_OIDC_UNSUPPORTED' })
  const required = { ...without, require_pushed_authorization_requests: true }
  await assert.rejects(setUp(t, {}, required), { code: 'ERR_OIDC_UNSUPPORTED' })
  await setUp(t, {}, without)
})
