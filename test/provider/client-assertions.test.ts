import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { OidcOptions } from '../../lib/index.js'
import { type Agent, createAgent } from '../support/agent.js'
import { startProvider, type TestProvider } from '../support/provider.js'
import { secret } from '../support/secrets.js'
import { createSigningKey, exportPrivateJwk, type SigningKey } from '../support/signing-keys.js'
import { type Site, startSite } from '../support/site.js'

type ClientAuthentication = NonNullable<OidcOptions['clientAuthentication']>
type Client = Readonly<Record<string, unknown>>

let provider: TestProvider
const keys = new Map<string, SigningKey>()

before(async () => {
  provider = await startProvider({ clientSecret: secret('client secret') + secret('the rest of it') })
  for (const alg of ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519']) keys.set(alg, await createSigningKey(alg))
})
after(() => provider.close())

function keyFor(algorithm: string): SigningKey {
  const key = keys.get(algorithm)
  assert.ok(key !== undefined, algorithm)
  return key
}

/** A client at `oidc-provider` that has this method alone. */
const registration = (method: string, more: Client): Client => ({ token_endpoint_auth_method: method, ...more })
const withKey = ({ publicJwk }: SigningKey): Client => registration('private_key_jwt', { jwks: { keys: [publicJwk] } })

async function withSite(
  client: Client,
  clientAuthentication: ClientAuthentication,
  run: (site: Site, agent: Agent) => Promise<void>,
): Promise<void> {
  const { issuer, clientId, clientSecret } = provider
  const usesSecret = typeof clientAuthentication === 'object' && clientAuthentication.method === 'client_secret_jwt'
  const site = await startSite({
    oidc: {
      issuer,
      clientId,
      ...((usesSecret || clientAuthentication === 'client_secret_jwt') && { clientSecret }),
      clientAuthentication,
      scope: 'openid offline_access',
      authorizationParams: { prompt: 'consent' },
    },
    routes(app) {
      app.get('/fresh', (req, res, next) => {
        req.oidc.accessToken({ forceRefresh: true }).then(token => res.json(token.scope), next)
      })
      app.get('/machine', (_req, res, next) => {
        site.oidc.clientCredentials().then(token => res.json(token.expiresAt), next)
      })
      app.post('/revoke', (req, res, next) => {
        req.oidc.revokeTokens().then(() => res.json('revoked'), next)
      })
    },
  })
  provider.register(site.url, client)
  try {
    await run(site, createAgent())
  } finally {
    await site.close()
  }
}

/** Each request that needs a client: code, refresh, client credentials, revocation. */
async function assertAllTaken(site: Site, agent: Agent): Promise<void> {
  const context = () => `${site.errors.join()} ${provider.errors.slice(-2).join()}`
  assert.equal((await agent.visit(`${site.url}/claims`)).status, 200, context())
  const from = `${site.url}/claims`
  for (const path of ['/fresh', '/machine']) {
    assert.equal((await agent.fetch(site.url + path, { from })).status, 200, `${path} ${context()}`)
  }
  assert.equal((await agent.fetch(`${site.url}/revoke`, { method: 'POST', from })).status, 200, context())
}

describe('private_key_jwt at oidc-provider', () => {
  for (const algorithm of ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'] as const) {
    test(`assertions by ${algorithm} are taken at the token endpoint and at the revocation endpoint`, () => {
      const key = keyFor(algorithm)
      const authentication = { method: 'private_key_jwt', key: exportPrivateJwk(key), algorithm } as const
      return withSite(withKey(key), authentication, assertAllTaken)
    })
  }

  test('an RSA key that names no algorithm signs with the one that the client is registered for', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'ours' }
    for (const algorithm of ['RS256', 'PS256'] as const) {
      const client = registration('private_key_jwt', {
        jwks: { keys: [jwk] },
        token_endpoint_auth_signing_alg: algorithm,
      })
      await withSite(client, { method: 'private_key_jwt', key: privateKey, algorithm }, assertAllTaken)
    }
  })

  const audiences = [
    undefined,
    'issuer',
    'token_endpoint',
    'endpoint',
    ['issuer'],
    ['issuer', 'token_endpoint'],
    ['endpoint', 'https://elsewhere.example'],
  ] as const
  for (const audience of audiences) {
    test(`the audience ${JSON.stringify(audience) ?? 'that is the default'} is taken for every request`, () => {
      const key = keyFor('ES256')
      const authentication = {
        method: 'private_key_jwt',
        key: exportPrivateJwk(key),
        ...(audience !== undefined && { audience }),
      } as const
      return withSite(withKey(key), authentication, assertAllTaken)
    })
  }

  for (const header of [{ typ: 'JWT' }, { typ: false }, { typ: 'client-authentication+jwt' }] as const) {
    test(`the header ${JSON.stringify(header)} is taken`, () => {
      const key = keyFor('ES256')
      const authentication = { method: 'private_key_jwt', key: exportPrivateJwk(key), header } as const
      return withSite(withKey(key), authentication, assertAllTaken)
    })
  }

  const refused: readonly (readonly [string, () => ClientAuthentication])[] = [
    [
      'for another provider',
      () => ({
        method: 'private_key_jwt',
        key: exportPrivateJwk(keyFor('ES256')),
        audience: 'https://elsewhere.example',
      }),
    ],
    [
      'by a key that is not registered',
      () => ({ method: 'private_key_jwt', key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }),
    ],
  ]
  for (const [what, authentication] of refused) {
    test(`an assertion ${what} is refused, and the error names what to try`, () =>
      withSite(withKey(keyFor('ES256')), authentication(), async (site, agent) => {
        assert.equal((await agent.visit(`${site.url}/claims`)).status, 502)
        assert.equal(site.lastCode(), 'ERR_OIDC_CLIENT_REJECTED')
        assert.match(String(site.errors.at(-1)), /the key that is registered there.*audience/)
      }))
  }
})

describe('client_secret_jwt at oidc-provider', () => {
  const client = registration('client_secret_jwt', {})

  test('assertions by the secret are taken without another option', () =>
    withSite(client, 'client_secret_jwt', assertAllTaken))

  for (const algorithm of ['HS256', 'HS384', 'HS512'] as const) {
    for (const audience of ['issuer', 'token_endpoint', ['endpoint', 'issuer']] as const) {
      test(`assertions by ${algorithm} for ${JSON.stringify(audience)} are taken`, () =>
        withSite(client, { method: 'client_secret_jwt', algorithm, audience }, assertAllTaken))
    }
  }

  test('an assertion for another provider is refused', () =>
    withSite(client, { method: 'client_secret_jwt', audience: 'https://elsewhere.example' }, async (site, agent) => {
      assert.equal((await agent.visit(`${site.url}/claims`)).status, 502)
      assert.equal(site.lastCode(), 'ERR_OIDC_CLIENT_REJECTED')
    }))
})
