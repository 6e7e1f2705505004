import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import express from 'express'
import { requiresAuth, requiresClaim, requiresScope } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import { type Fixture, withFixture } from '../support/handler-fixture.js'

/** What clients send that are no person looking at a page. */
const programs: { name: string; headers: Record<string, string | undefined> }[] = [
  { name: "a script's fetch()", headers: { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty', accept: '*/*' } },
  { name: 'an image', headers: { 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' } },
  { name: 'a prefetch', headers: { 'sec-purpose': 'prefetch' } },
  {
    name: 'XMLHttpRequest of an old browser',
    headers: { 'sec-fetch-mode': undefined, 'x-requested-with': 'XMLHttpRequest' },
  },
  { name: 'a program that wants JSON', headers: { 'sec-fetch-mode': undefined, accept: 'application/json' } },
  { name: 'a program that takes anything', headers: { 'sec-fetch-mode': undefined, accept: '*/*' } },
]

describe('a signed-out request to a protected page', () => {
  for (const { name, headers } of programs) {
    test(
      `by ${name} gets 401 with the sign-in address, and no cookie`,
      withFixture({ site: { handlesErrors: false } }, async ({ agent, site, provider }) => {
        const page = await agent.open(`${site.url}/claims`, { headers, redirect: 'manual' })
        assert.equal(page.status, 401)
        assert.match(page.headers['www-authenticate']?.toString() ?? '', /^OpenIdConnect login_url="\/login\?returnTo=/)
        assert.deepEqual(page.hops[0]?.setCookies, [])
        assert.equal(provider.count('authorize'), 0)
      }),
    )
  }

  test(
    'by a script names the page the script runs on as the one to come back to',
    withFixture({ site: { handlesErrors: false } }, async ({ agent, site }) => {
      await agent.open(`${site.url}/user?tab=2`)
      const response = await agent.fetch(`${site.url}/claims`)
      assert.equal(response.json<{ login_url: string }>().login_url, '/login?returnTo=%2Fuser%3Ftab%3D2')
    }),
  )

  test(
    'by an old browser without Fetch Metadata goes to the provider',
    withFixture({}, async ({ agent, site, provider }) => {
      const old = { 'sec-fetch-mode': undefined, 'sec-fetch-dest': undefined, 'sec-fetch-site': undefined }
      await agent.open(`${site.url}/claims`, { headers: old })
      assert.equal(provider.count('authorize'), 1)
    }),
  )

  test(
    'by a posted form comes back to the page of the form',
    withFixture(
      { site: { routes: app => app.post('/order', requiresAuth(), (_req, res) => void res.send('ordered')) } },
      async ({ agent, site }) => {
        await agent.open(`${site.url}/user`)
        await agent.post(`${site.url}/order`, { item: '1' })
        assert.equal((await agent.submitForm()).url, `${site.url}/user`)
      },
    ),
  )

  const withoutReferrer = {
    routes: (app: express.Express) => {
      app.use(express.urlencoded({ extended: true }))
      app.post('/order', requiresAuth(), (_req, res) => void res.send('ordered'))
    },
    handlesErrors: false,
  }
  const named: readonly (readonly [named: string, page: string])[] = [
    ['/shop?item=1#here', '/shop?item=1#here'],
    ['/', '/'],
    ['https://evil.example/', '/'],
    ['//evil.example/', '/'],
    ['/\\evil.example', '/'],
    ['javascript:alert(1)', '/'],
    ['/callback', '/'],
    ['', '/'],
  ]

  test('without a Referer, by a script or a form that names its page, comes back there and to no other site', () =>
    withFixture({ site: withoutReferrer }, async ({ agent, site }) => {
      const hidden = { referer: undefined }
      for (const [page, back] of named) {
        const response = await agent.fetch(`${site.url}/claims`, { headers: { ...hidden, 'x-return-to': page } })
        const query = new URLSearchParams({ returnTo: back })
        assert.equal(response.json<{ login_url: string }>().login_url, `/login?${query}`, page)
      }
      for (const [page, back] of named) {
        const form = createAgent()
        await form.open(`${site.url}/`)
        await form.post(`${site.url}/order`, { item: '1', returnTo: page }, { headers: hidden })
        const { url } = await form.submitForm()
        assert.equal(url.replace(/#.*/, ''), site.url + back.replace(/#.*/, ''), page)
      }
    })())

  test('with a Referer, by a script that names a page which is none of this site, comes back to the page it runs on', () =>
    withFixture({ site: withoutReferrer }, async ({ agent, site }) => {
      await agent.open(`${site.url}/user?tab=2`)
      const response = await agent.fetch(`${site.url}/claims`, { headers: { 'x-return-to': 'https://evil.example/' } })
      assert.equal(response.json<{ login_url: string }>().login_url, '/login?returnTo=%2Fuser%3Ftab%3D2')
    })())

  for (const hostile of ['//evil.example/%2e%2e', '/\\evil.example', '/%09/evil.example', '/.//evil.example']) {
    test(
      `with the hostile path ${hostile} ends on this site`,
      withFixture(
        { site: { routes: app => app.use(requiresAuth(), (_req, res) => void res.send('in')) } },
        async ({ agent, site }) => {
          const page = await agent.visit(site.url + hostile)
          assert.equal(new URL(page.url).origin, site.url)
          assert.ok(
            page.hops.every(({ url }) => !url.includes('//evil.example') || url.startsWith(site.url)),
            page.hops.map(({ url }) => url).join(),
          )
        },
      ),
    )
  }

  for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE']) {
    test(
      `shows no protected byte to ${method}`,
      withFixture(
        { site: { routes: app => app.all('/secret', requiresAuth(), (_req, res) => void res.send('protected')) } },
        async ({ agent, site }) => {
          const response = await agent.fetch(`${site.url}/secret`, { method })
          assert.equal(response.status, 401)
          assert.ok(!response.text.includes('protected'), 'the page was shown')
        },
      ),
    )
  }
})

describe('a signed-in request without the right', () => {
  const guarded = { site: { routes: addGuardedRoutes } }

  test(
    'gets 403 and never another sign-in',
    withFixture(guarded, async fixture => {
      await signIn(fixture)
      for (const path of ['/owners', '/orders']) {
        const before = fixture.provider.count('authorize')
        const page = await fixture.agent.open(fixture.site.url + path)
        assert.equal(page.status, 403)
        assert.equal(fixture.provider.count('authorize'), before)
      }
    }),
  )

  test(
    'passes with it, in a list or alone',
    withFixture(guarded, async fixture => {
      await signIn(fixture)
      for (const path of ['/editors', '/verified', '/profile']) {
        assert.equal((await fixture.agent.open(fixture.site.url + path)).status, 200, path)
      }
    }),
  )

  for (const value of ['true', 1, [true].toString()]) {
    test(
      `is refused for email_verified ${JSON.stringify(value)}, which is not true`,
      withFixture({ ...guarded, provider: { user: { sub: 'x', email_verified: value } } }, async fixture => {
        await signIn(fixture)
        assert.equal((await fixture.agent.open(`${fixture.site.url}/verified`)).status, 403)
      }),
    )
  }

  test(
    'is refused for claims that are only the names of object members',
    withFixture(guarded, async fixture => {
      await signIn(fixture)
      assert.equal((await fixture.agent.open(`${fixture.site.url}/prototype`)).status, 403)
    }),
  )
})

test('a guard without the middleware fails closed', async () => {
  const app = express()
  app.get('/claims', requiresAuth(), (_req, res) => void res.send('protected'))
  app.use(
    ((error, _req, res, _next) =>
      void res.status(error.status).json({ code: error.code })) as express.ErrorRequestHandler,
  )
  const server = app.listen(0, '127.0.0.1')
  try {
    await new Promise(resolve => server.once('listening', resolve))
    const { port } = server.address() as { port: number }
    const response = await createAgent().open(`http://127.0.0.1:${port}/claims`)
    assert.deepEqual([response.status, response.json()], [500, { code: 'ERR_OIDC_NOT_MOUNTED' }])
  } finally {
    server.close()
  }
})

test('requiresScope needs a scope', () => {
  assert.throws(() => requiresScope(' '), { code: 'ERR_OIDC_OPTIONS' })
})

function addGuardedRoutes(app: express.Express): void {
  const welcome: express.RequestHandler = (_req, res) => void res.send('welcome')
  app.get('/owners', requiresClaim('role', 'owner'), welcome)
  app.get('/verified', requiresClaim('email_verified', true), welcome)
  app.get('/prototype', requiresClaim('constructor', true), welcome)
  app.get('/profile', requiresScope('openid profile'), welcome)
  app.get('/orders', requiresScope('openid orders.read'), welcome)
}

async function signIn({ agent, site }: Fixture): Promise<void> {
  assert.equal((await agent.visit(`${site.url}/claims`)).status, 200)
}
