import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { JWK } from 'jose'
import { createAgent } from '../support/agent.js'
import { startProvider, type TestProvider } from '../support/provider.js'
import { createSigningKey, exportPrivateJwk } from '../support/signing-keys.js'
import { type Site, startSite } from '../support/site.js'

const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

describe('an oidc-provider that encrypts to the keys of routes.jwks', () => {
  let provider: TestProvider
  let site: Site
  let keys: JWK[]
  let rsa: JWK
  const ec = { ...(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }) as JWK) }

  before(async () => {
    rsa = { ...exportPrivateJwk(await createSigningKey()), kid: 'rsa', alg: 'RSA-OAEP-256', use: 'enc' }
    keys = [rsa, { ...ec, kid: 'ec', use: 'enc' }]
    const algorithms = ['RSA-OAEP', 'RSA-OAEP-256', 'ECDH-ES', 'ECDH-ES+A128KW', 'ECDH-ES+A256KW']
    const methods = ['A128GCM', 'A256GCM', 'A128CBC-HS256']
    provider = await startProvider({
      features: { encryption: { enabled: true } },
      enabledJWA: {
        idTokenEncryptionAlgValues: algorithms,
        idTokenEncryptionEncValues: methods,
        userinfoEncryptionAlgValues: algorithms,
        userinfoEncryptionEncValues: methods,
      },
      accessTokenLife: 1,
    })
    const { issuer, clientId, clientSecret } = provider
    const decryption = { keys: () => keys, idToken: true, userInfo: true }
    const routes = { jwks: '/jwks' }
    site = await startSite({
      oidc: { issuer, clientId, clientSecret, decryption, routes, scope: 'openid profile offline_access' },
    })
  })
  after(async () => {
    await site.close()
    await provider.close()
  })

  function register(alg: string | undefined, enc: string | undefined, more: object = {}): void {
    provider.register(site.url, {
      jwks_uri: `${site.url}/jwks`,
      id_token_encrypted_response_alg: alg,
      id_token_encrypted_response_enc: enc,
      userinfo_signed_response_alg: 'RS256',
      userinfo_encrypted_response_alg: alg,
      userinfo_encrypted_response_enc: enc,
      ...more,
    })
  }

  const signIn = async () => {
    const agent = createAgent()
    return { agent, page: await agent.visit(`${site.url}/claims`) }
  }

  for (const [alg, enc] of [
    ['RSA-OAEP-256', 'A256GCM'],
    ['ECDH-ES', 'A128CBC-HS256'],
    ['ECDH-ES+A128KW', 'A128GCM'],
    ['ECDH-ES+A256KW', 'A256GCM'],
  ]) {
    test(`${alg} with ${enc}: both ID Tokens and userinfo`, async () => {
      register(alg, enc)
      const { page } = await signIn()
      assert.equal(page.status, 200, `${page.text} ${provider.errors.join()}`)
      assert.equal((JSON.parse(page.text) as { name: string }).name, 'Alice Adams')
    })
  }

  test('the ID Token of a refresh is opened, and logout tokens are', async () => {
    register('RSA-OAEP-256', 'A256GCM')
    const { agent } = await signIn()
    await new Promise(resolve => setTimeout(resolve, 1100))
    const calls = provider.count('token')
    const tokens = await agent.visit(`${site.url}/token`)
    assert.equal(tokens.status, 200, tokens.text)
    assert.ok(provider.count('token') > calls)
    assert.match((await agent.visit(`${site.url}/user`)).text, /"isAuthenticated":true/)
    await agent.visit(`${provider.issuer}/end_session`)
    assert.match((await agent.visit(`${site.url}/user`)).text, /"isAuthenticated":false/, provider.errors.join())
  })

  test('a token that is not encrypted is refused where encryption is demanded', async () => {
    register(undefined, undefined)
    const calls = provider.count('token')
    const { page } = await signIn()
    assert.equal(page.status, 400)
    assert.equal(site.lastCode(), 'ERR_OIDC_ID_TOKEN_ENCRYPTION')
    assert.equal(provider.count('token'), calls)
  })

  test('userinfo that is not encrypted is refused where encryption is demanded', async () => {
    for (const signed of ['RS256', undefined]) {
      register('RSA-OAEP-256', 'A256GCM', {
        userinfo_signed_response_alg: signed,
        userinfo_encrypted_response_alg: undefined,
        userinfo_encrypted_response_enc: undefined,
      })
      const { page } = await signIn()
      assert.equal(page.status, 502)
      assert.equal(site.lastCode(), 'ERR_OIDC_USER_INFO_RESPONSE')
    }
  })

  test('RSA-OAEP with SHA-1 is refused, and so is a key that was taken away', async () => {
    register('RSA-OAEP', 'A256GCM', { jwks_uri: undefined, jwks: { keys: [publicHalf(rsa)] } })
    assert.equal((await signIn()).page.status, 400)
    assert.equal(site.lastCode(), 'ERR_OIDC_ID_TOKEN_ENCRYPTION')
    register('RSA-OAEP-256', 'A256GCM', { jwks_uri: undefined, jwks: { keys: [publicHalf(rsa)] } })
    const all = keys
    keys = keys.slice(1)
    assert.equal((await signIn()).page.status, 400)
    assert.equal(site.lastCode(), 'ERR_OIDC_ID_TOKEN_DECRYPTION')
    keys = all
  })

  test('routes.jwks publishes public members only', async () => {
    const response = await fetch(`${site.url}/jwks`)
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('content-type'), 'application/jwk-set+json')
    assert.equal(response.headers.get('set-cookie'), null)
    const published = ((await response.json()) as { keys: JWK[] }).keys
    assert.deepEqual(
      published.map(({ kid, use, kty }) => [kid, use, kty]),
      [
        ['rsa', 'enc', 'RSA'],
        ['ec', 'enc', 'EC'],
      ],
    )
    for (const key of published) {
      assert.deepEqual(
        Object.keys(key).filter(name => PRIVATE.includes(name)),
        [],
      )
      assert.throws(() => createPrivateKey({ key: key as JsonWebKey, format: 'jwk' }))
    }
    for (const method of ['POST', 'HEAD', 'PUT']) {
      assert.equal((await fetch(`${site.url}/jwks`, { method })).status, 405)
    }
  })

  function publicHalf({ kty, n, e }: JWK): JWK {
    return { kty, n, e, use: 'enc' } as JWK
  }
})
