import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Express } from 'express'
import { type Chromium, startChromium } from '../support/chromium.js'
import { withFixture } from '../support/handler-fixture.js'

let chromium: Chromium

before(async () => {
  chromium = await startChromium()
})
after(() => chromium.close())

const routes = (app: Express) =>
  void app.get('/dashboard', (req, res) => {
    const frames = Array.from({ length: 12 }, (_, at) => `<iframe src="/claims?widget=${at}"></iframe>`)
    res.send(`<p>${req.oidc.isAuthenticated ? 'signed in' : 'signed out'}</p>${frames.join('')}`)
  })

test(
  'twelve frames of a page whose session is over start no sign-in; the link in one of them signs in the whole window',
  withFixture({ site: { routes, handlesErrors: false } }, async ({ site, provider }) => {
    const tab = await chromium.newPage()
    try {
      await tab.goto(`${site.url}/dashboard?view=1`)
      assert.equal(provider.count('authorize'), 0)
      assert.deepEqual(await tab.context().cookies(site.url), [])
      await tab.frameLocator('iframe').first().locator('a').click()
      await tab.waitForURL(`${site.url}/dashboard?view=1`)
      await tab.getByText('signed in').waitFor()
      assert.equal(provider.count('authorize'), 1)
      assert.match(await tab.frameLocator('iframe').last().locator('body').innerText(), /alice-0001/)
    } finally {
      await tab.context().close()
    }
  }),
)

test(
  'a link of another site to /login, and a form it posts to a guarded page, take nothing from the user who is signed in',
  withFixture({}, async ({ agent, site }) => {
    await agent.visit(`${site.url}/claims`)
    await agent.fetch(`${site.url}/session?csrf=known`, { method: 'POST' })
    const goOn = async () => {
      for (let count = 0; agent.page?.forms[0]?.isAutomatic && count < 5; count += 1) await agent.submitForm()
    }
    await agent.click(`${site.url}/login?returnTo=/user`, { from: 'http://evil.example/' })
    await goOn()
    assert.deepEqual((await agent.fetch(`${site.url}/session`)).json(), { csrf: 'known' })
    await agent.open(`${site.url}/`)
    await agent.post(`${site.url}/login`, {}, { from: 'http://evil.example/' })
    await goOn()
    assert.deepEqual((await agent.fetch(`${site.url}/session`)).json(), { csrf: 'known' })
    assert.equal((await site.oidc.sessions.list({ sub: 'alice-0001' })).length, 1)
  }),
)
