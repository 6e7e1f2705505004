import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { BrowserContext, Page } from 'playwright-core'
import { postLogoutToken } from '../sign-out/support.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { type LoopbackServer, readBody, startLoopbackServer } from '../support/loopback-server.js'
import { freePort } from '../support/nginx.js'
import { startProvider, type TestProvider } from '../support/provider.js'
import { type Site, startSite } from '../support/site.js'

/** Chromium, oidc-provider and one site at two hosts: nothing here is a model of the real thing. */
describe('a site with several hosts, in Chromium and with oidc-provider', { timeout: 120_000 }, () => {
  let chromium: Chromium
  let provider: TestProvider
  let relay: LoopbackServer
  const logoutTokens: string[] = []

  before(async () => {
    chromium = await startChromium()
    provider = await startProvider()
    // The back channel of the provider, whose logout tokens arrive at the site when a test sends them on.
    relay = await startLoopbackServer((req, res) => {
      readBody(req).then(body => {
        logoutTokens.push(new URLSearchParams(body).get('logout_token') ?? '')
        res.end()
      })
    })
  })
  after(async () => {
    await chromium?.close()
    await relay?.stop()
    await provider?.close()
  })

  interface Fixture {
    readonly site: Site
    readonly context: BrowserContext
    readonly a: string
    readonly b: string
  }

  async function withSite(responseMode: 'query' | 'form_post', run: (fixture: Fixture) => Promise<void>) {
    const port = await freePort()
    const [a, b] = [`http://a.localhost:${port}`, `http://b.localhost:${port}`]
    const { issuer, clientId, clientSecret } = provider
    const site = await startSite({
      port,
      oidc: { issuer, clientId, clientSecret, responseType: 'code', responseMode, baseUrl: [a, b] },
    })
    provider.register(a, {
      redirect_uris: [`${a}/callback`, `${b}/callback`],
      post_logout_redirect_uris: [`${a}/logout/callback`, `${b}/logout/callback`],
      backchannel_logout_uri: `http://127.0.0.1:${relay.port}/`,
    })
    const context = await chromium.newContext()
    try {
      await run({ site, context, a, b })
    } finally {
      await context.close()
      await site.close()
    }
  }

  const isSignedIn = async (context: BrowserContext, host: string) => {
    const tab = await context.newPage()
    await tab.goto(`${host}/user`)
    const text = (await tab.textContent('body')) ?? ''
    await tab.close()
    return text.includes('"isAuthenticated":true')
  }

  async function open(tab: Page, url: string): Promise<void> {
    await tab.goto(url)
    await tab.waitForURL(url)
  }

  for (const mode of ['query', 'form_post'] as const)
    test(`${mode}: signed in at one host, then at the other without a page of the provider; a sign-out at one ends the other by the back channel`, () =>
      withSite(mode, async ({ site, context, a, b }) => {
        const shown = () => provider.requests.filter(({ path }) => path.startsWith('/interaction/')).length
        const before = shown()
        const tab = await context.newPage()
        await open(tab, `${a}/claims`)
        const asked = shown()
        assert.equal(asked, before + 1)
        await open(tab, `${b}/claims`)
        assert.equal(shown(), asked, 'single sign-on')
        const [atA, atB] = [await context.cookies(a), await context.cookies(b)]
        const values = new Set(atA.map(({ value }) => value))
        assert.deepEqual(
          atB.filter(({ value }) => values.has(value)),
          [],
        )
        for (const cookies of [atA, atB])
          assert.equal(cookies.filter(({ name }) => name === `sid.${new URL(a).port}`).length, 1)
        assert.equal((await site.oidc.sessions.list({ sub: 'alice' })).length, 2)

        await tab.goto(`${a}/logout?returnTo=/user`)
        await tab.waitForURL(`${a}/user`)
        assert.deepEqual([await isSignedIn(context, a), await isSignedIn(context, b)], [false, true])
        const tokens = logoutTokens.splice(0)
        assert.equal(tokens.length, 1)
        // The provider knows one address, at whichever host.
        assert.equal((await postLogoutToken(a, tokens[0] ?? '')).status, 200)
        assert.deepEqual([await isSignedIn(context, a), await isSignedIn(context, b)], [false, false])
        assert.deepEqual(await site.oidc.sessions.list({ sub: 'alice' }), [])
      }))
})
