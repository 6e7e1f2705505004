import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Express } from 'express'
import type { BrowserContext, Page } from 'playwright-core'
import { requiresAuth } from '../../lib/index.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { type LogoutFixture, openLogoutFixture, withLogoutFixture } from './support.js'

let chromium: Chromium
before(async () => {
  chromium = await startChromium({ bfcache: true })
})
after(() => chromium?.close())

/** A page of the user as most sites have it, which says nothing about caches; one that is fetched ahead; and one that leads away. */
function routes(app: Express): void {
  app.get('/mine', requiresAuth(), (req, res) => void res.send(`<p id="who">${req.oidc.user?.sub}</p>`))
  app.get('/ahead', (_req, res) => {
    res.send(`<a href="/mine">mine</a>
<script type="speculationrules">{"prefetch":[{"source":"list","urls":["/mine"],"eagerness":"immediate"}]}</script>`)
  })
  app.get('/rendered-ahead', (_req, res) => {
    res.send(`<a href="/mine">mine</a>
<script type="speculationrules">{"prerender":[{"source":"list","urls":["/mine"],"eagerness":"immediate"}]}</script>`)
  })
  app.get('/leave', (_req, res) => {
    res.send('<form method="post" action="/logout"><button>Sign out</button></form>')
  })
}

interface Fixture extends LogoutFixture {
  readonly context: BrowserContext
  readonly tab: Page
  readonly asked: string[]
  /** `Sec-Purpose` of the requests that have one. */
  readonly purposes: string[]
}

async function withFixture(clearSiteData: boolean, run: (fixture: Fixture) => Promise<void>): Promise<void> {
  const asked: string[] = []
  const purposes: string[] = []
  const fixture = await openLogoutFixture({
    oidc: { userInfo: false, clearSiteData },
    site: {
      routes,
      before: app => {
        app.use((req, _res, next) => {
          asked.push(req.path)
          purposes.push(...[req.headers['sec-purpose'] ?? []].flat())
          next()
        })
      },
    },
  })
  const context = await chromium.newProfile()
  try {
    await run({ ...fixture, context, tab: await context.newPage(), asked, purposes })
  } finally {
    await context.close()
    await fixture.close()
  }
}

async function signIn({ site, tab }: Fixture): Promise<void> {
  await tab.goto(`${site.url}/mine`)
  await tab.waitForURL(`${site.url}/mine`)
  assert.equal(await tab.innerText('#who'), 'alice-0001')
}

async function signOut({ site, tab }: Fixture): Promise<void> {
  await tab.goto(`${site.url}/leave`)
  await tab.click('button')
  await tab.waitForURL(`${site.url}/`)
}

/** Whether Back shows the page as it was, without a request. The provider signs the user in again at once where there is one. */
async function isShownAgain({ tab, asked }: Fixture, steps: number): Promise<boolean> {
  const before = asked.length
  await tab.evaluate(`history.go(-${steps})`).catch(() => {})
  // A page from the back/forward cache loads nothing.
  await tab.waitForURL(url => url.pathname === '/mine', { waitUntil: 'commit' })
  await tab.locator('#who').waitFor()
  return asked.length === before
}

for (const clears of [true, false]) {
  const shows = clears ? 'no' : 'every'
  describe(`in a real browser, with clearSiteData: ${clears}`, { timeout: 120_000 }, () => {
    test(`after a sign-out, Back shows ${shows} page of the user from the back/forward cache`, () =>
      withFixture(clears, async fixture => {
        await signIn(fixture)
        await signOut(fixture)
        assert.equal(await isShownAgain(fixture, 2), !clears)
      }))

    test(`after another user has signed in, Back shows ${shows} page of the earlier one from the back/forward cache`, () =>
      withFixture(clears, async fixture => {
        const { context, site, provider, tab } = fixture
        await signIn(fixture)
        await tab.goto(`${site.url}/`)
        const as = (sub: string) => (claims: object) => ({ ...claims, sub })
        provider.break({ frontIdToken: as('bob'), backIdToken: as('bob') })
        const other = await context.newPage()
        await other.goto(`${site.url}/login?returnTo=/`)
        await other.waitForURL(`${site.url}/`)
        assert.equal(await isShownAgain(fixture, 1), !clears)
        assert.equal(await tab.innerText('#who'), clears ? 'bob' : 'alice-0001')
      }))
  })
}

test(
  'in a real browser, after the session of a user has expired and another has signed in, Back shows no page of the earlier one',
  { timeout: 120_000 },
  () =>
    withFixture(true, async fixture => {
      const { context, site, provider, tab } = fixture
      await signIn(fixture)
      await tab.goto(`${site.url}/`)
      await site.oidc.sessions.revoke({ sub: 'alice-0001' })
      const as = (sub: string) => (claims: object) => ({ ...claims, sub })
      provider.break({ frontIdToken: as('bob'), backIdToken: as('bob') })
      const other = await context.newPage()
      await other.goto(`${site.url}/login?returnTo=/`)
      await other.waitForURL(`${site.url}/`)
      assert.equal(await isShownAgain(fixture, 1), false)
      assert.equal(await tab.innerText('#who'), 'bob')
    }),
)

test(
  'in a real browser, a page that is rendered ahead starts no sign-in; the click on it does',
  { timeout: 120_000 },
  () =>
    withFixture(true, async ({ site, tab, context, provider, asked, purposes }) => {
      await tab.goto(`${site.url}/rendered-ahead`)
      for (let tries = 0; !asked.includes('/mine') && tries < 200; tries += 1) await wait(50)
      await wait(200)
      assert.equal(provider.count('authorize'), 0, 'nothing was sent to the provider')
      assert.deepEqual(await context.cookies(), [])
      assert.match(purposes[0] ?? '', /prerender/)
      assert.ok(!asked.includes('/callback'), asked.join())
      await tab.click('a')
      await tab.locator('#who').waitFor()
      assert.equal(await tab.innerText('#who'), 'alice-0001')
    }),
)

for (const [what, page] of [
  ['fetched', 'ahead'],
  ['rendered', 'rendered-ahead'],
] as const)
  test(
    `in a real browser, no page that was ${what} ahead for one user is shown after another has signed in`,
    { timeout: 120_000 },
    () => withFixture(true, fixture => clickAfterAnotherSignIn(fixture, page)),
  )

async function clickAfterAnotherSignIn(fixture: Fixture, page: string): Promise<void> {
  const { context, site, provider, tab, asked } = fixture
  await signIn(fixture)
  const fetched = asked.length
  await tab.goto(`${site.url}/${page}`)
  for (let tries = 0; !asked.slice(fetched).includes('/mine') && tries < 200; tries += 1) await wait(50)
  await wait(200)
  const as = (sub: string) => (claims: object) => ({ ...claims, sub })
  provider.break({ frontIdToken: as('bob'), backIdToken: as('bob') })
  const other = await context.newPage()
  await other.goto(`${site.url}/login?returnTo=/`)
  await other.waitForURL(`${site.url}/`)
  await tab.click('a')
  await tab.locator('#who').waitFor()
  assert.equal(await tab.innerText('#who'), 'bob')
}

describe('the header Clear-Site-Data', () => {
  const wanted = '"cache", "prefetchCache", "prerenderCache"'

  test(
    'is sent with every sign-out that the user asks for, and with nothing else',
    withLogoutFixture({}, async fixture => {
      const { agent, site } = fixture
      const hops = (await agent.visit(`${site.url}/claims`)).hops
      for (const { url, headers } of hops) assert.equal(headers['clear-site-data'], undefined, url)
      for (const path of ['/logout', '/logout?local=1']) {
        const page = await agent.post(site.url + path, {}, { redirect: 'manual', from: `${site.url}/` })
        assert.equal(page.headers['clear-site-data'], wanted, path)
      }
    }),
  )

  test(
    'is not sent where the site does not want it',
    withLogoutFixture({ oidc: { clearSiteData: false } }, async ({ agent, site }) => {
      await agent.visit(`${site.url}/claims`)
      const page = await agent.post(`${site.url}/logout`, {}, { redirect: 'manual', from: `${site.url}/` })
      assert.deepEqual([page.status, page.headers['clear-site-data']], [200, undefined])
    }),
  )

  test(
    'is sent where the session of the earlier user has expired before another user signs in, and not for the same user',
    withLogoutFixture({}, async ({ agent, site, provider }) => {
      const signIn = async () => {
        const { hops } = await agent.visit(`${site.url}/login?returnTo=/user`)
        return hops.find(({ url }) => url.endsWith('/callback'))?.headers['clear-site-data']
      }
      const expire = () => agent.jar.remove('sid')
      assert.equal(await signIn(), undefined, 'the first user of this browser')
      await site.oidc.sessions.revoke({ sub: 'alice-0001' })
      assert.equal(await signIn(), undefined, 'the same user')
      await site.oidc.sessions.revoke({ sub: 'alice-0001' })
      expire()
      const as = (claims: object) => ({ ...claims, sub: 'bob' })
      provider.break({ frontIdToken: as, backIdToken: as, userInfoClaims: as })
      assert.equal(await signIn(), wanted, 'another user')
      assert.equal(await signIn(), undefined, 'that user again')
    }),
  )

  test(
    'is not sent where the same user signs in again, and is added to what the site sends',
    withLogoutFixture(
      {
        site: { before: app => void app.use((_req, res, next) => next(void res.set('Clear-Site-Data', '"storage"'))) },
      },
      async ({ agent, site }) => {
        await agent.visit(`${site.url}/claims`)
        const { hops } = await agent.visit(`${site.url}/login?returnTo=/user`)
        const response = hops.find(({ url }) => url.endsWith('/callback'))
        assert.equal(response?.headers['clear-site-data'], '"storage"')
        const page = await agent.post(`${site.url}/logout`, {}, { redirect: 'manual', from: `${site.url}/` })
        assert.equal(page.headers['clear-site-data'], `"storage", ${wanted}`)
      },
    ),
  )
})
