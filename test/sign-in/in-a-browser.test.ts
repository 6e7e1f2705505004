import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { BrowserContext } from 'playwright-core'
import { createGate } from '../sign-out/support.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { withFixture } from '../support/handler-fixture.js'
import { secret } from '../support/secrets.js'
import { startSite } from '../support/site.js'

const asBob = (claims: object) => ({ ...claims, sub: 'bob-0002' })

let chromium: Chromium
before(async () => {
  chromium = await startChromium()
})
after(() => chromium?.close())

async function inContext(run: (context: BrowserContext) => Promise<void>): Promise<void> {
  const context = await chromium.newContext()
  try {
    await run(context)
  } finally {
    await context.close()
  }
}

describe('in a real browser', { timeout: 120_000 }, () => {
  test(
    'a session cookie that a proxy removes from every request ends on a page that says so, and the log names the cookie',
    withFixture(
      {
        site: {
          handlesErrors: false,
          before: app => {
            app.use((req, _res, next) => {
              const kept = (req.headers.cookie ?? '').split('; ').filter(pair => !pair.startsWith('sid='))
              req.headers.cookie = kept.join('; ')
              next()
            })
          },
        },
      },
      ({ site, provider }) =>
        inContext(async context => {
          const tab = await context.newPage()
          await tab.goto(`${site.url}/claims`)
          await tab.getByText('Start again').waitFor()
          assert.equal(provider.count('authorize'), 2)
          assert.match(site.log.join('\n'), /the cookie "sid" did not come back/)
        }),
    ),
  )

  test(
    'the signIn hook refuses a user: another user who signs in at the same page of the provider, in a duplicated tab, is signed in',
    withFixture(
      {
        oidc: {
          hooks: {
            signIn({ claims }) {
              if (claims.sub === 'mallory') throw new Error('not welcome')
              return claims
            },
          },
        },
      },
      ({ site, provider }) =>
        inContext(async context => {
          const asMallory = (claims: object) => ({ ...claims, sub: 'mallory' })
          provider.break({ frontIdToken: asMallory, backIdToken: asMallory, userInfoClaims: asMallory })
          const [tab, duplicate] = [await context.newPage(), await context.newPage()]
          const asked: string[] = []
          tab.on('request', request => void (request.url().startsWith(provider.issuer) && asked.push(request.url())))
          await tab.goto(`${site.url}/claims`)
          await tab.waitForURL(`${site.url}/callback`)
          assert.deepEqual([site.errors.length, asked.length], [1, 1])
          provider.heal()
          await duplicate.goto(asked[0] ?? '')
          await duplicate.waitForURL(`${site.url}/claims`)
          assert.match(await duplicate.content(), /alice-0001/)
          assert.equal(site.errors.length, 1)
        }),
    ),
  )

  test(
    'Alice signs in, and Bob signs in at the page of the provider that she used: Bob is signed in, with nothing of hers',
    withFixture({}, ({ site, provider }) =>
      inContext(async context => {
        const [tab, duplicate] = [await context.newPage(), await context.newPage()]
        const asked: string[] = []
        tab.on('request', request => void (request.url().startsWith(provider.issuer) && asked.push(request.url())))
        await tab.goto(`${site.url}/claims`)
        await tab.waitForURL(`${site.url}/claims`)
        provider.break({ frontIdToken: asBob, backIdToken: asBob, userInfoClaims: asBob })
        await duplicate.goto(asked[0] ?? '')
        await duplicate.waitForURL(`${site.url}/claims`)
        assert.match(await duplicate.content(), /bob-0002/)
        await tab.reload()
        assert.match(await tab.content(), /bob-0002/)
        assert.deepEqual(await site.oidc.sessions.list({ sub: 'alice-0001' }), [])
      }),
    ),
  )

  for (const late of ['destroy', 'logout'] as const) {
    const gate = createGate()
    test(
      `a slow ${late}() of Alice whose response comes after Bob has signed in: Bob stays signed in`,
      withFixture(
        {
          site: {
            routes: app => {
              app.post('/slow', async (req, res) => {
                await gate.until()
                if (late === 'logout') await req.oidc.logout({ local: true })
                else req.session.destroy(() => res.json({}))
              })
            },
          },
        },
        ({ site, provider }) =>
          inContext(async context => {
            const [tab, other] = [await context.newPage(), await context.newPage()]
            await tab.goto(`${site.url}/claims`)
            await tab.waitForURL(`${site.url}/claims`)
            const slow = tab.evaluate(() => fetch('/slow', { method: 'POST' }).then(response => response.status))
            await gate.reached
            provider.break({ frontIdToken: asBob, backIdToken: asBob, userInfoClaims: asBob })
            await other.goto(`${site.url}/login?returnTo=/claims`)
            // The page that Alice asked for is not Bob's.
            await other.waitForURL(`${site.url}/`)
            gate.open()
            await slow
            await other.goto(`${site.url}/user`)
            assert.match(await other.content(), /bob-0002/)
          }),
      ),
    )
  }

  test(
    'a sign-in that another tab is finishing during a sign-out fails, and the user stays signed out',
    withFixture({}, ({ site, provider }) =>
      inContext(async context => {
        const [tab, other] = [await context.newPage(), await context.newPage()]
        await tab.goto(`${site.url}/claims`)
        await tab.waitForURL(`${site.url}/claims`)
        const gate = createGate()
        provider.break({ token: { until: gate.until } })
        const finishing = other.goto(`${site.url}/login?returnTo=/claims`, { waitUntil: 'commit' })
        await gate.reached
        await tab.goto(`${site.url}/logout?local=1`)
        gate.open()
        await finishing
        await other.waitForURL(`${site.url}/callback`)
        assert.equal(site.lastCode(), 'ERR_OIDC_SIGN_IN_ENDED')
        await tab.goto(`${site.url}/user`)
        assert.match(await tab.content(), /"isAuthenticated":false/)
      }),
    ),
  )

  test('two sites on one host with one client and different secrets: sign-ins that are under way at once, and sign-outs, leave each other alone', () =>
    withFixture({ oidc: { session: { name: 'first' } } }, async ({ site, provider }) => {
      const { issuer, clientId, clientSecret } = provider
      const other = await startSite({
        oidc: { issuer, clientId, clientSecret, secret: secret('another secret'), session: { name: 'second' } },
      })
      try {
        await inContext(async context => {
          const [one, two] = [await context.newPage(), await context.newPage()]
          const pages = [`${site.url}/claims`, `${other.url}/claims`]
          await Promise.all([one.goto(pages[0] ?? ''), two.goto(pages[1] ?? '')])
          await Promise.all([one.waitForURL(pages[0] ?? ''), two.waitForURL(pages[1] ?? '')])
          assert.deepEqual([...site.errors, ...other.errors], [])
          await one.goto(`${site.url}/logout?local=1`)
          await two.reload()
          assert.equal(two.url(), pages[1])
          assert.match(await two.content(), /alice-0001/)
          const names = (await context.cookies()).map(({ name }) => name)
          assert.ok(names.includes('second') && !names.includes('first'), names.join())
        })
      } finally {
        await other.close()
      }
    })())

  test(
    'a session cookie of another site on this host, with a longer path and so sent first, does not prevent a sign-in',
    withFixture({}, ({ site, provider }) =>
      inContext(async context => {
        await context.addCookies([{ name: 'sid', value: 'foreign', domain: 'localhost', path: '/claims' }])
        const tab = await context.newPage()
        await tab.goto(`${site.url}/claims`)
        await tab.waitForURL(`${site.url}/claims`)
        assert.match(await tab.content(), /alice-0001/)
        await tab.reload()
        assert.equal(provider.count('authorize'), 1)
        assert.ok((await context.cookies(`${site.url}/claims`)).some(({ value }) => value === 'foreign'))
      }),
    ),
  )
})
