import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Express } from 'express'
import type { Frame, Page } from 'playwright-core'
import { requiresAuth } from '../../lib/index.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { type Fixture, type FixtureOptions, withFixture } from '../support/handler-fixture.js'
import { startLoopbackServer } from '../support/loopback-server.js'

const POPUP = '/signed-in'

/** What a page of a site does: it opens the window, and remembers what it is told, and by whom. */
const page = `<!doctype html><title>Site</title>
<button onclick="window.w = open('/login?returnTo=${POPUP}', 'sign-in', 'popup,width=500,height=600')">Sign in</button>
<button onclick="pay()">Pay</button>
<button onclick="window.w = open('/confirm', 'confirm', 'popup,width=500,height=600')">Sign in again</button>
<button onclick="window.w = open('/step-up', 'step-up', 'popup,width=500,height=600')">Confirm</button>
<script>
const responses = []
const pay = () => fetch('/payments').then(({ status, headers }) => responses.push([status, headers.get('www-authenticate')]))
const heard = []
addEventListener('message', ({ origin, data }) => heard.push({ by: origin === location.origin ? 'own' : origin, ...data }))
new BroadcastChannel('oidc-sign-in').onmessage = ({ data }) => heard.push({ by: 'channel', ...data })
</script>`

const routes = (policy?: string) => (app: Express) => {
  app.get('/page', (_req, res) => {
    if (policy !== undefined) res.set('Cross-Origin-Opener-Policy', policy)
    res.send(page)
  })
  app.get('/payments', requiresAuth({ acr: 'mfa' }), (_req, res) => res.json({ paid: true }))
  app.get('/confirm', requiresAuth({ acr: 'mfa' }), (_req, res) => res.redirect(303, POPUP))
  // What is opened asks for a new sign-in, and ends as every popup does.
  app.get('/step-up', requiresAuth({ maxAge: 0 }), (_req, res) => res.redirect(303, POPUP))
  app.get(
    '/from-code',
    (req, res) => void req.oidc.login({ popup: true }).catch(error => res.status(500).send(error.code)),
  )
  app.get(
    '/both',
    (req, res) =>
      void req.oidc.login({ popup: true, returnTo: '/user' }).catch(error => res.status(500).send(error.code)),
  )
}

const withPopup = (options: FixtureOptions, run: (fixture: Fixture) => Promise<void>, policy?: string) =>
  withFixture(
    {
      ...options,
      oidc: { routes: { popup: POPUP }, ...options.oidc },
      site: { routes: routes(policy), ...options.site },
    },
    run,
  )

type Heard = { readonly by: string; readonly type: string; readonly isAuthenticated: boolean; readonly handle?: string }

/** Waits until the page was told something. */
async function heardBy(frame: Page | Frame): Promise<readonly Heard[]> {
  await frame.waitForFunction('heard.length > 0')
  return (await frame.evaluate('heard')) as Heard[]
}

describe('a sign-in in a popup', { timeout: 120_000 }, () => {
  let chromium: Chromium
  before(async () => {
    chromium = await startChromium()
  })
  after(() => chromium?.close())

  async function inTab(run: (tab: Page) => Promise<void>): Promise<void> {
    const context = await chromium.newContext()
    try {
      await run(await context.newPage())
    } finally {
      await context.close()
    }
  }

  const isSignedIn = (frame: Page | Frame) =>
    frame.evaluate("fetch('/user').then(response => response.json()).then(user => user.isAuthenticated)")

  test(
    'tells the page that opened it, once, and closes; the page goes on without being loaded again',
    withPopup({}, ({ site }) =>
      inTab(async tab => {
        await tab.goto(`${site.url}/page`)
        const [popup] = await Promise.all([tab.waitForEvent('popup'), tab.click('text=Sign in')])
        const heard = await heardBy(tab)
        assert.ok(popup.isClosed() || (await popup.waitForEvent('close')))
        const own = heard.filter(({ by }) => by === 'own')
        assert.deepEqual(
          own.map(({ type, isAuthenticated }) => [type, isAuthenticated]),
          [['oidc-sign-in', true]],
        )
        assert.equal(await isSignedIn(tab), true)
        const [session] = await site.oidc.sessions.list({ sub: 'alice-0001' })
        assert.equal(own[0]?.handle, session?.handle)
      }),
    ),
  )

  test(
    'a guarded page for a new sign-in ends in the same way',
    withPopup(
      { provider: { idTokenClaims: { auth_time: Math.floor(Date.now() / 1000) + 20 } } },
      ({ site, provider }) =>
        inTab(async tab => {
          await tab.goto(`${site.url}/page`)
          const [popup] = await Promise.all([tab.waitForEvent('popup'), tab.click('text=Confirm')])
          await heardBy(tab)
          assert.ok(popup.isClosed() || (await popup.waitForEvent('close')))
          assert.equal(provider.requestsTo('authorize')[0]?.query.prompt, 'login')
          assert.equal(await isSignedIn(tab), true)
        }),
    ),
  )

  test(
    'a script that gets 401 for a weak sign-in, a window for a stronger one, and the same request again: the user has left no page',
    withPopup({}, ({ site, provider }) =>
      inTab(async tab => {
        await tab.goto(`${site.url}/login?returnTo=/page`)
        await tab.waitForURL(`${site.url}/page`)
        const asked = () => tab.evaluate('responses') as Promise<[number, string | null][]>
        await tab.click('text=Pay')
        await tab.waitForFunction('responses.length === 1')
        const [[status, challenge] = []] = await asked()
        assert.equal(status, 401)
        assert.match(challenge ?? '', /insufficient_user_authentication/)
        const stronger = (claims: object) => ({ ...claims, acr: 'mfa' })
        provider.break({ frontIdToken: stronger, backIdToken: stronger })
        const [popup] = await Promise.all([tab.waitForEvent('popup'), tab.click('text=Sign in again')])
        const heard = await heardBy(tab)
        assert.ok(popup.isClosed() || (await popup.waitForEvent('close')))
        assert.equal(heard[0]?.isAuthenticated, true)
        assert.equal(provider.requestsTo('authorize').at(-1)?.query.acr_values, 'mfa')
        await tab.click('text=Pay')
        await tab.waitForFunction('responses.length === 2')
        assert.equal((await asked())[1]?.[0], 200)
        assert.equal(tab.url(), `${site.url}/page`)
      }),
    ),
  )

  test(
    'a page that shares its windows with no other origin hears of it by the channel',
    withPopup(
      {},
      ({ site }) =>
        inTab(async tab => {
          await tab.goto(`${site.url}/page`)
          await tab.click('text=Sign in')
          assert.deepEqual(
            (await heardBy(tab)).map(({ by, isAuthenticated }) => [by, isAuthenticated]),
            [['channel', true]],
          )
        }),
      'same-origin',
    ),
  )

  test(
    'pages that all allow popups, as helmet may be set, keep the opener',
    withPopup(
      {
        site: {
          before: app =>
            void app.use((_req, res, next) => {
              res.set('Cross-Origin-Opener-Policy', 'same-origin-allow-popups')
              next()
            }),
          routes: routes(),
        },
      },
      ({ site }) =>
        inTab(async tab => {
          await tab.goto(`${site.url}/page`)
          await tab.click('text=Sign in')
          await tab.waitForFunction("heard.some(({ by }) => by === 'own')")
        }),
    ),
  )

  test(
    'a page of another origin that opens the window is told nothing',
    withPopup({}, async ({ site }) => {
      const foreign = await startLoopbackServer((_req, res) => {
        res.setHeader('Content-Type', 'text/html')
        res.end(page.replaceAll("open('/", `open('${site.url}/`))
      })
      try {
        await inTab(async tab => {
          await tab.goto(`http://127.0.0.1:${foreign.port}/`)
          const [popup] = await Promise.all([tab.waitForEvent('popup'), tab.click('text=Sign in')])
          assert.ok(popup.isClosed() || (await popup.waitForEvent('close')))
          assert.deepEqual(await tab.evaluate('heard'), [])
        })
      } finally {
        await foreign.stop()
      }
    }),
  )

  for (const [where, host, isSeen] of [
    ['of the same site', 'localhost', true],
    ['of another site, whose frames get no Lax cookie', '127.0.0.1', false],
  ] as const)
    test(
      `in a frame ${where}: the frame is told, and ${isSeen ? 'is signed in' : 'does not see the session'}`,
      withPopup({}, async ({ site }) => {
        const portal = await startLoopbackServer((_req, res) => {
          res.setHeader('Content-Type', 'text/html')
          res.end(`<!doctype html><title>Portal</title><iframe name="site" src="${site.url}/page"></iframe>`)
        })
        try {
          await inTab(async tab => {
            await tab.goto(`http://${host}:${portal.port}/`)
            const frame = tab.frame('site')
            assert.ok(frame)
            const [popup] = await Promise.all([tab.waitForEvent('popup'), frame.click('text=Sign in')])
            await frame.waitForFunction("heard.some(({ by }) => by === 'own')")
            assert.ok(popup.isClosed() || (await popup.waitForEvent('close')))
            assert.equal(await isSignedIn(frame), isSeen)
          })
        } finally {
          await portal.stop()
        }
      }),
    )
})

describe('the end of a popup', () => {
  test(
    'is a place to come back to, also for the code of a site, and is framed by no page',
    withPopup({}, async ({ agent, site }) => {
      const landed = await agent.visit(`${site.url}/from-code`)
      assert.equal(landed.url, site.url + POPUP)
      assert.match(landed.text, /isAuthenticated&#34;:true/)
      assert.match(
        String(landed.headers['content-security-policy']),
        /default-src 'none'; script-src 'sha256-.*frame-ancestors 'none'/,
      )
      assert.equal(landed.headers['cache-control'], 'no-store')
    }),
  )

  test(
    'is the only one whose steps leave Cross-Origin-Opener-Policy out: another sign-in keeps what the site has set',
    withPopup(
      {
        site: {
          before: app =>
            void app.use((_req, res, next) => {
              res.set('Cross-Origin-Opener-Policy', 'same-origin')
              next()
            }),
          routes: routes(),
        },
      },
      async ({ agent, site }) => {
        for (const [returnTo, policy] of [
          ['/user', 'same-origin'],
          [POPUP, undefined],
        ] as const) {
          const start = await agent.open(`${site.url}/login?returnTo=${returnTo}`, { redirect: 'manual' })
          assert.equal(start.headers['cross-origin-opener-policy'], policy, `${returnTo}: start`)
          await agent.open(start.headers.location ?? '')
          const end = await agent.submitForm({}, { redirect: 'manual' })
          assert.equal(end.headers.location, returnTo)
          assert.equal(end.headers['cross-origin-opener-policy'], policy, `${returnTo}: end`)
        }
      },
    ),
  )

  test(
    'says so where no user is signed in',
    withPopup({}, async ({ agent, site }) => {
      assert.match((await agent.open(site.url + POPUP)).text, /isAuthenticated&#34;:false[\s\S]*You are not signed in/)
    }),
  )

  test(
    'another user who signs in there ends there',
    withPopup({}, async ({ agent, site, provider }) => {
      await agent.visit(`${site.url}/claims`)
      const asBob = (claims: object) => ({ ...claims, sub: 'bob-0002' })
      provider.break({ frontIdToken: asBob, backIdToken: asBob, userInfoClaims: asBob })
      assert.equal((await agent.visit(`${site.url}/login?returnTo=${POPUP}`)).url, site.url + POPUP)
    }),
  )

  test(
    'a popup without the route, or with another place to land on, is a mistake of the site',
    withFixture({ site: { routes: routes() } }, async ({ agent, site }) => {
      await agent.visit(`${site.url}/from-code`)
      assert.equal(site.lastCode(), 'ERR_OIDC_OPTIONS')
      assert.match(String(site.errors.at(-1)), /routes.popup/)
      await agent.visit(`${site.url}/both`)
      assert.match(String(site.errors.at(-1)), /cannot both be given/)
      // Without the route its path is that of any page.
      assert.equal((await agent.visit(`${site.url}/login?returnTo=/user`)).url, `${site.url}/user`)
    }),
  )
})
