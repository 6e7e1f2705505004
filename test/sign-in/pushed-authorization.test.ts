import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { OidcOptions } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import { sessionCookieOf, withFixture } from '../support/handler-fixture.js'
import { deny } from '../support/hostile-provider.js'
import { startProvider, type TestProvider } from '../support/provider.js'
import { startSite } from '../support/site.js'

describe('pushed requests at oidc-provider, which requires them', () => {
  let provider: TestProvider

  before(async () => {
    const features = { pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true } }
    provider = await startProvider({ features, proofNonces: true })
  })
  after(() => provider.close())

  async function signIn(oidc: OidcOptions) {
    const { issuer, clientId, clientSecret } = provider
    const site = await startSite({ oidc: { issuer, clientId, clientSecret, ...oidc } })
    provider.register(site.url)
    try {
      const opened = await createAgent().open(`${site.url}/claims`)
      return { opened, page: await createAgent().visit(`${site.url}/claims`) }
    } finally {
      await site.close()
    }
  }

  for (const [what, oidc] of [
    ['a hybrid sign-in', {}],
    ['a sign-in by code with proofs and nonces', { responseType: 'code', responseMode: 'query', dpop: true }],
  ] as const satisfies readonly (readonly [string, OidcOptions])[]) {
    test(`${what}: the address has client_id and request_uri and nothing else`, async () => {
      const { page, opened } = await signIn(oidc)
      assert.equal(page.status, 200, `${page.text} ${provider.errors.join()}`)
      const hop = opened.hops.find(({ url }) => url.startsWith(`${provider.issuer}/authorize?`))
      const names = [...new URL(hop?.url ?? '').searchParams.keys()]
      assert.deepEqual(names, ['client_id', 'request_uri'])
    })
  }

  test('a push that the provider refuses leaves no cookie, and the page says nothing of the reason', async () => {
    const { page } = await signIn({ authorizationParams: { prompt: 'none login' } })
    assert.equal(page.status, 400, page.text)
    assert.doesNotMatch(page.text, /prompt|invalid_request/)
    assert.deepEqual(
      page.hops.flatMap(({ setCookies }) => setCookies),
      [],
    )
  })
})

test(
  'a request_uri that has expired is asked for anew, once',
  withFixture({}, async fixture => {
    const { provider, site, agent } = fixture
    let refusals = 1
    provider.break({
      response: (fields, request) => {
        refusals -= 1
        return refusals < 0 ? fields : deny('invalid_request_uri')(fields, request)
      },
    })
    const page = await agent.visit(`${site.url}/claims`)
    assert.equal(page.status, 200, page.text)
    assert.equal(provider.count('authorize'), 2)
    refusals = 5
    const again = createAgent()
    const refused = await again.visit(`${site.url}/claims`)
    assert.equal(refused.status, 400)
    assert.equal(site.lastCode(), 'ERR_OIDC_AUTHORIZATION_FAILED')
    assert.equal(provider.count('authorize'), 4)
    assert.equal(sessionCookieOf({ ...fixture, agent: again }), undefined)
  }),
)
