import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import type { BrowserContext, Page } from 'playwright-core'
import { type Sample, startSample } from '../../sample-app/start-sample.js'
import { type Chromium, startChromium } from '../support/chromium.js'

describe('signing out of the sample in a real browser', { timeout: 240_000 }, () => {
  let sample: Sample
  let chromium: Chromium

  before(async () => {
    sample = await startSample({ sitePort: 0, identityPort: 0, apiPort: 0 })
    chromium = await startChromium({ args: ['--test-third-party-cookie-phaseout'], bfcache: true })
  })
  after(async () => {
    await chromium?.close()
    await sample?.close()
  })

  /** Another browser of alice. */
  async function signedIn(): Promise<{ context: BrowserContext; page: Page }> {
    const context = await chromium.newContext()
    const page = await context.newPage()
    await page.goto(`${sample.siteUrl}/claims`)
    await page.fill('input[name=username]', 'alice')
    await page.fill('input[name=password]', 'alice')
    await page.click('button[type=submit]')
    const consent = page.locator('form[action*="/consent"] button[type=submit]').first()
    await page.waitForURL(url => url.href.startsWith(sample.siteUrl) || url.pathname.includes('/interaction/'))
    if (!page.url().startsWith(sample.siteUrl)) await consent.click()
    await page.waitForURL(`${sample.siteUrl}/claims`)
    return { context, page }
  }

  async function isSignedIn({ page }: { page: Page }): Promise<boolean> {
    await page.goto(`${sample.siteUrl}/`)
    return page.locator('form[action="/logout"]').isVisible()
  }

  test('"My sessions" lists the browsers, ends one of them, and all but this one', async () => {
    const [here, one, two] = [await signedIn(), await signedIn(), await signedIn()]
    await here.page.goto(`${sample.siteUrl}/sessions`)
    assert.equal(await here.page.locator('tbody tr').count(), 3)
    assert.equal(await here.page.getByText('this browser').count(), 1)
    assert.match((await here.page.locator('tbody th').first().textContent()) ?? '', /Chrome \d+ on \w+/)

    await here.page.locator('tbody tr', { hasNotText: 'this browser' }).first().locator('button').click()
    assert.equal(await here.page.locator('tbody tr').count(), 2)
    const left = [await isSignedIn(one), await isSignedIn(two)].filter(Boolean).length
    assert.equal(left, 1)

    await here.page.goto(`${sample.siteUrl}/sessions`)
    await here.page.click('text=End all but this one')
    assert.equal(await here.page.locator('tbody tr').count(), 1)
    assert.deepEqual([await isSignedIn(one), await isSignedIn(two), await isSignedIn(here)], [false, false, true])

    await here.page.goto(`${sample.siteUrl}/sessions`)
    await here.page.locator('tbody button').click()
    assert.equal(here.page.url(), `${sample.siteUrl}/`)
    assert.equal(await isSignedIn(here), false)
    for (const { context } of [here, one, two]) await context.close()
  })

  test('a session that was ended elsewhere: Back reloads the page that the back/forward cache shows', async () => {
    const { page, context } = await signedIn()
    const other = await signedIn()
    // Chromium keeps no page whose scripts have received a response with `no-store`, such as that of the script which watches the session.
    await page.route('**/public/stay-signed-in.js', route => route.abort())
    await page.goto(`${sample.siteUrl}/`)
    await page.goto(`${sample.siteUrl}/call-api/script`)
    await other.page.goto(`${sample.siteUrl}/sessions`)
    await other.page.click('text=End all but this one')
    await other.page.waitForURL(`${sample.siteUrl}/sessions`)

    // Playwright waits for a load event, which a page from this cache does not have.
    await page.evaluate('history.back()').catch(() => {})
    await page.getByRole('link', { name: 'Sign in' }).first().waitFor()
    assert.equal(page.url(), `${sample.siteUrl}/`)
    // Without that cache it would be "back_forward".
    assert.equal(await page.evaluate('performance.getEntriesByType("navigation")[0].type'), 'reload')
    for (const each of [context, other.context]) await each.close()
  })

  test('the script of the recipe is that of the sample', () => {
    const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
    const [, recipe = 'no such block'] =
      /`reload-on-back\.js`:\s+```text\n(.*?)```/s.exec(read('docs/recipes.md')) ?? []
    assert.ok(read('sample-app/site/public/reload-on-back.js').endsWith(recipe))
  })

  test('"Sign out here only" leaves the identity server alone: the next sign-in asks for no password', async () => {
    const browser = await signedIn()
    await browser.page.goto(`${sample.siteUrl}/sessions`)
    await browser.page.locator('form[action="/logout?local=1"] button').click()
    await browser.page.waitForURL(`${sample.siteUrl}/`)
    assert.equal(await browser.page.locator('form[action="/logout"]').isVisible(), false)
    await browser.page.goto(`${sample.siteUrl}/claims`)
    assert.equal(browser.page.url(), `${sample.siteUrl}/claims`)
    await browser.context.close()
  })

  test('"Sign out" tells the site by the back channel and by a frame, and comes back', async () => {
    const { context, page } = await signedIn()
    const framed = page.waitForResponse(response => response.url().includes('/logout/frontchannel'))
    await page.goto(`${sample.siteUrl}/`)
    await page.locator('form[action="/logout"] button').click()
    await page.click('button[name=logout]')
    const response = await framed
    assert.equal(response.status(), 200)
    assert.equal((await response.request().allHeaders()).cookie, undefined)
    await page.waitForURL(`${sample.siteUrl}/`)
    assert.equal(await isSignedIn({ page }), false)
    await context.close()
  })

  test('signing out at the identity server signs out here', async () => {
    const { context, page } = await signedIn()
    await page.goto(`${sample.identityUrl}/session/end`)
    await page.click('button[name=logout]')
    await page.waitForURL(`${sample.identityUrl}/session/end/success`)
    assert.equal(await isSignedIn({ page }), false)
    await context.close()
  })
})
