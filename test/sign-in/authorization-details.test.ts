import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Express } from 'express'
import { type AuthorizationDetail, type OidcOptions, requiresAuth } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import { withFixture } from '../support/handler-fixture.js'
import { deny } from '../support/hostile-provider.js'
import { startProvider, type TestProvider } from '../support/provider.js'
import { createSigningKey, exportPrivateJwk, type SigningKey } from '../support/signing-keys.js'
import { startSite } from '../support/site.js'

const payment = { type: 'payment', actions: ['initiate'], amount: { currency: 'EUR', value: '12.50' } }
const account = { type: 'account', accounts: ['DE1'] }

/** `oidc-provider` wants to know which API the details are for. */
const API = 'https://api.example.com/'

/** Pages that show what the token is good for, and one that asks for more. */
function routes(app: Express): void {
  app.get('/details', requiresAuth(), async (req, res) => {
    const { authorizationDetails = null } = await req.oidc.accessToken({ minValidity: 0 })
    res.json(authorizationDetails)
  })
  app.get('/refreshed', requiresAuth(), async (req, res) => {
    const { authorizationDetails = null } = await req.oidc.accessToken({ forceRefresh: true })
    res.json(authorizationDetails)
  })
  app.get('/some', requiresAuth(), async (req, res) => {
    const { authorizationDetails = null } = await req.oidc.accessToken({
      resource: API,
      authorizationDetails: [account],
    })
    res.json(authorizationDetails)
  })
  app.get('/pay', requiresAuth(), async req => {
    await req.oidc.login({ returnTo: '/details', resource: API, authorizationDetails: [payment] })
  })
}

describe('authorization details at oidc-provider', () => {
  let provider: TestProvider
  let key: SigningKey

  before(async () => {
    key = await createSigningKey('PS256')
    type Source = { readonly rar?: readonly AuthorizationDetail[] }
    type Context = { oidc: { params: { authorization_details?: string } } }
    const asked = ({ oidc }: Context) => {
      const { authorization_details: text } = oidc.params
      return text === undefined ? undefined : (JSON.parse(text) as readonly AuthorizationDetail[])
    }
    const features = {
      pushedAuthorizationRequests: { enabled: true },
      requestObjects: { enabled: true },
      richAuthorizationRequests: {
        enabled: true,
        types: { payment: { validate() {} }, account: { validate() {} } },
        authorizationDetailsForGrantSource: (ctx: Context) => asked(ctx),
        authorizationDetailsForAccessToken: (ctx: Context, _token: object, source?: Source) =>
          asked(ctx) ?? source?.rar,
        authorizationDetailsForIntrospection: (_ctx: Context, token: Source) => token.rar,
      },
    }
    provider = await startProvider({
      client: { authorization_details_types: ['payment', 'account'] },
      features,
      moreKeys: ['PS256'],
      enabledJWA: { requestObjectSigningAlgValues: ['PS256'] },
    })
  })
  after(() => provider.close())

  async function signIn(oidc: OidcOptions, path: string, ...more: readonly string[]) {
    const { issuer, clientId, clientSecret } = provider
    const site = await startSite({
      oidc: { issuer, clientId, clientSecret, responseType: 'code', responseMode: 'query', userInfo: false, ...oidc },
      routes,
    })
    provider.register(site.url, oidc.requestObject ? { jwks: { keys: [key.publicJwk] } } : {})
    try {
      const agent = createAgent()
      const page = await agent.visit(site.url + path)
      const pages = [page]
      for (const next of more) pages.push(await agent.visit(site.url + next))
      const why = `${page.text} ${provider.errors.join()} ${site.log.join()}`
      return { page, why, site, shown: pages.map(({ text }) => JSON.parse(text) as unknown), log: site.log }
    } finally {
      await site.close()
    }
  }

  const both = [payment, account]
  const ways = {
    'in the address': {},
    'in a pushed request': { pushedAuthorization: true },
    'in a request object': { requestObject: { algorithm: 'PS256' } },
    'in a request object that is pushed': { requestObject: { algorithm: 'PS256' }, pushedAuthorization: true },
  } as const
  for (const [way, oidc] of Object.entries(ways)) {
    test(`${way}: they come back with the tokens, stay with a refresh, and a token can have some of them`, async () => {
      const signed = 'requestObject' in oidc && { requestObject: { ...oidc.requestObject, key: exportPrivateJwk(key) } }
      const options = { ...oidc, ...signed, authorizationParams: { resource: API, authorization_details: both } }
      const { page, why, shown, log } = await signIn(options, '/details', '/refreshed', '/some', '/details')
      assert.equal(page.status, 200, why)
      assert.deepEqual(shown, [both, both, [account], both])
      assert.equal(log.length, 1, log.join())
    })
  }

  test('a signed-in user is sent for a payment, and comes back with it', async () => {
    const { page, why, shown } = await signIn({}, '/details', '/pay')
    assert.equal(page.status, 200, why)
    assert.deepEqual(shown, [null, [payment]])
  })

  test('a type that the provider does not know: the log says so at the start, and the error is clear', async () => {
    const { issuer, clientId, clientSecret } = provider
    const unknown = { authorizationParams: { authorization_details: [{ type: 'admin' }] } }
    const site = await startSite({ oidc: { issuer, clientId, clientSecret, ...unknown } })
    provider.register(site.url)
    try {
      const page = await createAgent().visit(`${site.url}/claims`)
      assert.equal(page.status, 400)
      assert.equal(site.lastCode(), 'ERR_OIDC_AUTHORIZATION_FAILED')
      assert.match(String(site.errors[0]), /refused authorization_details/)
      assert.match(site.log.join('\n'), /type of authorization_details "admin".*"payment", "account"/)
    } finally {
      await site.close()
    }
  })
})

test(
  'a type that one page asks for and the provider does not list is told in the log',
  withFixture(
    {
      provider: { metadata: { authorization_details_types_supported: ['payment'] } },
      oidc: { responseType: 'code' },
      site: {
        routes: app => void app.get('/pay', req => void req.oidc.login({ authorizationDetails: [{ type: 'admin' }] })),
      },
    },
    async ({ site, agent, provider }) => {
      provider.break({ response: deny('invalid_authorization_details') })
      await agent.visit(`${site.url}/pay`)
      assert.match(site.log.join('\n'), /type of authorization_details "admin".*"payment"/)
      assert.match(String(site.errors[0]), /refused authorization_details/)
    },
  ),
)

describe('60 KB of details', () => {
  const large = Array.from({ length: 600 }, (_, index) => ({ type: 'payment', creditor: `${index} ${'x'.repeat(70)}` }))

  test(
    'are pushed, whole, and compared with the response',
    withFixture({}, async ({ provider }) => {
      const pushed: URLSearchParams[] = []
      const fetchOrKeep: typeof fetch = async (input, init) => {
        if (!String(input).endsWith('/par')) return fetch(input, init)
        pushed.push(new URLSearchParams(String(init?.body)))
        return Response.json({ request_uri: 'urn:example:1', expires_in: 60 }, { status: 201 })
      }
      const { issuer, clientId, clientSecret } = provider
      const site = await startSite({
        oidc: {
          issuer,
          clientId,
          clientSecret,
          responseType: 'code',
          fetch: fetchOrKeep,
          pushedAuthorization: true,
          endpoints: { pushed_authorization_request_endpoint: `${issuer}/par` },
        },
        routes(app) {
          routes(app)
          app.get('/many', (req, _res, next) => {
            req.oidc.login({ returnTo: '/details', authorizationDetails: large }).catch(next)
          })
        },
      })
      try {
        const agent = createAgent()
        const leaving = await agent.open(`${site.url}/many`, { redirect: 'manual' })
        assert.ok((leaving.headers.location ?? '').length < 300, 'the address is long')
        const [sent = new URLSearchParams()] = pushed
        assert.deepEqual(JSON.parse(sent.get('authorization_details') ?? ''), large)
        assert.ok((sent.get('state') ?? '').length <= 1000)
        provider.break({ tokenResponse: body => ({ ...body, authorization_details: large }) })
        const page = await agent.post(`${issuer}/authorize`, sent)
        const back = page.status === 200 ? await agent.submitForm() : page
        assert.deepEqual(JSON.parse(back.text), large, site.log.join())
        provider.break({ tokenResponse: body => ({ ...body, authorization_details: [{ type: 'admin' }] }) })
        await agent.open(`${site.url}/many`, { redirect: 'manual' })
        await agent.post(`${issuer}/authorize`, pushed[1] ?? '')
        await agent.submitForm()
        assert.equal(site.lastCode(), 'ERR_OIDC_TOKEN_RESPONSE')
      } finally {
        await site.close()
      }
    }),
  )
})
