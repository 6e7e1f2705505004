import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Express, RequestHandler } from 'express'
import { OidcError, requiresAuth } from '../../lib/index.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { withFixture } from '../support/handler-fixture.js'

let chromium: Chromium

before(async () => {
  chromium = await startChromium()
})
after(() => chromium.close())

/** Milliseconds a page works before it needs the access token: longer than the sign-in of another tab takes. */
const WORK = 1_500

/** A page that works for a while, then needs the access token, and answers a session that has ended in one of two usual ways. */
function slowPage(onSignedOut: 'an error page' | 'another sign-in'): RequestHandler {
  return (req, res, next) => {
    wait(WORK)
      .then(() => req.oidc.accessToken())
      .then(({ value }) => void res.json({ sub: req.oidc.user?.sub, hasToken: value.length > 0 }))
      .catch((error: unknown) => {
        const isOver = error instanceof OidcError && error.status === 401
        return isOver && onSignedOut === 'another sign-in' ? req.oidc.login() : next(error)
      })
      .catch(next)
  }
}

describe('tabs of a browser that wake up when the session has ended over night', () => {
  for (const onSignedOut of ['an error page', 'another sign-in'] as const) {
    for (const count of [2, 4, 6]) {
      const routes = (app: Express) => void app.get('/work', requiresAuth(), slowPage(onSignedOut))
      test(
        `${count} tabs, with a site that handles a 401 by ${onSignedOut}: all get their page, by one sign-in each at most`,
        withFixture({ provider: { refreshTokens: 'always' }, site: { routes } }, async fixture => {
          const { provider, site } = fixture
          const context = await chromium.newContext()
          try {
            const pages = await Promise.all(Array.from({ length: count }, () => context.newPage()))
            await pages[0]?.goto(`${site.url}/claims`)
            await site.oidc.sessions.revoke({ sub: 'alice-0001' })
            const before = provider.count('authorize')
            await Promise.all(
              pages.map(async (page, index) => {
                await wait(index * 100)
                await page.goto(`${site.url}/work?tab=${index}`, { waitUntil: 'commit' })
              }),
            )
            for (const [index, page] of pages.entries()) {
              await page.waitForURL(`${site.url}/work?tab=${index}`, { timeout: 30_000 })
              const text = await page.innerText('body')
              assert.deepEqual(JSON.parse(text), { sub: 'alice-0001', hasToken: true })
            }
            const signIns = provider.count('authorize') - before
            assert.ok(signIns <= count, `${signIns} sign-ins`)
            await pages[0]?.goto(`${site.url}/user`)
            assert.match((await pages[0]?.innerText('body')) ?? '', /"isAuthenticated":true/)
          } finally {
            await context.close()
          }
        }),
      )
    }
  }
})
