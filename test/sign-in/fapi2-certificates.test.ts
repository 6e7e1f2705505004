import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { request } from 'node:https'
import { after, before, describe, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import type { OidcOptions } from '../../lib/index.js'
import { createSelfSigned } from '../attacks/self-signed.js'
import { createAgent } from '../support/agent.js'
import { type MtlsFront, startMtlsFront } from '../support/mtls-front.js'
import type { OidcProvider } from '../support/oidc-provider-types.js'
import { startProvider, type TestProvider } from '../support/provider.js'
import { createSigningKey, exportPrivateJwk, type SigningKey } from '../support/signing-keys.js'
import { type Site, startSite } from '../support/site.js'

interface Context {
  readonly path: string
  body: unknown
  readonly socket: TLSSocket
}

const certificate = createSelfSigned({ host: 'www.test' })
const renewed = createSelfSigned({ host: 'www.test' })
const stranger = createSelfSigned({ host: 'www.test' })

/** The public key of a certificate with the certificate itself, as `self_signed_tls_client_auth` registers it. RFC 8705 section 2.2.2. */
function jwkOf({ cert }: { readonly cert: string }) {
  const { publicKey, raw } = new X509Certificate(cert)
  return { ...publicKey.export({ format: 'jwk' }), x5c: [raw.toString('base64')] }
}

const certificateOf = ({ socket }: Context) =>
  typeof socket.getPeerX509Certificate === 'function' ? socket.getPeerX509Certificate() : undefined

describe('the profile fapi2 with client certificates, at an oidc-provider behind node:https', () => {
  let front: MtlsFront
  let provider: TestProvider
  let key: SigningKey
  let site: Site | undefined
  let current = certificate
  /** What the provider publishes about certificates. */
  let metadata: object = {}

  before(async () => {
    front = await startMtlsFront()
    key = await createSigningKey('PS256')
    const publish = async (ctx: Context, next: () => Promise<void>) => {
      await next()
      if (ctx.path.endsWith('/openid-configuration')) ctx.body = { ...Object(ctx.body), ...metadata }
    }
    provider = await startProvider({
      proofNonces: true,
      moreKeys: ['PS256'],
      clientAuthMethods: ['private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth'],
      features: {
        fapi: { enabled: true, profile: '2.0' },
        pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
        mTLS: {
          enabled: true,
          certificateBoundAccessTokens: true,
          selfSignedTlsClientAuth: true,
          tlsClientAuth: true,
          getCertificate: (ctx: Context) => certificateOf(ctx)?.toString(),
          // Whoever issued it: what is checked here is the subject.
          certificateAuthorized: () => true,
          certificateSubjectMatches: (ctx: Context, _property: string, expected: string) =>
            certificateOf(ctx)?.subject === expected,
        },
      },
      client: {
        client_secret: undefined,
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [key.publicJwk] },
        id_token_signed_response_alg: 'PS256',
        response_types: ['code'],
        grant_types: ['authorization_code', 'refresh_token'],
      },
      customise(real: OidcProvider) {
        ;(real as unknown as { use(middleware: typeof publish): void }).use(publish)
        front.target = real.callback()
      },
    })
    const names = ['token', 'userinfo', 'revocation'].map(name => [`${name}_endpoint`, `${front.origin}/${name}`])
    const par = { pushed_authorization_request_endpoint: `${front.origin}/request` }
    metadata = { mtls_endpoint_aliases: { ...Object.fromEntries(names), ...par } }
  })
  after(async () => {
    await site?.close()
    await provider.close()
    await front.close()
  })

  async function start(oidc: OidcOptions, client: Readonly<Record<string, unknown>>): Promise<Site> {
    await site?.close()
    const { issuer, clientId } = provider
    const clientAuthentication = { method: 'private_key_jwt', key: exportPrivateJwk(key) } as const
    site = await startSite({
      oidc: {
        profile: 'fapi2',
        issuer,
        clientId,
        clientAuthentication,
        mtls: () => ({ ...current, ca: front.ca }),
        apis: [front.origin],
        scope: 'openid profile offline_access',
        ...oidc,
      },
      routes(app) {
        app.get('/api', (req, res, next) => {
          req.oidc
            .fetch(`${front.origin}/userinfo`)
            .then(async response => res.json({ status: response.status, body: await response.json() }), next)
        })
        app.get('/stolen', (req, res, next) => void req.oidc.accessToken().then(token => res.json(token), next))
      },
    })
    provider.register(site.url, client)
    return site
  }

  const bound = { tls_client_certificate_bound_access_tokens: true }
  const bySubject = { token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_subject_dn: 'CN=www.test' }
  const byItself = {
    token_endpoint_auth_method: 'self_signed_tls_client_auth',
    jwks: { keys: [jwkOf(certificate), jwkOf(renewed)] },
  }
  for (const [name, oidc, client] of [
    ['private_key_jwt, tokens bound to the certificate', {}, bound],
    [
      'tls_client_auth, tokens bound to the certificate',
      { clientAuthentication: 'tls_client_auth' },
      { ...bound, ...bySubject },
    ],
    [
      'self_signed_tls_client_auth, tokens bound to the certificate',
      { clientAuthentication: 'self_signed_tls_client_auth' },
      { ...bound, ...byItself },
    ],
    [
      'tls_client_auth, tokens bound to a key of the session',
      { clientAuthentication: 'tls_client_auth', dpop: true },
      { ...bySubject, dpop_bound_access_tokens: true },
    ],
  ] as const satisfies readonly (readonly [string, OidcOptions, object])[]) {
    test(`${name}: a sign-in, a call of an API and a refresh`, async () => {
      current = certificate
      const { url, log } = await start(oidc, client)
      const agent = createAgent()
      const page = await agent.visit(`${url}/claims`)
      assert.equal(page.status, 200, `${page.text} ${provider.errors.join()} ${log.join()}`)
      const api = await agent.fetch(`${url}/api`)
      assert.match(api.text, /"status":200,"body":\{"sub":"alice"/)
    })
  }

  test('an access token that was stolen opens nothing with another certificate, nor without one', async () => {
    current = certificate
    const { url } = await start({}, bound)
    const agent = createAgent()
    await agent.visit(`${url}/claims`)
    const token = (await agent.fetch(`${url}/stolen`)).json<{ value: string; type: string }>()
    assert.equal(token.type, 'Bearer')
    for (const [shown, status] of [
      [certificate, 200],
      [stranger, 401],
      [undefined, 401],
    ] as const) {
      assert.equal(await statusOf(`${front.origin}/userinfo`, token.value, { ...shown, ca: front.ca }), status)
    }
  })

  test('a renewed certificate: a token that is bound to the old one is replaced by a refresh, without a restart', async () => {
    current = certificate
    const { url } = await start({ clientAuthentication: 'self_signed_tls_client_auth' }, { ...bound, ...byItself })
    const agent = createAgent()
    assert.equal((await agent.visit(`${url}/claims`)).status, 200)
    const earlier = (await agent.fetch(`${url}/stolen`)).json<{ value: string }>()
    current = renewed
    const api = await agent.fetch(`${url}/api`)
    assert.match(api.text, /"status":200/, provider.errors.join())
    const later = (await agent.fetch(`${url}/stolen`)).json<{ value: string }>()
    assert.notEqual(later.value, earlier.value)
    // And another sign-in shows the new one from the first request on.
    assert.equal((await createAgent().visit(`${url}/claims`)).status, 200)
  })

  test('the site publishes its certificate, and the provider knows it by that; after a renewal when it has fetched it again', async () => {
    const byAddress = { ...bound, ...byItself, jwks: undefined }
    const own = { clientAuthentication: 'self_signed_tls_client_auth', routes: { jwks: '/jwks' } } as const
    for (const shown of [certificate, renewed]) {
      current = shown
      const { url } = await start(own, byAddress)
      provider.register(url, { ...byAddress, jwks_uri: `${url}/jwks` })
      const { keys } = (await createAgent().fetch(`${url}/jwks`)).json<{ keys: { x5c: string[] }[] }>()
      assert.deepEqual(
        keys.map(({ x5c }) => x5c),
        [jwkOf(shown).x5c],
      )
      const page = await createAgent().visit(`${url}/claims`)
      assert.equal(page.status, 200, `${page.text} ${provider.errors.join()}`)
    }
  })

  test('a certificate that is not registered is refused, and the browser stays', async () => {
    current = stranger
    const { url, lastCode } = await start(
      { clientAuthentication: 'self_signed_tls_client_auth' },
      { ...bound, ...byItself },
    )
    const calls = provider.count('authorize')
    const page = await createAgent().visit(`${url}/claims`)
    assert.deepEqual([page.status, lastCode()], [502, 'ERR_OIDC_CLIENT_REJECTED'])
    assert.equal(provider.count('authorize'), calls)
  })

  test('a provider that does not say that it binds tokens is refused before the browser leaves', async () => {
    current = certificate
    const usual = metadata
    metadata = { ...usual, tls_client_certificate_bound_access_tokens: false }
    const { url, lastCode } = await start({}, bound)
    const calls = provider.count('authorize')
    const page = await createAgent().visit(`${url}/claims`)
    metadata = usual
    assert.deepEqual([page.status, lastCode()], [502, 'ERR_OIDC_UNSUPPORTED'])
    assert.equal(provider.count('authorize'), calls)
  })
})

function statusOf(url: string, token: string, tls: object): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` }
    const asked = request(url, { ...tls, headers, agent: false }, response => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    asked.on('error', reject)
    asked.end()
  })
}
