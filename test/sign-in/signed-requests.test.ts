import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import type { OidcOptions } from '../../lib/index.js'
import { buildRequestClaims } from '../../lib/protocol/request-object.js'
import { createAgent } from '../support/agent.js'
import { startProvider, type TestProvider } from '../support/provider.js'
import { createSigningKey, exportPrivateJwk, type SigningKey } from '../support/signing-keys.js'
import { startSite } from '../support/site.js'

test('a request object has every parameter, who made it for whom, and lives for minutes', () => {
  const params = new URLSearchParams({ client_id: 'client', scope: 'openid', claims: '{"userinfo":{}}', max_age: '0' })
  params.append('resource', 'https://a.example')
  params.append('resource', 'https://b.example')
  params.append('authorization_details', '[{"type":"payment"}]')
  for (const name of ['iss', 'aud', 'exp', 'nbf', 'jti', 'sub']) params.append(name, 'of the site')
  const context = { clientId: 'client', issuer: 'https://op.example', now: 1000, jti: 'once' }
  assert.deepEqual(buildRequestClaims(params, context), {
    client_id: 'client',
    scope: 'openid',
    claims: { userinfo: {} },
    max_age: 0,
    resource: ['https://a.example', 'https://b.example'],
    authorization_details: [{ type: 'payment' }],
    iss: 'client',
    aud: 'https://op.example',
    iat: 1000,
    nbf: 1000,
    exp: 1300,
    jti: 'once',
  })
})

describe('an oidc-provider that demands signed requests', () => {
  let provider: TestProvider
  let key: SigningKey
  let own: SigningKey
  const objects: string[] = []

  before(async () => {
    key = await createSigningKey('PS256')
    own = await createSigningKey('ES256')
    const remember = async (ctx: { query: { request?: string } }, next: () => Promise<void>) => {
      if (ctx.query.request !== undefined) objects.push(ctx.query.request)
      await next()
    }
    const customise = (real: object) => void (real as { use(middleware: typeof remember): void }).use(remember)
    const features = {
      requestObjects: { enabled: true, requireSignedRequestObject: true },
      pushedAuthorizationRequests: { enabled: true },
      jwtResponseModes: { enabled: true },
      fapi: { enabled: true, profile: '2.0' },
    }
    const client = {
      client_secret: undefined,
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [key.publicJwk, own.publicJwk] },
      id_token_signed_response_alg: 'PS256',
      authorization_signed_response_alg: 'PS256',
      require_signed_request_object: true,
      response_types: ['code'],
      grant_types: ['authorization_code', 'refresh_token'],
    }
    provider = await startProvider({
      client,
      features,
      customise,
      moreKeys: ['PS256'],
      enabledJWA: {
        requestObjectSigningAlgValues: ['PS256', 'ES256'],
        authorizationSigningAlgValues: ['PS256', 'ES256'],
      },
    })
  })
  after(() => provider.close())

  async function visit(oidc: OidcOptions, client: object = {}) {
    const { issuer, clientId } = provider
    const clientAuthentication = { method: 'private_key_jwt', key: exportPrivateJwk(key) } as const
    const site = await startSite({ oidc: { issuer, clientId, clientAuthentication, ...oidc } })
    provider.register(site.url, client as Record<string, unknown>)
    const page = await createAgent().visit(`${site.url}/claims`)
    const authorize = page.hops.find(({ url }) => url.startsWith(`${provider.issuer}/authorize?`))
    const why = `${page.text} ${provider.errors.join()} ${site.log.join()}`
    await site.close()
    return { page, sent: new URL(authorize?.url ?? 'http://nowhere').searchParams, why }
  }

  const plain = { responseType: 'code', responseMode: 'query', idTokenAlgorithm: 'PS256' } as const

  test('by value: only client_id, type and scope stay outside, and no object comes twice', async () => {
    for (const _ of ['first', 'second']) {
      const { page, sent, why } = await visit({ ...plain, requestObject: true, pushedAuthorization: false })
      assert.equal(page.status, 200, why)
      assert.deepEqual([...sent.keys()], ['client_id', 'response_type', 'scope', 'request'])
    }
    const [first = '', second = ''] = objects
    assert.equal(objects.length, 2)
    const header = decodeProtectedHeader(first)
    assert.deepEqual(header, { alg: 'PS256', typ: 'oauth-authz-req+jwt', kid: key.kid })
    const { iss, aud, exp = 0, nbf = 0, jti, code_challenge_method } = decodeJwt(first)
    assert.deepEqual([iss, aud, code_challenge_method], [provider.clientId, provider.issuer, 'S256'])
    assert.ok(exp - nbf <= 3600)
    assert.notEqual(jti, decodeJwt(second).jti)
  })

  test('pushed, with a key of its own that a function returns', async () => {
    let asked = 0
    const requestObject = {
      key: async () => {
        asked++
        return exportPrivateJwk(own)
      },
    }
    const { page, sent, why } = await visit({ ...plain, requestObject, pushedAuthorization: true })
    assert.equal(page.status, 200, why)
    assert.deepEqual([...sent.keys()], ['client_id', 'request_uri'])
    assert.equal(asked, 1)
  })

  test('the profile fapi2-message-signing: signed, pushed, with proofs, and a signed response', async () => {
    const { page, sent, why } = await visit(
      { profile: 'fapi2-message-signing' },
      { dpop_bound_access_tokens: true, request_object_signing_alg: 'PS256' },
    )
    assert.equal(page.status, 200, why)
    assert.deepEqual([...sent.keys()], ['client_id', 'request_uri'])
    const callback = page.hops.find(({ url }) => url.includes('/callback?'))
    assert.deepEqual([...new URL(callback?.url ?? '').searchParams.keys()], ['response'])
  })

  test('without requestObject such a provider is refused before the browser leaves', async () => {
    const { page, sent } = await visit(plain)
    assert.equal(page.status, 502)
    assert.equal(sent.has('client_id'), false)
  })
})
