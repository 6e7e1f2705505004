import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import express, { type Express } from 'express'
import type { BrowserContext, Page } from 'playwright-core'
import { requiresSameSession, requiresScope } from '../../lib/index.js'
import { createGate } from '../sign-out/support.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { type Fixture, type FixtureOptions, withFixture } from '../support/handler-fixture.js'
import { startLoopbackServer } from '../support/loopback-server.js'

// One real browser, with the users and the sites that its tabs belong to.

const asBob = (claims: object) => ({ ...claims, sub: 'bob-0002' })

let chromium: Chromium
before(async () => {
  chromium = await startChromium()
})
after(() => chromium?.close())

interface Browser {
  readonly context: BrowserContext
  readonly tab: Page
}

function inBrowser(
  options: FixtureOptions,
  run: (fixture: Fixture, browser: Browser) => Promise<void>,
): () => Promise<void> {
  return withFixture(options, async fixture => {
    const context = await chromium.newContext()
    try {
      await run(fixture, { context, tab: await context.newPage() })
    } finally {
      await context.close()
    }
  })
}

async function signIn({ site }: Fixture, tab: Page): Promise<void> {
  await tab.goto(`${site.url}/claims`)
  await tab.waitForURL(`${site.url}/claims`)
}

/** Bob signs in at the provider, in another tab, over the user who is signed in here. */
async function signInBob({ site, provider }: Fixture, context: BrowserContext): Promise<Page> {
  provider.break({ frontIdToken: asBob, backIdToken: asBob, userInfoClaims: asBob })
  const tab = await context.newPage()
  await tab.goto(`${site.url}/login?returnTo=/claims`)
  await tab.waitForURL(url => url.pathname === '/' || url.pathname === '/claims')
  provider.heal()
  return tab
}

async function read<T>({ site }: Fixture, tab: Page, path: string): Promise<T> {
  await tab.goto(`${site.url}${path}`)
  return JSON.parse(await tab.locator('body').innerText()) as T
}

async function subjectOf(fixture: Fixture, tab: Page): Promise<string | undefined> {
  return (await read<{ user: { sub: string } | null }>(fixture, tab, '/user')).user?.sub
}

/** A script of the page posts to the site. */
function post(tab: Page, path: string, headers: Readonly<Record<string, string>> = {}): Promise<number> {
  return tab.evaluate(
    ([to, more]) => fetch(to, { method: 'POST', headers: more, redirect: 'manual' }).then(response => response.status),
    [path, headers] as const,
  )
}

/** A page of another site. */
async function onAnotherSite(html: string, run: (url: string) => Promise<void>): Promise<void> {
  const other = await startLoopbackServer((_req, res) => {
    res.setHeader('content-type', 'text/html')
    res.end(html)
  })
  try {
    await run(`http://127.0.0.1:${other.port}/`)
  } finally {
    await other.stop()
  }
}

/** Holds the responses of the provider that a tab gets. */
async function holdCallback(tab: Page): Promise<ReturnType<typeof createGate>> {
  const gate = createGate()
  await tab.route('**/callback', async route => {
    await gate.until()
    await route.continue()
  })
  return gate
}

describe('in a real browser', { timeout: 120_000 }, () => {
  test(
    'an image and a link of another site to the front-channel logout sign no user out where the provider sends no sid',
    inBrowser({ provider: { sid: null } }, async (fixture, { tab }) => {
      await signIn(fixture, tab)
      const logout = `${fixture.site.url}/logout/frontchannel?iss=${encodeURIComponent(fixture.provider.issuer)}`
      await onAnotherSite(
        `<img src="${logout}"><a href="${fixture.site.url}/logout/frontchannel">Win</a>`,
        async url => {
          await tab.goto(url, { waitUntil: 'networkidle' })
          await tab.getByText('Win').click()
          await tab.waitForURL('**/logout/frontchannel')
        },
      )
      assert.equal(await subjectOf(fixture, tab), 'alice-0001')
    }),
  )

  test(
    'a link and a form of another site that start a sign-in of the same user leave the session data as it is',
    inBrowser({}, async (fixture, { tab }) => {
      await signIn(fixture, tab)
      await post(tab, '/session?note=kept')
      const action = `${fixture.site.url}/login?returnTo=/user`
      await onAnotherSite(
        `<a href="${action}">Win</a><form method="post" action="${action}"><button>Win more</button></form>`,
        async url => {
          for (const text of ['Win', 'Win more']) {
            await tab.goto(url)
            await tab.getByText(text, { exact: true }).click()
            await tab.waitForURL(`${fixture.site.url}/user`)
            assert.deepEqual(await read(fixture, tab, '/session'), { note: 'kept' }, text)
          }
        },
      )
    }),
  )

  test(
    'Bob who signs in over Alice does not get what session.keep names, if it was hers',
    inBrowser({ oidc: { session: { keep: ['cart'] } } }, async (fixture, { context, tab }) => {
      await signIn(fixture, tab)
      await post(tab, '/session?cart=hers')
      const other = await signInBob(fixture, context)
      assert.deepEqual(await read(fixture, other, '/session'), {})
      assert.equal(await subjectOf(fixture, other), 'bob-0002')
    }),
  )

  test(
    'a cart that another tab begins while the user is at the provider is there after the sign-in',
    inBrowser({ oidc: { session: { keep: ['cart'] } } }, async (fixture, { context, tab }) => {
      const gate = await holdCallback(tab)
      const signedIn = signIn(fixture, tab)
      await gate.reached
      const shop = await context.newPage()
      await shop.goto(`${fixture.site.url}/`)
      await post(shop, '/session?cart=full')
      gate.open()
      await signedIn
      assert.deepEqual(await read(fixture, shop, '/session'), { cart: 'full' })
      assert.equal(await subjectOf(fixture, shop), 'alice-0001')
    }),
  )

  const hooks = {
    signIn({ claims, req }: { claims: Readonly<Record<string, unknown>>; req: object }) {
      Object.assign((req as { session: object }).session, { visits: 1 })
      return claims
    },
  }
  test(
    'what the signIn hook writes into req.session is in the session, and one sign-in is enough',
    inBrowser({ oidc: { hooks } }, async (fixture, { context, tab }) => {
      await signIn(fixture, tab)
      assert.deepEqual(await read(fixture, tab, '/session'), { visits: 1 })
      assert.equal(fixture.provider.count('authorize'), 1)
      const names = (await context.cookies(fixture.site.url)).map(({ name }) => name)
      assert.deepEqual(
        names.filter(name => name.startsWith('sid')),
        ['sid'],
      )
    }),
  )

  const leave = (app: Express) =>
    void app.post('/leave', (req, res, next) => {
      req.session.destroy(error => (error ? next(error) : res.json({ isAuthenticated: req.oidc.isAuthenticated })))
    })
  test(
    'req.session.destroy() signs out for the rest of the request, and the browser drops the cookie',
    inBrowser({ site: { routes: leave } }, async (fixture, { context, tab }) => {
      await signIn(fixture, tab)
      const left = await tab.evaluate(async () => {
        const response = await fetch('/leave', { method: 'POST' })
        return [await response.text(), response.headers.get('cache-control')]
      })
      assert.deepEqual(left, ['{"isAuthenticated":false}', 'no-store'])
      const names = (await context.cookies(fixture.site.url)).map(({ name }) => name)
      assert.ok(!names.includes('sid'), names.join())
      assert.equal(await subjectOf(fixture, tab), undefined)
    }),
  )

  test(
    'two sign-ins of two users that overlap: a sign-out ends both sessions',
    inBrowser({}, async (fixture, { context, tab }) => {
      const gate = await holdCallback(tab)
      const signedIn = signIn(fixture, tab)
      await gate.reached
      const other = await signInBob(fixture, context)
      gate.open()
      await signedIn.catch(() => undefined)
      await other.goto(`${fixture.site.url}/`)
      await post(other, '/logout')
      for (const sub of ['alice-0001', 'bob-0002'])
        assert.deepEqual(await fixture.site.oidc.sessions.list({ sub }), [], sub)
      assert.equal(await subjectOf(fixture, other), undefined)
    }),
  )

  const more = (app: Express) =>
    void app.get('/more', requiresScope('orders', { ask: true }), (_req, res) => void res.json('more'))
  test(
    'a user who goes back to the provider for more is named there; another one who comes back lands on the start page, and the log says so',
    inBrowser({ site: { routes: more } }, async (fixture, { tab }) => {
      const { site, provider } = fixture
      await signIn(fixture, tab)
      provider.break({ frontIdToken: asBob, backIdToken: asBob, userInfoClaims: asBob })
      await tab.goto(`${site.url}/more`)
      await tab.waitForURL(`${site.url}/`)
      const asked = provider.requests.filter(({ query }) => query.response_type !== undefined).at(-1)?.query ?? {}
      assert.ok(asked.login_hint ?? asked.id_token_hint, Object.keys(asked).join())
      assert.match(site.log.join('\n'), /replaced the session of another user/)
      assert.equal(await subjectOf(fixture, tab), 'bob-0002')
      assert.deepEqual(await site.oidc.sessions.list({ sub: 'alice-0001' }), [])
    }),
  )

  const stored: string[] = []
  const form = (app: Express) => {
    app.get('/form', (req, res) => {
      res.send(`<form method="post" action="/note"><input name="sessionHandle" value="${req.oidc.handle}">
        <button>Save</button></form>`)
    })
    const forThisSession = [express.urlencoded({ extended: false }), requiresSameSession()]
    app.post('/note', ...forThisSession, (req, res) => void res.json(stored.push(String(req.oidc.user?.sub))))
  }
  test(
    "Alice's open form and a script of her page are refused after Bob has signed in, and his own are not",
    inBrowser({ site: { routes: form } }, async (fixture, { context, tab }) => {
      await signIn(fixture, tab)
      await tab.goto(`${fixture.site.url}/form`)
      const handle = await tab.locator('input').inputValue()
      const other = await signInBob(fixture, context)
      assert.equal(await post(tab, '/note', { 'x-session-handle': handle }), 409)
      const response = tab.waitForResponse('**/note')
      await tab.getByText('Save').click()
      assert.equal((await response).status(), 409)
      assert.deepEqual(stored, [])
      await other.goto(`${fixture.site.url}/form`)
      await other.getByText('Save').click()
      await other.waitForURL('**/note')
      assert.deepEqual(stored, ['bob-0002'])
    }),
  )
})
