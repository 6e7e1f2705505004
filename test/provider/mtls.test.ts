import assert from 'node:assert/strict'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { type ClientCertificate, createCertificateSource } from '../../lib/provider/client-certificate.js'
import { createProvider, type ProviderSettings } from '../../lib/provider/provider.js'
import { createSelfSigned } from '../attacks/self-signed.js'
import { secret } from '../support/secrets.js'
import { CLIENT_ID, createClock, metadataOf, rejected } from './support.js'

const server = createSelfSigned()
const client = createSelfSigned({ host: 'www.test' })
const renewed = createSelfSigned({ host: 'www.test' })
const thumbprint = (pem: string) => new X509Certificate(pem).fingerprint256
const grant = { code: secret('code'), codeVerifier: secret('code verifier'), redirectUri: 'https://www.test/callback' }
const tokens = { access_token: 'at', token_type: 'Bearer', id_token: 'a.b.c', expires_in: 60 }

interface Seen {
  readonly path: string
  readonly method: string
  readonly authorization: string | undefined
  readonly body: string
  /** Of the certificate that the client showed. */
  readonly thumbprint: string | undefined
}

/** A TLS server that asks for a certificate of the client, as RFC 8705 has it, and writes down which one it was. */
async function startTlsServer(t: TestContext, metadata: (origin: string) => Record<string, unknown> = () => ({})) {
  const seen: Seen[] = []
  const tls = createServer({ ...server, requestCert: true, rejectUnauthorized: false }, async (req, res) => {
    let body = ''
    for await (const chunk of req) body += chunk
    const { url: path = '', method = '', headers } = req
    const { fingerprint256: shown } = (req.socket as TLSSocket).getPeerCertificate()
    seen.push({ path, method, authorization: headers.authorization, body, thumbprint: shown })
    res.setHeader('content-type', 'application/json')
    if (path.endsWith('openid-configuration')) res.end(JSON.stringify(metadataOf(origin, metadata(origin))))
    else if (path.endsWith('/token') && shown !== undefined) res.end(JSON.stringify(tokens))
    else if (path.endsWith('/userinfo') && shown !== undefined) res.end('{"sub":"alice"}')
    else if (path === '/api' && shown !== undefined) res.end(JSON.stringify({ body, type: headers['content-type'] }))
    else res.writeHead(path === '/empty' ? 204 : 401).end()
  })
  tls.listen(0, '127.0.0.1')
  await once(tls, 'listening')
  const origin = `https://localhost:${(tls.address() as AddressInfo).port}`
  t.after(async () => {
    tls.closeAllConnections()
    tls.close()
  })
  return { origin, seen, at: (path: string) => seen.filter(request => request.path === path) }
}

type Given = ClientCertificate | (() => ClientCertificate | Promise<ClientCertificate>)

function providerOf(t: TestContext, issuer: string, given: Given, more: Partial<ProviderSettings> = {}) {
  const provider = createProvider({
    issuer,
    clientId: CLIENT_ID,
    clientAuthentication: 'tls_client_auth',
    responseType: 'code',
    responseMode: 'form_post',
    certificate: createCertificateSource(given, 5000),
    now: createClock().now,
    ...more,
  })
  t.after(() => provider.close())
  return provider
}

for (const method of ['tls_client_auth', 'self_signed_tls_client_auth'] as const) {
  test(`${method}: the certificate says who it is, and the form which client`, async t => {
    const { origin, at } = await startTlsServer(t)
    const provider = providerOf(t, origin, { ...client, ca: server.cert }, { clientAuthentication: method })
    assert.deepEqual(await provider.redeemCode(grant), tokens)
    const [request] = at('/token')
    assert.equal(request?.thumbprint, thumbprint(client.cert))
    const form = new URLSearchParams(request?.body)
    assert.deepEqual(
      [form.get('client_id'), form.get('client_secret'), form.get('client_assertion')],
      [CLIENT_ID, null, null],
    )
    assert.equal(request?.authorization, undefined)
    assert.deepEqual(await provider.fetchUserInfo('at'), { sub: 'alice' })
    assert.equal(at('/userinfo')[0]?.thumbprint, thumbprint(client.cert))
  })
}

test('requests go to the endpoints for clients with a certificate, where the provider names them', async t => {
  const aliases = (origin: string) => ({
    mtls_endpoint_aliases: { token_endpoint: `${origin}/mtls/token`, userinfo_endpoint: `${origin}/mtls/userinfo` },
  })
  const { origin, at } = await startTlsServer(t, aliases)
  const provider = providerOf(t, origin, { ...client, ca: server.cert })
  await provider.redeemCode(grant)
  await provider.fetchUserInfo('at')
  assert.deepEqual(
    ['/token', '/mtls/token', '/userinfo', '/mtls/userinfo'].map(path => at(path).length),
    [0, 1, 0, 1],
  )
})

test('a client without a certificate does not use the endpoints for those that have one', async t => {
  const { origin } = await startTlsServer(t)
  const metadata = metadataOf(origin, { mtls_endpoint_aliases: { token_endpoint: 'nonsense' } })
  const provider = providerOf(t, origin, client, { certificate: undefined, metadata })
  assert.equal((await provider.metadata().catch(() => provider.peekMetadata()))?.token_endpoint, `${origin}/token`)
})

test('an alias that is no URL is an error, and never the other endpoint', async t => {
  const { origin } = await startTlsServer(t)
  const certificate = createCertificateSource({ ...client, ca: server.cert }, 5000)
  for (const token_endpoint of ['nonsense', '', '/token', null, 5, {}, 'http://op.test/token', `${origin}/token#x`]) {
    const metadata = metadataOf(origin, { mtls_endpoint_aliases: { token_endpoint } })
    assert.throws(
      () => providerOf(t, origin, client, { certificate, metadata }),
      { code: 'ERR_OIDC_METADATA' },
      String(token_endpoint),
    )
  }
  for (const mtls_endpoint_aliases of ['x', null, [], 5]) {
    const metadata = metadataOf(origin, { mtls_endpoint_aliases })
    assert.throws(() => providerOf(t, origin, client, { certificate, metadata }), { code: 'ERR_OIDC_METADATA' })
  }
})

test('a provider that does not say that it binds tokens is refused where they are bound to nothing else', async t => {
  const { origin } = await startTlsServer(t)
  const own = { ...client, ca: server.cert }
  const settings = { needsCertificateBinding: true }
  for (const isBinding of [undefined, false, 'false', null, 1, 'yes']) {
    const metadata = metadataOf(origin, { tls_client_certificate_bound_access_tokens: isBinding })
    assert.throws(() => providerOf(t, origin, own, { ...settings, metadata }), {
      code: 'ERR_OIDC_UNSUPPORTED',
      message: /tls_client_certificate_bound_access_tokens.*dpop/,
    })
    providerOf(t, origin, own, { metadata })
  }
  for (const isBinding of [true, 'true'])
    providerOf(t, origin, own, {
      ...settings,
      metadata: metadataOf(origin, { tls_client_certificate_bound_access_tokens: isBinding }),
    })
})

test('a renewed certificate is shown from the next request on, over a connection of its own', async t => {
  const { origin, at } = await startTlsServer(t)
  let current = client
  const provider = providerOf(t, origin, async () => ({ ...current, ca: server.cert }))
  await provider.redeemCode(grant)
  current = renewed
  await provider.redeemCode(grant)
  assert.deepEqual(
    at('/token').map(request => request.thumbprint),
    [client, renewed].map(({ cert }) => thumbprint(cert)),
  )
})

test('APIs see the certificate, whatever the body is', async t => {
  const { origin, at } = await startTlsServer(t)
  const provider = providerOf(t, origin, { ...client, ca: server.cert })
  const bodies = ['text', new URLSearchParams({ a: '1' }), Buffer.from('bytes'), new Blob(['blob']).stream(), undefined]
  for (const body of bodies) {
    const init = { method: body === undefined ? 'GET' : 'POST', ...(body && { body, duplex: 'half' as const }) }
    const response = await provider.callApi(new URL('/api', origin), {
      ...init,
      headers: { authorization: 'Bearer at' },
    })
    assert.equal(response.status, 200)
    await response.json()
  }
  assert.deepEqual(
    at('/api').map(({ body }) => body),
    ['text', 'a=1', 'bytes', 'blob', ''],
  )
  assert.deepEqual([...new Set(at('/api').map(request => request.thumbprint))], [thumbprint(client.cert)])
  assert.equal((await provider.callApi(new URL('/empty', origin), {})).status, 204)
})

test('a server that the CA does not vouch for is not spoken to', async t => {
  const { origin, seen } = await startTlsServer(t)
  const provider = providerOf(t, origin, client)
  await rejected(provider.metadata(), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  await assert.rejects(provider.callApi(new URL('/api', origin), {}), TypeError)
  assert.equal(seen.length, 0)
})

test('a certificate that cannot be used is refused with a sentence, and nothing of the key is in it', async () => {
  const pem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const sealed = pem.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open' }).toString()
  const bad: readonly object[] = [
    { cert: client.cert, key: renewed.key },
    { cert: client.cert, key: 'text' },
    { cert: client.key, key: client.key },
    { cert: client.cert },
    { key: client.key },
    { cert: 5, key: {} },
    { cert: client.cert, key: sealed, passphrase: 'wrong' },
  ]
  for (const given of bad) {
    const certificate = given as ClientCertificate
    assert.throws(() => createCertificateSource(certificate, 5000), { code: 'ERR_OIDC_OPTIONS', message: /mtls.*PEM/ })
    await rejected(createCertificateSource(() => certificate, 5000)(), 'ERR_OIDC_OPTIONS')
  }
  const failing = () => Promise.reject(new Error('vault'))
  await rejected(createCertificateSource(failing, 5000)(), 'ERR_OIDC_OPTIONS')
})

test('an RSA key of less than 2048 bits is refused, and the sentence says how long it is', async () => {
  const short = createSelfSigned({ rsa: 1024 })
  const says = { code: 'ERR_OIDC_OPTIONS', message: /at least 2048 bits.*has 1024 bits/ }
  assert.throws(() => createCertificateSource(short, 5000), says)
  await assert.rejects(createCertificateSource(() => short, 5000)(), says)
  const { key, cert } = createSelfSigned({ rsa: 2048 })
  assert.deepEqual(await createCertificateSource({ key, cert }, 5000)(), { key, cert })
})
