import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import type { Page as Tab } from 'playwright-core'
import { type Chromium, startChromium } from '../support/chromium.js'
import { parseForms } from '../support/html-form.js'
import { type Nginx, startNginx } from '../support/nginx.js'
import { startProvider, type TestProvider } from '../support/provider.js'
import { type Site, startSite } from '../support/site.js'
import { isSignedIn, type LogoutFixture, signIn, withLogoutFixture } from './support.js'

/** Groups that make an ID Token of about so many characters. */
function groupsFor(length: number): string[] {
  return Array.from({ length: Math.ceil((length * 3) / 4 / 23) }, (_, at) => `group-${String(at).padStart(14, '0')}`)
}

function lastSignOut({ provider }: LogoutFixture) {
  return provider.requestsTo('endSession').at(-1)
}

describe('a sign-out whose address would be too long', () => {
  for (const length of [2_000, 4_000, 8_000, 30_000]) {
    test(
      `posts an ID Token of ${length} characters to the provider, and comes back`,
      withLogoutFixture({ provider: { idTokenClaims: { groups: groupsFor(length) } } }, async fixture => {
        await signIn(fixture, fixture.agent)
        const page = await fixture.agent.post(`${fixture.site.url}/logout?returnTo=/user`, {}, { redirect: 'manual' })
        assert.equal(page.status, 200)
        assert.equal(await isSignedIn(fixture, fixture.agent), false, 'signed out here before the form leaves')
        assert.equal(page.headers['cache-control'], 'no-store')
        assert.equal(page.headers['referrer-policy'], 'strict-origin')
        const policy = String(page.headers['content-security-policy'])
        assert.match(policy, /^default-src 'none'; script-src 'sha256-[\w+/=]+'; style-src 'sha256-/)
        assert.match(policy, /frame-ancestors 'none'$/)
        assert.ok(policy.includes(`form-action 'self' ${fixture.provider.issuer} https:`), policy)
        const [form] = parseForms(page.text, page.url)
        assert.equal(form?.isAutomatic, true)
        assert.deepEqual(
          form?.fields.map(([name]) => name),
          ['id_token_hint', 'client_id', 'post_logout_redirect_uri', 'state'],
        )
        const done = await fixture.agent.submitForm()
        assert.equal(done.url, `${fixture.site.url}/user`)
        assert.equal(lastSignOut(fixture)?.method, 'POST')
        assert.equal(lastSignOut(fixture)?.search, '', 'nothing is in the address')
      }),
    )
  }

  test(
    'leaves by the address, as before, where that is short',
    withLogoutFixture({}, async fixture => {
      await signIn(fixture, fixture.agent)
      const page = await fixture.agent.post(`${fixture.site.url}/logout`, {}, { redirect: 'manual' })
      const target = page.leadsTo ?? ''
      assert.ok(target.startsWith(fixture.provider.issuer))
      assert.ok(target.length <= 2_000)
    }),
  )

  test('counts the headers that the site has set', async () => {
    const before = (app: { use(handler: (req: unknown, res: never, next: () => void) => void): unknown }) => {
      app.use((_req, res: { setHeader(name: string, value: string): void }, next) => {
        res.setHeader('Permissions-Policy', `geolocation=(), ${'x'.repeat(2_600)}`)
        next()
      })
    }
    await withLogoutFixture({ site: { before: before as never } }, async fixture => {
      await signIn(fixture, fixture.agent)
      const page = await fixture.agent.post(`${fixture.site.url}/logout`, {}, { redirect: 'manual' })
      assert.equal(page.status, 200)
      assert.equal(parseForms(page.text, page.url).length, 1)
    })()
  })

  test(
    'keeps the query of the endpoint in the address of the form, and nothing that the request replaces',
    withLogoutFixture({ provider: { idTokenClaims: { groups: groupsFor(8_000) } } }, async fixture => {
      const { site, provider, agent } = fixture
      provider.break({
        metadata: document => ({
          ...document,
          end_session_endpoint: `${provider.issuer}/end_session?p=policy&client_id=old&a=1&a=2`,
        }),
      })
      await signIn(fixture, agent)
      const page = await agent.post(`${site.url}/logout`, {}, { redirect: 'manual' })
      const [form] = parseForms(page.text, page.url)
      assert.equal(form?.action, `${provider.issuer}/end_session?p=policy&a=1&a=2`)
      assert.equal(form?.fields.find(([name]) => name === 'client_id')?.[1], provider.clientId)
    }),
  )
})

describe('a large sign-out in a real browser, behind a real nginx with its defaults', { timeout: 240_000 }, () => {
  let chromium: Chromium
  const open: { close(): Promise<void> }[] = []

  before(async () => {
    chromium = await startChromium()
  })
  after(async () => {
    await chromium?.close()
    for (const part of open.reverse()) await part.close()
  })

  async function openPlace(length: number): Promise<{ provider: TestProvider; site: Site; url: string }> {
    const provider = await startProvider({ host: 'localhost', takesPost: true, groups: groupsFor(length) })
    // The address of the site is that of nginx, which has to be known before the site starts.
    const reserved = createServer().listen(0, '127.0.0.1')
    await new Promise(resolve => reserved.once('listening', resolve))
    const { port } = reserved.address() as AddressInfo
    await new Promise(resolve => reserved.close(resolve))
    const url = `http://localhost:${port}`
    const { issuer, clientId, clientSecret } = provider
    const site = await startSite({ oidc: { issuer, clientId, clientSecret, baseUrl: url } })
    const nginx: Nginx = await startNginx({ port, upstream: Number(new URL(site.url).port) })
    provider.register(url)
    open.push(provider, site, nginx)
    return { provider, site, url }
  }

  const user = async (tab: Tab, url: string) => {
    await tab.goto(`${url}/user`)
    return JSON.parse((await tab.textContent('body')) ?? '{}') as { isAuthenticated: boolean }
  }

  async function signedIn(length: number) {
    const place = await openPlace(length)
    const context = await chromium.newContext()
    const tab = await context.newPage()
    await tab.goto(`${place.url}/claims`)
    await tab.waitForURL(`${place.url}/claims`)
    assert.equal((await user(tab, place.url)).isAuthenticated, true)
    await tab.setContent(
      `<form method="post" action="${place.url}/logout?returnTo=/user"><button>Sign out</button></form>`,
    )
    return { ...place, context, tab }
  }

  for (const length of [3_000, 8_000, 20_000, 30_000]) {
    test(`an ID Token of ${length} characters: the form leaves by itself, and the session at the provider ends`, async () => {
      const { provider, url, tab } = await signedIn(length)
      await tab.click('button')
      await tab.waitForURL(`${url}/user`)
      assert.equal((await user(tab, url)).isAuthenticated, false)
      assert.equal(provider.requests.find(({ path }) => path === '/end_session')?.method, 'POST')
      const before = provider.requests.length
      provider.user = 'bob'
      await tab.goto(`${url}/claims`)
      await tab.waitForURL(`${url}/claims`)
      assert.match((await tab.textContent('body')) ?? '', /bob@example\.com/, 'alice is not signed in there any more')
      assert.ok(provider.requests.slice(before).some(({ path }) => path.startsWith('/interaction/')))
      assert.deepEqual(provider.errors, [])
    })
  }

  test('a browser that runs no script gets a button that leads to the provider', async () => {
    const { provider, context, tab } = await signedIn(20_000)
    const protocol = await context.newCDPSession(tab)
    await protocol.send('Emulation.setScriptExecutionDisabled', { value: true })
    await tab.click('button')
    await tab.waitForURL(address => address.pathname === '/logout')
    assert.equal(provider.count('endSession'), 0)
    await tab.click('button')
    await tab.waitForURL(address => address.port === String(provider.port))
    assert.equal(provider.requests.find(({ path }) => path === '/end_session')?.method, 'POST')
    assert.deepEqual(provider.errors, [])
  })

  test('the provider may send the posted sign-out on to another identity provider', async () => {
    const elsewhere = createServer((_req, res) => void res.end('<p>Signed out at the other provider.</p>'))
    const gate = createServer((_req, res) => {
      const { port } = elsewhere.address() as AddressInfo
      res.writeHead(302, { location: `http://127.0.0.1:${port}/` }).end()
    })
    for (const server of [elsewhere, gate]) await new Promise<void>(done => server.listen(0, '127.0.0.1', () => done()))
    const endpoint = `http://127.0.0.1:${(gate.address() as AddressInfo).port}/end_session`
    await withLogoutFixture(
      { provider: { idTokenClaims: { groups: groupsFor(8_000) }, metadata: { end_session_endpoint: endpoint } } },
      async ({ site }) => {
        const tab = await chromium.newPage()
        await tab.goto(`${site.url}/claims`)
        await tab.waitForURL(`${site.url}/claims`)
        await tab.goto(`${site.url}/`)
        await tab.setContent(`<form method="post" action="${site.url}/logout"><button>Sign out</button></form>`)
        await tab.click('button')
        await tab.getByText('Signed out at the other provider.').waitFor({ timeout: 10_000 })
      },
    )()
    for (const server of [elsewhere, gate]) await new Promise(done => server.close(done).closeAllConnections())
  })
})
