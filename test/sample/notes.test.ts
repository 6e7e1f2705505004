import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { type Sample, startSample } from '../../sample-app/start-sample.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { until } from '../support/redis.js'

describe('a note in the sample, in a real browser', { timeout: 240_000 }, () => {
  let sample: Sample
  let chromium: Chromium

  before(async () => {
    sample = await startSample({ sitePort: 0, identityPort: 0, apiPort: 0 })
    chromium = await startChromium()
  })
  after(async () => {
    await chromium?.close()
    await sample?.close()
  })

  /** At the identity server, which may not have asked at all. */
  async function signIn(page: Page, until: RegExp): Promise<void> {
    await page.waitForURL(url => until.test(url.href) || url.pathname.includes('/interaction/'))
    if (until.test(page.url())) return
    if ((await page.locator('input[name=password]').count()) > 0) {
      await page.fill('input[name=username]', 'alice')
      await page.fill('input[name=password]', 'alice')
      await page.click('button[type=submit]')
      await page.waitForURL(url => until.test(url.href) || url.pathname.includes('/interaction/'))
    }
    if (!until.test(page.url())) await page.locator('form[action*="/consent"] button[type=submit]').first().click()
    await page.waitForURL(until)
  }

  test('that was written while the session expired is saved after the sign-in, once', async () => {
    const context = await chromium.newContext()
    const page = await context.newPage()
    await page.goto(`${sample.siteUrl}/notes`)
    await signIn(page, /\/notes$/)
    const note = 'Milk,\n"two" litres & <b>bread</b>'
    await page.fill('textarea', note)
    const [tab] = await Promise.all([
      context.waitForEvent('page'),
      page.getByRole('button', { name: 'Let my session expire' }).click(),
    ])
    await tab.getByText('Your session expires in a second').waitFor()
    await until(
      'the session is over',
      async () =>
        (await tab.evaluate(`fetch('/me', { headers: { 'x-csrf': '1' } }).then(response => response.status)`)) === 401,
    )
    await tab.close()
    assert.equal(await page.inputValue('textarea'), note)
    await page.getByRole('button', { name: 'Save' }).click()
    await signIn(page, /\/form\?/)
    assert.equal(await page.locator('h1').innerText(), 'Send this now?')
    assert.ok((await page.locator('dd').allTextContents()).includes(note))
    const address = page.url()
    await page.getByRole('button', { name: 'Send' }).click()
    await page.waitForURL(/\/notes$/)
    assert.deepEqual(await page.locator('.notes li').allTextContents(), [note])
    await page.goto(address)
    assert.equal(await page.locator('h1').innerText(), 'Not sent')
    await context.close()
  })
})
