import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { OidcError, type OidcErrorCode } from '../../lib/errors.js'
import {
  buildMetadataUrl,
  createDiscovery,
  type DiscoverySettings,
  requiredEndpoint,
} from '../../lib/provider/discovery.js'
import { createHttp } from '../../lib/provider/http.js'
import {
  createClock,
  createGate,
  createLocalServer,
  json,
  metadataOf,
  type Responder,
  rejected,
  reset,
  text,
} from './support.js'

const PATH = '/.well-known/openid-configuration'
const HOUR = 3600

async function setUp(t: TestContext, settings: Partial<DiscoverySettings> = {}) {
  const server = await createLocalServer(t)
  const clock = createClock()
  server.on(PATH, json(metadataOf(server.origin)))
  const common = { issuer: server.origin, http: createHttp({ fetch }), now: clock.now }
  return { server, clock, discovery: createDiscovery({ ...common, ...settings }) }
}

test('the metadata is fetched when it is first asked for, and once', async t => {
  const { server, discovery } = await setUp(t)
  assert.equal(discovery.peek(), undefined)
  assert.equal(server.seen.length, 0)
  const metadata = await discovery.get()
  assert.equal(metadata.token_endpoint, `${server.origin}/token`)
  assert.equal(await discovery.get(), metadata)
  assert.equal(discovery.peek(), metadata)
  assert.equal(server.count(PATH), 1)
})

test('concurrent first callers share one request', async t => {
  const { server, discovery } = await setUp(t)
  const gate = createGate(json(metadataOf(server.origin)))
  server.on(PATH, gate.response)
  const callers = Array.from({ length: 50 }, () => discovery.get())
  gate.open()
  assert.equal(new Set(await Promise.all(callers)).size, 1)
  assert.equal(server.count(PATH), 1)
})

test('the terminating slash of an issuer is left out of the URL and kept in the comparison', async t => {
  const { server, clock } = await setUp(t)
  const common = { http: createHttp({ fetch }), now: clock.now }
  const issuer = `${server.origin}/tenant/`
  server.on(`/tenant${PATH}`, json(metadataOf(issuer)))
  assert.equal((await createDiscovery({ ...common, issuer }).get()).issuer, issuer)
  const without = createDiscovery({ ...common, issuer: `${server.origin}/tenant` })
  await rejected(without.get(), 'ERR_OIDC_METADATA_ISSUER')
  assert.equal(buildMetadataUrl('https://op.test'), `https://op.test${PATH}`)
  assert.equal(buildMetadataUrl('https://op.test/'), `https://op.test${PATH}`)
})

test('metadata can be at another place, and still has to name the issuer', async t => {
  const { server, clock } = await setUp(t)
  const common = {
    issuer: server.origin,
    metadataUrl: `${server.origin}/moved`,
    http: createHttp({ fetch }),
    now: clock.now,
  }
  server.on('/moved', json(metadataOf(server.origin)))
  assert.equal((await createDiscovery(common).get()).issuer, server.origin)
  server.on('/moved', json(metadataOf('https://else.test')))
  await rejected(createDiscovery(common).get(), 'ERR_OIDC_METADATA_ISSUER')
  assert.equal(server.count(PATH), 0)
})

const rejections: readonly {
  name: string
  response: (origin: string) => Responder
  code: OidcErrorCode
  requests?: number
}[] = [
  { name: 'another issuer', response: () => json(metadataOf('https://else.test')), code: 'ERR_OIDC_METADATA_ISSUER' },
  {
    name: 'an issuer with a slash more',
    response: o => json(metadataOf(o, { issuer: `${o}/` })),
    code: 'ERR_OIDC_METADATA_ISSUER',
  },
  { name: 'no issuer', response: o => json(metadataOf(o, { issuer: undefined })), code: 'ERR_OIDC_METADATA_ISSUER' },
  {
    name: 'an endpoint on plain http',
    response: o => json(metadataOf(o, { token_endpoint: 'http://op.test/' })),
    code: 'ERR_OIDC_METADATA',
  },
  { name: 'an array', response: () => json([]), code: 'ERR_OIDC_METADATA' },
  { name: 'null', response: () => json(null), code: 'ERR_OIDC_METADATA' },
  { name: 'HTML', response: () => text(200, 'text/html', '<html>'), code: 'ERR_OIDC_PROVIDER_RESPONSE' },
  {
    name: 'JSON that calls itself text',
    response: o => text(200, 'text/plain', JSON.stringify(metadataOf(o))),
    code: 'ERR_OIDC_PROVIDER_RESPONSE',
  },
  { name: 'status 404', response: o => json(metadataOf(o), 404), code: 'ERR_OIDC_PROVIDER_RESPONSE' },
  { name: 'status 204', response: () => (_, res) => void res.writeHead(204).end(), code: 'ERR_OIDC_PROVIDER_RESPONSE' },
  { name: 'status 206', response: o => json(metadataOf(o), 206), code: 'ERR_OIDC_PROVIDER_RESPONSE' },
  { name: 'status 503', response: o => json(metadataOf(o), 503), code: 'ERR_OIDC_PROVIDER_UNAVAILABLE' },
  { name: 'status 429', response: o => json(metadataOf(o), 429), code: 'ERR_OIDC_PROVIDER_UNAVAILABLE' },
  // A read that is cut is made once more.
  { name: 'a cut connection', response: reset, code: 'ERR_OIDC_PROVIDER_UNAVAILABLE', requests: 2 },
]
for (const { name, response, code, requests = 1 } of rejections) {
  test(`${name} instead of metadata is refused when nothing is known, and keeps what is known`, async t => {
    const { server, clock, discovery } = await setUp(t)
    server.on(PATH, response(server.origin))
    await rejected(discovery.get(), code)
    assert.equal(discovery.peek(), undefined)
    server.on(PATH, json(metadataOf(server.origin)))
    clock.advance(1)
    const known = await discovery.get()
    server.on(PATH, response(server.origin))
    clock.advance(48 * HOUR)
    assert.equal(await discovery.get(), known)
    assert.equal(server.count(PATH), 1 + 2 * requests)
    assert.equal((discovery.status().error as OidcError).code, code)
  })
}

test('a redirect of the metadata is not followed', async t => {
  const evil = await createLocalServer(t)
  const { server, discovery } = await setUp(t)
  server.on(PATH, (_, res) => void res.writeHead(302, { location: `${evil.origin}${PATH}` }).end())
  evil.on(PATH, json(metadataOf(server.origin)))
  await rejected(discovery.get(), 'ERR_OIDC_PROVIDER_RESPONSE')
  assert.equal(evil.seen.length, 0)
})

test('metadata is reloaded in the background from an hour on', async t => {
  const { server, clock, discovery } = await setUp(t)
  const known = await discovery.get()
  clock.advance(HOUR - 1)
  await discovery.get()
  assert.equal(server.count(PATH), 1)
  clock.advance(1)
  server.on(PATH, json(metadataOf(server.origin, { token_endpoint: `${server.origin}/moved` })))
  assert.equal(await discovery.get(), known)
  assert.equal((await discovery.reload()).token_endpoint, `${server.origin}/moved`)
  assert.equal(server.count(PATH), 2)
})

test('metadata is waited for when it is a day old', async t => {
  const { server, clock, discovery } = await setUp(t)
  await discovery.get()
  clock.advance(24 * HOUR)
  server.on(PATH, json(metadataOf(server.origin, { token_endpoint: `${server.origin}/moved` })))
  assert.equal((await discovery.get()).token_endpoint, `${server.origin}/moved`)
})

test('endpoints the site names take the place of published ones, and have to be as good', async t => {
  const overrides = { token_endpoint: 'https://other.test/token' }
  const { server, clock, discovery } = await setUp(t, { overrides })
  const metadata = await discovery.get()
  assert.equal(metadata.token_endpoint, 'https://other.test/token')
  assert.equal(metadata.userinfo_endpoint, `${server.origin}/userinfo`)
  const insecure = { token_endpoint: 'http://other.test/token' }
  const common = { issuer: server.origin, http: createHttp({ fetch }), now: clock.now }
  await rejected(createDiscovery({ ...common, overrides: insecure }).get(), 'ERR_OIDC_METADATA')
})

test('an endpoint that is overridden may be wrong or missing in the metadata', async t => {
  const { server, discovery } = await setUp(t, { overrides: { userinfo_endpoint: 'https://other.test/' } })
  server.on(PATH, json(metadataOf(server.origin, { userinfo_endpoint: 'http://insecure.test' })))
  assert.equal((await discovery.get()).userinfo_endpoint, 'https://other.test/')
})

test('overrides cannot make the issuer another, nor take an endpoint away', async t => {
  const overrides = { issuer: 'https://else.test', token_endpoint: undefined } as object
  const { server, discovery } = await setUp(t, { overrides })
  const metadata = await discovery.get()
  assert.equal(metadata.issuer, server.origin)
  assert.equal(metadata.token_endpoint, `${server.origin}/token`)
})

test('metadata the site cannot work with is refused, and does not replace what was good', async t => {
  const check = (metadata: object) => {
    if ('bad' in metadata) throw new OidcError('ERR_OIDC_UNSUPPORTED', 'bad')
  }
  const { server, discovery } = await setUp(t, { check })
  server.on(PATH, json(metadataOf(server.origin, { bad: true })))
  await rejected(discovery.reload(), 'ERR_OIDC_UNSUPPORTED')
  server.on(PATH, json(metadataOf(server.origin)))
  const known = await discovery.reload()
  server.on(PATH, json(metadataOf(server.origin, { bad: true })))
  await rejected(discovery.reload(), 'ERR_OIDC_UNSUPPORTED')
  assert.equal(discovery.peek(), known)
})

test('given metadata is checked at once and never fetched', async t => {
  const metadata = metadataOf('https://op.test')
  const { server, discovery } = await setUp(t, {
    issuer: 'https://op.test',
    metadata,
    overrides: { jwks_uri: 'https://cdn.test/' },
  })
  assert.equal(discovery.peek()?.jwks_uri, 'https://cdn.test/')
  assert.equal(await discovery.get(), discovery.peek())
  assert.equal(await discovery.reload(), discovery.peek())
  assert.deepEqual(discovery.status(), {})
  assert.equal(server.seen.length, 0)
  await rejected(setUp(t, { issuer: 'https://else.test', metadata }), 'ERR_OIDC_METADATA_ISSUER')
})

const badOptions = [
  { issuer: 'op.test' },
  { issuer: 'http://op.test' },
  { issuer: 'http://op.test', metadataUrl: 'https://op.test/metadata' },
  { issuer: 'https://user:pass@op.test' },
  { metadataUrl: 'http://op.test/metadata' },
  { metadataUrl: '/metadata' },
]
for (const options of badOptions) {
  test(`${JSON.stringify(options)} is refused before anything is sent`, async t => {
    await rejected(setUp(t, options), 'ERR_OIDC_OPTIONS')
  })
}

test('a provider that was down at start is found when it is there', async t => {
  const { server, clock, discovery } = await setUp(t)
  await server.stop()
  await rejected(discovery.get(), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  await server.start()
  await rejected(discovery.get(), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  clock.advance(1)
  assert.equal((await discovery.get()).issuer, server.origin)
})

test('an endpoint that is needed and not named is said to be missing', async t => {
  const { discovery } = await setUp(t)
  const metadata = await discovery.get()
  assert.equal(requiredEndpoint(metadata, 'token_endpoint'), metadata.token_endpoint)
  await rejected((async () => requiredEndpoint(metadata, 'revocation_endpoint'))(), 'ERR_OIDC_METADATA')
})

test('an https issuer that names plain http is refused, fetched or given, and what was known before stays in use', async t => {
  const server = await createLocalServer(t)
  const issuer = 'https://op.test'
  const good = { ...metadataOf(issuer), token_endpoint: 'https://op.test/token' }
  const plain = { ...good, token_endpoint: `${server.origin}/token` }
  const metadataUrl = `${server.origin}/document`
  const { now, advance } = createClock()
  const common = { issuer, metadataUrl, http: createHttp({ fetch }), now }
  server.on('/document', json(plain))
  await rejected(createDiscovery(common).get(), 'ERR_OIDC_METADATA')
  assert.throws(() => createDiscovery({ ...common, metadata: plain }), { code: 'ERR_OIDC_METADATA' })

  server.on('/document', json(good))
  const discovery = createDiscovery(common)
  assert.deepEqual(await discovery.get(), good)
  server.on('/document', json(plain))
  advance(2 * HOUR)
  await rejected(discovery.reload(), 'ERR_OIDC_METADATA')
  assert.deepEqual(discovery.peek(), good)
})

test('a site may name an endpoint of its own on plain http, on a loopback host, for an https issuer', async t => {
  const server = await createLocalServer(t)
  const issuer = 'https://op.test'
  const own = `${server.origin}/token`
  const metadata = metadataOf(issuer)
  const common = { issuer, http: createHttp({ fetch }), now: createClock().now }
  const discovery = createDiscovery({ ...common, metadata, overrides: { token_endpoint: own } })
  assert.equal((await discovery.get()).token_endpoint, own)
  const jwks = { ...metadata, jwks_uri: `${server.origin}/jwks` }
  const settings = { ...common, metadata: jwks, overrides: { token_endpoint: own } }
  assert.throws(() => createDiscovery(settings), { code: 'ERR_OIDC_METADATA', message: /jwks_uri/ })
})
