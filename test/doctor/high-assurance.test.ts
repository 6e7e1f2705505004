import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { examine, type Report } from '../../lib/doctor/doctor.js'
import type { OidcOptions } from '../../lib/index.js'
import { createSelfSigned } from '../attacks/self-signed.js'
import { type HostileProvider, startHostileProvider } from '../support/hostile-provider.js'
import { startMtlsFront } from '../support/mtls-front.js'
import { startProvider, type TestProvider } from '../support/provider.js'
import { secret } from '../support/secrets.js'
import { createSigningKey, exportPrivateJwk, type SigningKey } from '../support/signing-keys.js'

const SITE = 'http://localhost:4711'

async function examined(options: OidcOptions): Promise<Report> {
  return examine({
    options: { baseUrl: SITE, secret: secret('session secret'), ...options },
    environment: {},
    nodeVersion: process.versions.node,
    opensSite: false,
  })
}

/** Findings that ask for something. */
function complaints({ findings }: Report): string[] {
  return findings.filter(({ level }) => level === 'error' || level === 'warning').map(({ id }) => id)
}

function find({ findings }: Report, id: string) {
  const found = findings.find(finding => finding.id === id)
  assert.ok(found, `${id} is not among ${JSON.stringify(findings, null, 1)}`)
  return found
}

const registered = ({ registration }: Report) =>
  Object.fromEntries(registration.map(({ name, value }) => [name, value]))

describe('an oidc-provider that takes pushed and signed requests only, and signs its responses', () => {
  let provider: TestProvider
  let key: SigningKey
  let other: SigningKey
  const keyOf = (own: SigningKey) => ({ method: 'private_key_jwt', key: exportPrivateJwk(own) }) as const

  before(async () => {
    key = await createSigningKey('PS256')
    other = await createSigningKey('ES256')
    provider = await startProvider({
      site: SITE,
      proofNonces: true,
      moreKeys: ['PS256'],
      features: {
        fapi: { enabled: true, profile: '2.0' },
        pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
        requestObjects: { enabled: true, requireSignedRequestObject: true },
        jwtResponseModes: { enabled: true },
      },
      enabledJWA: {
        requestObjectSigningAlgValues: ['PS256', 'ES256'],
        authorizationSigningAlgValues: ['PS256', 'ES256'],
      },
      client: {
        client_secret: undefined,
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [key.publicJwk] },
        id_token_signed_response_alg: 'PS256',
        authorization_signed_response_alg: 'PS256',
        dpop_bound_access_tokens: true,
        response_types: ['code'],
        grant_types: ['authorization_code', 'refresh_token'],
      },
    })
  })
  after(() => provider.close())

  const options = (more: OidcOptions = {}): OidcOptions => ({
    profile: 'fapi2-message-signing',
    issuer: provider.issuer,
    clientId: provider.clientId,
    clientAuthentication: keyOf(key),
    ...more,
  })

  test('gets what the site would send: nothing is wrong, and the registration has the demands of the profile', async () => {
    const report = await examined(options())
    assert.deepEqual(complaints(report), [], JSON.stringify(report.findings, null, 1))
    assert.equal(find(report, 'redirect-uri').level, 'good')
    assert.equal(find(report, 'client').level, 'good')
    const { redirect_uris, ...rest } = registered(report)
    assert.equal(redirect_uris, `${SITE}/callback`)
    const wanted = {
      response_types: 'code',
      grant_types: 'authorization_code',
      token_endpoint_auth_method: 'private_key_jwt',
      require_pushed_authorization_requests: 'true',
      require_signed_request_object: 'true',
      dpop_bound_access_tokens: 'true',
      id_token_signed_response_alg: 'PS256',
      authorization_signed_response_alg: 'PS256',
    }
    assert.deepEqual(Object.fromEntries(Object.keys(wanted).map(name => [name, rest[name]])), wanted)
  })

  test('is named where the site does not sign', async () => {
    const report = await examined(options({ profile: 'fapi2' }))
    assert.match(find(report, 'provider.unsupported').sentence, /signed request objects.*requestObject: true/)
  })

  test('a key of the signed requests that is not registered is named', async () => {
    const report = await examined(options({ requestObject: { key: exportPrivateJwk(other) } }))
    const finding = find(report, 'authorization.refused')
    assert.match(`${finding.cause} ${finding.remedy}`, /invalid_request_object.*requestObject/)
    assert.deepEqual(complaints(report), ['authorization.refused'])
  })

  test('a redirect URI that is not registered is named by the pushed request', async () => {
    const report = await examined(options({ routes: { callback: '/elsewhere' } }))
    assert.match(find(report, 'redirect-uri.refused').remedy ?? '', /Register exactly.*\/elsewhere/)
    assert.deepEqual(complaints(report), ['redirect-uri.refused'])
  })

  test('a scope that the client may not have is named by the pushed request', async () => {
    provider.register(SITE, { scope: 'openid' })
    const report = await examined(options({ scope: 'openid read' }))
    provider.register(SITE)
    assert.match(find(report, 'authorization.refused').remedy ?? '', /scope/)
  })

  test('a client that is not accepted is named, and not taken for a wrong redirect URI', async () => {
    const report = await examined(options({ clientAuthentication: keyOf(other) }))
    assert.deepEqual(complaints(report).sort(), ['authorization.request', 'client.rejected'])
  })

  test('without signed requests, a provider that requires pushed ones is examined with those', async () => {
    const plain = await startProvider({
      site: SITE,
      moreKeys: ['PS256'],
      features: {
        fapi: { enabled: true, profile: '2.0' },
        pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
      },
      client: {
        client_secret: undefined,
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [key.publicJwk] },
        id_token_signed_response_alg: 'PS256',
        response_types: ['code'],
        grant_types: ['authorization_code'],
      },
    })
    const { issuer, clientId } = plain
    const report = await examined(options({ profile: 'fapi2', issuer, clientId }))
    await plain.close()
    assert.deepEqual(complaints(report), [], JSON.stringify(report.findings, null, 1))
    assert.equal(find(report, 'redirect-uri').level, 'good')
  })
})

describe('signed responses', () => {
  let provider: HostileProvider
  before(async () => {
    provider = await startHostileProvider()
  })
  after(() => provider.close())

  async function report(): Promise<Report> {
    const { issuer, clientId, clientSecret } = provider
    return examined({ issuer, clientId, clientSecret, responseType: 'code', responseMode: 'query.jwt' })
  }

  test('an error inside of one is read, and not taken for a success', async () => {
    provider.break({ signedResponse: ({ code: _, ...claims }) => ({ ...claims, error: 'invalid_scope' }) })
    const finding = find(await report(), 'authorization.refused')
    assert.match(`${finding.cause} ${finding.remedy}`, /invalid_scope.*option scope/)
    provider.break({ signedResponse: ({ code: _, ...claims }) => ({ ...claims, error: 'login_required' }) })
    assert.equal(find(await report(), 'redirect-uri').level, 'good')
  })

  test('one that the site would refuse is named, and so is one that is not signed', async () => {
    provider.break({ signedResponse: { key: 'foreign' } })
    assert.match(find(await report(), 'authorization.unverified').sentence, /signature/)
    provider.heal()
    provider.break({ response: (_sent, _request, unsigned) => unsigned })
    const finding = find(await report(), 'authorization.unsigned')
    assert.match(`${finding.cause} ${finding.remedy}`, /code, state, iss.*JARM/)
  })
})

test('the CA of mtls counts for the certificate of the provider and for its pages', async () => {
  const front = await startMtlsFront()
  const { origin } = front
  const { publicJwk } = await createSigningKey('ES256')
  const document = {
    issuer: origin,
    authorization_endpoint: `${origin}/authorize`,
    token_endpoint: `${origin}/token`,
    jwks_uri: `${origin}/jwks`,
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    token_endpoint_auth_methods_supported: ['tls_client_auth'],
  }
  front.target = (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', origin)
    if (pathname === '/authorize') {
      const back = `${searchParams.get('redirect_uri')}?error=login_required`
      return void response.writeHead(302, { location: back }).end()
    }
    const body = { '/jwks': { keys: [publicJwk] }, '/token': { error: 'invalid_grant' } }[pathname] ?? document
    response.writeHead(pathname === '/token' ? 400 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body))
  }
  const options: OidcOptions = {
    issuer: origin,
    clientId: 'client',
    clientAuthentication: 'tls_client_auth',
    responseType: 'code',
    responseMode: 'query',
  }
  const client = createSelfSigned({ host: 'www.test' })
  const trusting = await examined({ ...options, mtls: { ...client, ca: front.ca } })
  const distrusting = await examined({ ...options, mtls: client })
  await front.close()
  assert.deepEqual(complaints(trusting), [], JSON.stringify(trusting.findings, null, 1))
  for (const id of ['provider.tls', 'client', 'redirect-uri']) assert.equal(find(trusting, id).level, 'good', id)
  assert.equal(registered(trusting).token_endpoint_auth_method, 'tls_client_auth')
  assert.deepEqual(complaints(distrusting), ['provider.tls'])
})
