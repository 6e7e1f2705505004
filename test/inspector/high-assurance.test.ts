import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { Express, RequestHandler } from 'express'
import type { JWK } from 'jose'
import type { OidcOptions } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import { startProvider, type TestProvider } from '../support/provider.js'
import { checkNothingPersonal } from '../support/secrets.js'
import { createSigningKey, exportPrivateJwk, type SigningKey } from '../support/signing-keys.js'
import { startSite } from '../support/site.js'

const ecKey = (kid: string) =>
  ({
    ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
    kid,
    alg: 'ECDH-ES',
    use: 'enc',
  }) as JWK

const ofSite = ecKey('site')
const ofProvider = ecKey('provider')
const { d: _, ...publicOfSite } = ofSite
const payment = { type: 'payment', creditorName: 'Bob Baker' }
const API = 'https://api.example.com/'

const encrypted = 'ECDH-ES and A256GCM'
const encryptions = { algorithms: ['ECDH-ES'], methods: ['A256GCM'] }

describe('the inspector, for fapi2-message-signing with everything encrypted', () => {
  let provider: TestProvider
  let key: SigningKey

  before(async () => {
    key = await createSigningKey('PS256')
    const { algorithms, methods } = encryptions
    type Context = { oidc: { params: { authorization_details?: string } } }
    const asked = ({ oidc }: Context) => JSON.parse(oidc.params.authorization_details ?? '[]') as readonly object[]
    provider = await startProvider({
      client: {
        client_secret: undefined,
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'PS256',
        jwks: { keys: [key.publicJwk, publicOfSite] },
        id_token_signed_response_alg: 'PS256',
        authorization_signed_response_alg: 'PS256',
        dpop_bound_access_tokens: true,
        response_types: ['code'],
        grant_types: ['authorization_code', 'refresh_token'],
        authorization_details_types: ['payment'],
        id_token_encrypted_response_alg: 'ECDH-ES',
        id_token_encrypted_response_enc: 'A256GCM',
        authorization_encrypted_response_alg: 'ECDH-ES',
        authorization_encrypted_response_enc: 'A256GCM',
        userinfo_signed_response_alg: 'PS256',
        userinfo_encrypted_response_alg: 'ECDH-ES',
        userinfo_encrypted_response_enc: 'A256GCM',
      },
      features: {
        fapi: { enabled: true, profile: '2.0' },
        pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
        requestObjects: { enabled: true, requireSignedRequestObject: true },
        jwtResponseModes: { enabled: true },
        encryption: { enabled: true },
        richAuthorizationRequests: {
          enabled: true,
          types: { payment: { validate() {} } },
          authorizationDetailsForGrantSource: asked,
          authorizationDetailsForAccessToken: (_ctx: Context, _token: object, source?: { readonly rar?: unknown }) =>
            source?.rar,
          authorizationDetailsForIntrospection: (_ctx: Context, token: { readonly rar?: unknown }) => token.rar,
        },
      },
      enabledJWA: {
        requestObjectSigningAlgValues: ['PS256'],
        requestObjectEncryptionAlgValues: algorithms,
        requestObjectEncryptionEncValues: methods,
        authorizationSigningAlgValues: ['PS256'],
        authorizationEncryptionAlgValues: algorithms,
        authorizationEncryptionEncValues: methods,
        idTokenEncryptionAlgValues: algorithms,
        idTokenEncryptionEncValues: methods,
        userinfoEncryptionAlgValues: algorithms,
        userinfoEncryptionEncValues: methods,
      },
      proofNonces: true,
      moreKeys: ['PS256'],
      encryptionKeys: () => [ofProvider],
    })
  })
  after(() => provider.close())

  async function show(oidc: OidcOptions = {}): Promise<{ readonly text: string; readonly status: number }> {
    const { issuer, clientId } = provider
    let page: RequestHandler = (_req, _res, next) => next()
    const site = await startSite({
      oidc: {
        profile: 'fapi2-message-signing',
        issuer,
        clientId,
        clientAuthentication: { method: 'private_key_jwt', key: exportPrivateJwk(key) },
        requestObject: {
          key: exportPrivateJwk(key),
          encryption: { algorithm: 'ECDH-ES', contentEncryption: 'A256GCM' },
        },
        decryption: { keys: [ofSite], idToken: true, userInfo: true, response: true },
        authorizationParams: { authorization_details: [payment], resource: API },
        ...oidc,
      } as OidcOptions,
      routes: (app: Express) => void app.get('/how', (req, res, next) => page(req, res, next)),
    })
    page = site.oidc.inspector()
    provider.register(site.url)
    const agent = createAgent()
    const { status, text: last } = await agent.visit(`${site.url}/claims`)
    const { text } = await agent.open(`${site.url}/how`)
    await site.close()
    checkNothingPersonal(text, 'the inspector')
    assert.doesNotMatch(text, /alice|Bob Baker/i)
    return { status, text: status === 200 ? text : `${last}\n${provider.errors.join()}\n${text}` }
  }

  /** In the list of messages and in both diagrams. */
  function positions(text: string, lines: readonly string[]): number[] {
    return lines.map(line => {
      const at = text.indexOf(line)
      assert.ok(at !== -1, `${line} is missing: ${text}`)
      return at
    })
  }

  test('shows the push, the proofs, the nonce and each signed and encrypted JWT, in their order', async () => {
    const { text, status } = await show()
    assert.equal(status, 200, text)
    const lines = [
      'GET /claims',
      `Request object: PS256, encrypted with ${encrypted}`,
      'POST /request, DPoP',
      '400 use_dpop_nonce',
      'POST /request, DPoP with nonce',
      '303 to the provider, request pushed',
      'GET /callback',
      `Signed response: PS256, encrypted with ${encrypted}`,
      'POST /token, DPoP with nonce',
      `ID Token: PS256, encrypted with ${encrypted}`,
      'GET /userinfo, DPoP with nonce',
      `Userinfo: PS256, encrypted with ${encrypted}`,
    ]
    const found = positions(text, lines)
    assert.deepEqual(
      found,
      [...found].sort((a, b) => a - b),
      'the order',
    )
    assert.ok(text.includes(`<dt>iss</dt><dd>${provider.issuer}</dd>`), 'no issuer of the response')
    assert.match(text, /<dt>authorization_details<\/dt><dd>payment …<\/dd>/)
    assert.match(text, /<dt>members<\/dt><dd>[^<]*authorization_details/)
    assert.ok(!text.includes('class="mark bad"'), 'something failed')
  })

  test('shows a push that the provider refuses, and why', async () => {
    const { text, status } = await show({ authorizationParams: { authorization_details: [{ type: 'unknown' }] } })
    assert.notEqual(status, 200)
    assert.match(text, /The browser was not sent to the provider/)
    assert.match(text, /400 invalid_authorization_details/)
  })

  test('shows in step 1 that no key opens the response', async () => {
    const { text } = await show({
      decryption: { keys: [ecKey('site')], idToken: true, userInfo: true, response: true },
    })
    assert.match(text, /<strong>The sign-in failed in step 1:<\/strong>/)
    assert.match(text, /ERR_OIDC_RESPONSE_DECRYPTION/)
  })
})
