import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import fc from 'fast-check'
import { type OidcOptions, openIdConnect } from '../../lib/index.js'
import {
  deleteClient,
  type RegisteredClient,
  readClient,
  registerClient,
  updateClient,
} from '../../lib/registration/index.js'
import { createSelfSigned } from '../attacks/self-signed.js'
import { createAgent } from '../support/agent.js'
import { startLoopbackServer } from '../support/loopback-server.js'
import { startMtlsFront } from '../support/mtls-front.js'
import { startProvider, type TestProvider } from '../support/provider.js'
import { keepSecret, secret } from '../support/secrets.js'
import { startSite } from '../support/site.js'

const initialAccessToken = secret('initial access token')

const registration = (more: object = {}) => ({
  registration: { enabled: true, initialAccessToken, ...more },
  registrationManagement: { enabled: true, rotateRegistrationAccessToken: true },
})

async function withProvider(
  run: (provider: TestProvider) => Promise<void>,
  features: Readonly<Record<string, object>> = {},
): Promise<void> {
  const provider = await startProvider({ features: { ...registration(), ...features } })
  try {
    await run(provider)
  } finally {
    await provider.close()
  }
}

const optionsOf = ({ issuer }: TestProvider): OidcOptions => ({ issuer, baseUrl: 'http://localhost:9', log: () => {} })

async function freePort(): Promise<number> {
  const server = await startLoopbackServer(() => {})
  await server.stop()
  return server.port
}

function guard(client: RegisteredClient): RegisteredClient {
  const { credentials, registrationAccessToken } = client
  if (typeof credentials.clientSecret === 'string') keepSecret('client secret', credentials.clientSecret)
  if (registrationAccessToken !== undefined) keepSecret('registration access token', registrationAccessToken)
  return client
}

/** The client has to be known at the token endpoint. */
async function getToken(options: OidcOptions): Promise<string> {
  const oidc = openIdConnect({ secret: secret('session secret'), ...options })
  try {
    return (await oidc.clientCredentials()).value
  } finally {
    await oidc.close()
  }
}

describe('registration at a real provider', () => {
  test('a site that has registered itself signs users in and out', () =>
    withProvider(async provider => {
      const port = await freePort()
      const options = { issuer: provider.issuer, scope: 'openid profile offline_access' }
      const saved: RegisteredClient[] = []
      const client = guard(
        await registerClient(
          { ...options, baseUrl: `http://localhost:${port}` },
          { initialAccessToken, save: one => void saved.push(one) },
        ),
      )
      assert.deepEqual(saved, [client])
      assert.deepEqual(JSON.parse(JSON.stringify(client)), client)
      assert.deepEqual(client.changes, [])
      const site = await startSite({ port, oidc: { ...options, ...client.credentials } })
      try {
        const agent = createAgent()
        await agent.visit(`${site.url}/claims`)
        assert.equal((await agent.fetch(`${site.url}/user`)).json<{ isAuthenticated: boolean }>().isAuthenticated, true)
        assert.equal((await agent.visit(`${site.url}/logout`)).url, `${site.url}/`)
        assert.deepEqual(provider.errors, [])
      } finally {
        await site.close()
      }
    }))

  test('the client is read, changed and deleted; each change brings another token, and the one before counts no more', () =>
    withProvider(async provider => {
      const options = optionsOf(provider)
      const first = guard(await registerClient(options, { initialAccessToken, metadata: { client_name: 'Shop' } }))
      assert.equal(first.metadata.client_name, 'Shop')
      const read = await readClient(options, first)
      assert.deepEqual(read, first)
      const changed = { ...options, routes: { logoutBackchannel: '/bye' } }
      const saved: RegisteredClient[] = []
      const second = guard(await updateClient(changed, first, { save: one => void saved.push(one) }))
      assert.deepEqual(saved, [second])
      assert.notEqual(second.registrationAccessToken, first.registrationAccessToken)
      assert.equal(second.credentials.clientSecret, first.credentials.clientSecret)
      assert.deepEqual(
        [second.metadata.backchannel_logout_uri, second.metadata.client_name],
        ['http://localhost:9/bye', undefined],
        'what is registered is what the options say, and nothing else',
      )
      await assert.rejects(readClient(options, first), { code: 'ERR_OIDC_REGISTRATION_REJECTED' })
      // What is needed of the kept client is not much.
      const { issuer, credentials, registrationAccessToken, registrationClientUri } = second
      const kept = { issuer, credentials, registrationAccessToken, registrationClientUri }
      assert.equal((await readClient(options, kept)).metadata.backchannel_logout_uri, 'http://localhost:9/bye')
      await deleteClient(options, kept)
      await assert.rejects(readClient(options, kept), { code: 'ERR_OIDC_REGISTRATION_REJECTED' })
      await assert.rejects(getToken({ ...options, ...credentials }), { code: 'ERR_OIDC_CLIENT_REJECTED' })
    }))

  test('what the provider refuses has a code, and says why', () =>
    withProvider(async provider => {
      const options = optionsOf(provider)
      const refused = async (given: object, message: RegExp, changes: OidcOptions = {}) =>
        assert.rejects(registerClient({ ...options, ...changes }, given), {
          code: 'ERR_OIDC_REGISTRATION_REJECTED',
          message,
        })
      await refused({}, /initialAccessToken/)
      await refused({ initialAccessToken: 'wrong' }, /initialAccessToken/)
      await refused({ initialAccessToken, metadata: { redirect_uris: ['http://example.com/#x'] } }, /redirect URIs/)
      await refused({ initialAccessToken, metadata: { subject_type: 'odd' } }, /client metadata/)
    }))

  test('a client that could not be saved is deleted again', () =>
    withProvider(async provider => {
      const kept: RegisteredClient[] = []
      const save = (client: RegisteredClient) => {
        kept.push(guard(client))
        throw new Error('the vault is away')
      }
      await assert.rejects(registerClient(optionsOf(provider), { initialAccessToken, save }), {
        code: 'ERR_OIDC_OPTIONS',
        message: /the function save throws/,
      })
      assert.equal(provider.requests.filter(({ method }) => method === 'DELETE').length, 1)
      const [client] = kept
      assert.ok(client)
      await assert.rejects(getToken({ ...optionsOf(provider), ...client.credentials }), {
        code: 'ERR_OIDC_CLIENT_REJECTED',
      })
    }))

  test('a client with a key registers its public half, or the address of it, and is known by it', () =>
    withProvider(async provider => {
      const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const options = {
        ...optionsOf(provider),
        clientAuthentication: { method: 'private_key_jwt', key, algorithm: 'ES256' },
      } as const
      const grants = { metadata: { grant_types: ['authorization_code', 'implicit', 'client_credentials'] } }
      const client = guard(await registerClient(options, { initialAccessToken, ...grants }))
      assert.deepEqual(client.changes, [])
      assert.deepEqual(Object.keys(client.credentials), ['clientId'])
      const [jwk] = (client.metadata.jwks as { keys: Record<string, unknown>[] }).keys
      assert.deepEqual([jwk?.kty, jwk?.d], ['EC', undefined])
      assert.ok(await getToken({ ...options, ...client.credentials }))
      const published = { ...options, routes: { jwks: '/jwks' } }
      const other = guard(await registerClient(published, { initialAccessToken, ...grants }))
      assert.deepEqual([other.metadata.jwks_uri, other.metadata.jwks], ['http://localhost:9/jwks', undefined])
    }))

  test('a client with a certificate that no CA vouches for registers it, or the address of it, and is known by it', async () => {
    const front = await startMtlsFront()
    const certificateOf = ({ socket }: { readonly socket: TLSSocket }) =>
      typeof socket.getPeerX509Certificate === 'function' ? socket.getPeerX509Certificate()?.toString() : undefined
    const provider = await startProvider({
      clientAuthMethods: ['client_secret_basic', 'self_signed_tls_client_auth'],
      features: {
        ...registration(),
        mTLS: { enabled: true, selfSignedTlsClientAuth: true, getCertificate: certificateOf },
      },
      customise(real) {
        front.target = real.callback()
      },
    })
    try {
      const certificate = createSelfSigned({ host: 'www.test' })
      const options: OidcOptions = {
        ...optionsOf(provider),
        clientAuthentication: 'self_signed_tls_client_auth',
        mtls: { ...certificate, ca: front.ca },
        endpoints: { token_endpoint: `${front.origin}/token` },
      }
      const grants = { metadata: { grant_types: ['authorization_code', 'implicit', 'client_credentials'] } }
      const client = guard(await registerClient(options, { initialAccessToken, ...grants }))
      assert.deepEqual([client.changes, Object.keys(client.credentials)], [[], ['clientId']])
      assert.ok(await getToken({ ...options, ...client.credentials }))
      const stranger = { ...createSelfSigned({ host: 'www.test' }), ca: front.ca }
      await assert.rejects(getToken({ ...options, ...client.credentials, mtls: stranger }), {
        code: 'ERR_OIDC_CLIENT_REJECTED',
      })
      const published = { ...options, routes: { jwks: '/jwks' } }
      const other = guard(await registerClient(published, { initialAccessToken, ...grants }))
      assert.deepEqual([other.metadata.jwks_uri, other.metadata.jwks], ['http://localhost:9/jwks', undefined])
    } finally {
      await provider.close()
      await front.close()
    }
  })

  test('what makes a client safer is registered too: PAR, DPoP, algorithms', () =>
    withProvider(
      async provider => {
        const client = guard(
          await registerClient(
            {
              ...optionsOf(provider),
              responseType: 'code',
              pushedAuthorization: true,
              dpop: true,
              idTokenAlgorithm: 'ES256',
              userInfo: { algorithm: 'EdDSA' },
            },
            { initialAccessToken },
          ),
        )
        const { metadata } = client
        assert.deepEqual(client.changes, [])
        assert.deepEqual(
          [metadata.require_pushed_authorization_requests, metadata.dpop_bound_access_tokens],
          [true, true],
        )
        assert.deepEqual(
          [metadata.id_token_signed_response_alg, metadata.userinfo_signed_response_alg],
          ['ES256', 'EdDSA'],
        )
        assert.deepEqual([metadata.response_types, metadata.grant_types], [['code'], ['authorization_code']])
      },
      { pushedAuthorizationRequests: { enabled: true } },
    ))

  test('each of several providers gets the addresses that are its own', () =>
    withProvider(async provider => {
      const { issuer } = provider
      const asked: string[] = []
      const options = {
        baseUrl: 'http://localhost:9',
        log: () => {},
        providers: { acme: { issuer }, globex: { issuer: 'https://id.globex.example' } },
        resolveProvider: (name: string) => {
          asked.push(name)
          return name === 'initech' ? { issuer } : undefined
        },
      }
      const acme = guard(await registerClient(options, { initialAccessToken, provider: 'acme' }))
      assert.deepEqual(acme.metadata.redirect_uris, ['http://localhost:9/callback/acme'])
      assert.equal(acme.metadata.backchannel_logout_uri, 'http://localhost:9/logout/backchannel/acme')
      assert.deepEqual(acme.metadata.post_logout_redirect_uris, ['http://localhost:9/logout/callback'])
      assert.deepEqual(asked, [])
      const initech = guard(await registerClient(options, { initialAccessToken, provider: 'initech' }))
      assert.deepEqual(initech.metadata.redirect_uris, ['http://localhost:9/callback/initech'])
      for (const [given, code] of [
        [{ provider: 'unknown' }, 'ERR_OIDC_PROVIDER_UNKNOWN'],
        [{ provider: '../x' }, 'ERR_OIDC_PROVIDER_UNKNOWN'],
        [{}, 'ERR_OIDC_OPTIONS'],
      ] as const)
        await assert.rejects(registerClient(options, given), { code })
      assert.deepEqual(asked, ['initech', 'unknown'])
      await assert.rejects(registerClient(optionsOf(provider), { provider: 'acme' }), /has one only/)
    }))
})

describe('client ids and secrets with every character', () => {
  // RFC 6749 appendix A: VSCHAR. The options take none with a space at an end, so that a copied one fails at once.
  const text = fc.string({
    unit: fc.integer({ min: 0x20, max: 0x7e }).map(code => String.fromCharCode(code)),
    minLength: 1,
    maxLength: 60,
  })
  const credential = text.filter(value => value.trim() === value)
  const all = Array.from({ length: 95 }, (_, index) => String.fromCharCode(0x20 + index)).join('')
  const every = `!${all}~`

  let next = { id: '', secret: '' }
  let provider: TestProvider
  before(async () => {
    const factories = { idFactory: () => next.id, secretFactory: () => next.secret }
    provider = await startProvider({ features: registration(factories) })
  })
  after(() => provider?.close())

  for (const method of ['client_secret_basic', 'client_secret_post', 'client_secret_jwt'] as const)
    test(`are registered, and known at the token endpoint by ${method}`, async () => {
      let count = 0
      await fc.assert(
        fc.asyncProperty(credential, credential, async (id, value) => {
          count += 1
          next = { id: `${id}${count}`, secret: value.padEnd(32, '%') }
          const options: OidcOptions = optionsOf(provider)
          const metadata = {
            token_endpoint_auth_method: method,
            grant_types: ['authorization_code', 'implicit', 'client_credentials'],
          }
          const client = await registerClient(options, { initialAccessToken, metadata })
          assert.deepEqual([client.credentials.clientId, client.credentials.clientSecret], [next.id, next.secret])
          assert.ok(await getToken({ ...options, ...client.credentials }))
        }),
        {
          numRuns: 25,
          examples: [
            [every, every],
            ['a:b', 'c+d %41&=/?'],
            ['%3A', '+'],
            ['"', '\\'],
          ],
        },
      )
    })
})
