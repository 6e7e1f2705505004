import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createAgent } from './agent.js'
import { type ProviderOptions, startProvider, type TestProvider } from './provider.js'
import { type Site, type SiteOptions, startSite } from './site.js'

async function startBoth(options: ProviderOptions = {}, more: Partial<SiteOptions> = {}) {
  const provider = await startProvider(options)
  const { issuer, clientId, clientSecret } = provider
  const site = await startSite({ ...more, oidc: { issuer, clientId, clientSecret, ...more.oidc } })
  provider.register(site.url)
  return { provider, site, close: () => Promise.all([site.close(), provider.close()]) }
}

describe('a sign-in at the real provider ends on the page asked for', () => {
  const responseTypes = ['code', 'code id_token', 'code token', 'code id_token token', 'id_token']
  for (const responseType of responseTypes) {
    test(`with response type ${responseType}`, async t => {
      const { provider, site, close } = await startBoth({}, { oidc: { responseType } })
      t.after(close)
      const page = await createAgent().visit(`${site.url}/claims`)
      assert.equal(page.url, `${site.url}/claims`, page.text)
      const { sub, email } = page.json<{ sub: string; email?: string }>()
      assert.equal(sub, 'alice')
      assert.equal(email, responseType === 'id_token' ? email : 'alice@example.com')
      assert.deepEqual([site.errors, provider.errors], [[], []])
      assert.equal(provider.count('token'), responseType === 'id_token' ? 0 : 1)
    })
  }

  for (const clientAuthentication of ['client_secret_basic', 'client_secret_post', 'client_secret_jwt'] as const) {
    test(`with ${clientAuthentication}, on Express 4`, async t => {
      const client = { token_endpoint_auth_method: clientAuthentication }
      const { site, close } = await startBoth({ client }, { express: 4, oidc: { clientAuthentication } })
      t.after(close)
      const page = await createAgent().visit(`${site.url}/claims`)
      assert.equal(page.json<{ sub: string }>().sub, 'alice')
    })
  }
})

describe('the real provider', () => {
  let provider: TestProvider
  let site: Site
  let close: () => Promise<unknown>
  before(async () => {
    ;({ provider, site, close } = await startBoth({ signIn: 'form' }))
  })
  after(() => close())

  test('asks for a name, and the agent gives it', async () => {
    const agent = createAgent()
    const login = await agent.visit(`${site.url}/claims`)
    assert.match(login.url, /\/interaction\//)
    await agent.submitForm({ login: 'bob' })
    const page = await agent.submitForm()
    assert.equal(page.json<{ email: string }>().email, 'bob@example.com')
  })

  test('counts and delays requests', async () => {
    const earlier = provider.count('jwks')
    provider.delay('jwks', 30)
    const begin = performance.now()
    await createAgent().open(`${provider.issuer}/jwks`)
    provider.delay('jwks', 0)
    assert.ok(performance.now() - begin >= 25, 'too early')
    assert.equal(provider.count('jwks'), earlier + 1)
  })

  test('goes away and comes back on the same port', async () => {
    await provider.stop()
    await assert.rejects(createAgent().open(`${provider.issuer}/jwks`))
    await provider.start()
    assert.equal((await createAgent().open(`${provider.issuer}/jwks`)).status, 200)
  })
})
