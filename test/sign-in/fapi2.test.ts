import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createAgent } from '../support/agent.js'
import { startProvider, type TestProvider } from '../support/provider.js'
import { createSigningKey, exportPrivateJwk, type SigningKey } from '../support/signing-keys.js'
import { type Site, startSite } from '../support/site.js'

/** What the provider does to the address it sends the browser back to. */
type Change = (query: URLSearchParams) => void

interface Context {
  readonly response: { get(name: string): string | undefined }
  set(name: string, value: string): void
}

describe('the profile fapi2 at an oidc-provider that holds clients to it', () => {
  let provider: TestProvider
  let site: Site
  let key: SigningKey
  let change: Change = () => undefined

  before(async () => {
    key = await createSigningKey('PS256')
    const client = {
      client_secret: undefined,
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'PS256',
      jwks: { keys: [key.publicJwk] },
      id_token_signed_response_alg: 'PS256',
      dpop_bound_access_tokens: true,
      response_types: ['code'],
      grant_types: ['authorization_code', 'refresh_token'],
    }
    const features = {
      fapi: { enabled: true, profile: '2.0' },
      pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
    }
    const bend = async (ctx: Context, next: () => Promise<void>) => {
      await next()
      const location = ctx.response.get('location') ?? ''
      if (!location.includes('/callback?')) return
      const url = new URL(location)
      change(url.searchParams)
      ctx.set('location', url.href)
    }
    const customise = (real: object) => void (real as { use(middleware: typeof bend): void }).use(bend)
    provider = await startProvider({ client, features, customise, proofNonces: true, moreKeys: ['PS256'] })
    const { issuer, clientId } = provider
    const clientAuthentication = { method: 'private_key_jwt', key: exportPrivateJwk(key) } as const
    site = await startSite({ oidc: { profile: 'fapi2', issuer, clientId, clientAuthentication } })
    provider.register(site.url)
  })
  after(async () => {
    await site.close()
    await provider.close()
  })

  async function visit(changed: Change = () => undefined) {
    change = changed
    const before = provider.count('token')
    const page = await createAgent().visit(`${site.url}/claims`)
    return { page, tokenCalls: provider.count('token') - before }
  }

  test('happy-path: pushed, with PKCE, proofs, nonces and an assertion, and userinfo at the end', async () => {
    const calls = provider.count('userinfo')
    const { page } = await visit()
    assert.equal(page.status, 200, `${page.text} ${provider.errors.join()}`)
    assert.ok(provider.count('userinfo') > calls)
    const authorize = page.hops.find(({ url }) => url.startsWith(`${provider.issuer}/authorize?`))
    assert.deepEqual([...new URL(authorize?.url ?? '').searchParams.keys()], ['client_id', 'request_uri'])
  })

  for (const [module, changed, code] of [
    ['remove-authorization-response-iss', query => query.delete('iss'), 'ERR_OIDC_RESPONSE_ISSUER'],
    [
      'invalid-authorization-response-iss',
      query => query.set('iss', `${query.get('iss')}INVALID`),
      'ERR_OIDC_RESPONSE_ISSUER',
    ],
    [
      'ensure-authorization-response-with-invalid-state-fails',
      query => query.set('state', `${query.get('state')}1`),
      'ERR_OIDC_TRANSACTION_MISSING',
    ],
    [
      'ensure-authorization-response-with-invalid-missing-state-fails',
      query => query.delete('state'),
      'ERR_OIDC_REQUEST_MALFORMED',
    ],
  ] as const satisfies readonly (readonly [string, Change, string])[]) {
    test(`${module}: ${code}, and no token is asked for`, async () => {
      const { page, tokenCalls } = await visit(changed)
      assert.equal(page.status, 400, page.text)
      assert.equal(site.lastCode(), code)
      assert.equal(tokenCalls, 0)
    })
  }
})
