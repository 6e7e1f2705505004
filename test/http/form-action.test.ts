import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Express } from 'express'
import type { Page } from 'playwright-core'
import { requiresAuth } from '../../lib/index.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { type Fixture, withFixture } from '../support/handler-fixture.js'

// A browser compares each redirect after a submitted form with `form-action` of the page that has the form.

/** What helmet 8 sends by default. test/ecosystem does the same with helmet itself. */
const ofHelmet =
  "default-src 'self';base-uri 'self';font-src 'self' https: data:;form-action 'self';frame-ancestors 'self';img-src 'self' data:;" +
  "object-src 'none';script-src 'self';script-src-attr 'none';style-src 'self' https: 'unsafe-inline';upgrade-insecure-requests"

const form = (action: string) => `<form method="post" action="${action}"><button>${action}</button></form>`

const site = {
  handlesErrors: false,
  before: (app: Express) => void app.use((_req, res, next) => next(void res.set('Content-Security-Policy', ofHelmet))),
  routes(app: Express) {
    const actions = ['/logout?returnTo=/bye', '/login?returnTo=/user', '/order', '/leave']
    app.get('/forms', (_req, res) => void res.send(actions.map(form).join('')))
    app.post('/order', requiresAuth(), (_req, res) => void res.send('ordered'))
    app.post('/leave', (req, _res, next) => void req.oidc.logout({ returnTo: '/bye' }).catch(next))
    app.get('/bye', (_req, res) => void res.send('bye'))
  },
}

let chromium: Chromium
before(async () => {
  chromium = await startChromium()
})
after(() => chromium?.close())

/** A tab that shows the forms, and what the browser says about policies. */
function atForms(run: (fixture: Fixture, tab: Page, refused: string[]) => Promise<void>): () => Promise<void> {
  return withFixture({ site }, async fixture => {
    const tab = await chromium.newPage()
    const refused: string[] = []
    tab.on('console', message => void (/form-action/.test(message.text()) && refused.push(message.text())))
    try {
      await run(fixture, tab, refused)
    } finally {
      await tab.context().close()
    }
  })
}

describe("with form-action 'self', as helmet sends it, in Chromium", { timeout: 120_000 }, () => {
  for (const action of ['/logout?returnTo=/bye', '/leave'])
    test(
      `a posted ${action} signs out at the provider as well, and Back leads to the page of the form`,
      atForms(async ({ site: { url }, provider }, tab, refused) => {
        await tab.goto(`${url}/claims`)
        await tab.getByText('alice-0001').waitFor()
        await tab.goto(`${url}/forms`)
        await tab.click(`text="${action}"`)
        await tab.waitForURL(`${url}/bye`, { timeout: 10_000 })
        assert.equal(provider.count('endSession'), 1)
        await tab.goBack()
        assert.equal(tab.url(), `${url}/forms`)
        assert.deepEqual(refused, [])
      }),
    )

  for (const [action, page] of [
    ['/login?returnTo=/user', '/user'],
    ['/order', '/forms'],
  ] as const)
    test(
      `a posted ${action} leads to the provider and back to ${page}`,
      atForms(async ({ site: { url }, provider }, tab, refused) => {
        await tab.goto(`${url}/forms`)
        await tab.click(`text="${action}"`)
        await tab.waitForURL(`${url}${page}`, { timeout: 10_000 })
        await tab.waitForLoadState()
        assert.equal(provider.count('authorize'), 1)
        await tab.goto(`${url}/user`)
        assert.match(await tab.innerText('body'), /"isAuthenticated":true/)
        assert.deepEqual(refused, [])
      }),
    )
})

test(
  'a script that posts gets the redirect, and so does a program',
  withFixture({ site }, async ({ site: { url }, agent, provider }) => {
    await agent.visit(`${url}/claims`)
    const options = { method: 'POST', redirect: 'manual', from: `${url}/forms` } as const
    for (const headers of [{}, { accept: 'text/html' }, { 'sec-fetch-mode': undefined, accept: 'text/html' }]) {
      const { status, headers: received, text } = await agent.fetch(`${url}/logout`, { ...options, headers })
      assert.deepEqual([status, text], [303, ''])
      assert.ok(String(received.location).startsWith(provider.issuer))
    }
  }),
)
