import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { type Sample, startSample } from '../../sample-app/start-sample.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { keepSecret } from '../support/secrets.js'

describe('tokens on the pages of the sample, in a real browser', { timeout: 240_000 }, () => {
  let sample: Sample
  let chromium: Chromium
  let page: Page

  before(async () => {
    sample = await startSample({ sitePort: 0, identityPort: 0, apiPort: 0, redis: false })
    chromium = await startChromium()
    page = await (await chromium.newContext()).newPage()
    await page.goto(`${sample.siteUrl}/claims`)
    await page.fill('input[name=username]', 'alice')
    await page.fill('input[name=password]', 'alice')
    await page.click('button.primary')
    await page.waitForLoadState('load')
    const allow = page.getByRole('button', { name: 'Allow' })
    if (await allow.isVisible().catch(() => false)) await allow.click()
    await page.waitForURL(`${sample.siteUrl}/claims`)
  })
  after(async () => {
    await chromium?.close()
    await sample?.close()
  })

  const currentToken = async (): Promise<string> => {
    const token = await page.evaluate(async () => {
      const response = await fetch('/me/token', { headers: { 'X-CSRF': '1' } })
      const { accessToken } = (await response.json()) as { accessToken: string }
      return accessToken
    })
    return keepSecret('access token', token)
  }

  test('the Claims page counts down what is left of the access token', async () => {
    await page.waitForFunction("/^\\d+:\\d\\d minutes$/.test(document.getElementById('life').textContent)")
  })

  test('the Refresh button gets another token, and comes back to the page', async () => {
    const before = await currentToken()
    await page.click('text=Refresh it now')
    await page.waitForURL(`${sample.siteUrl}/claims#tokens`)
    assert.notEqual(await currentToken(), before)
  })

  for (const [description, button] of [
    ['through the site, without a token in the browser', '#call'],
    ['directly, with a token the site hands out', '#call-directly'],
  ] as const) {
    test(`the script calls the API ${description}`, async () => {
      await page.goto(`${sample.siteUrl}/call-api/script`)
      await page.click(button)
      await page.waitForSelector('#response table')
      assert.match((await page.textContent('#response')) ?? '', /status 200.*The API knows who is asking/s)
    })
  }

  test('the API takes scripts of the site only', async () => {
    const headers = { origin: 'https://evil.example' }
    const response = await fetch(`${sample.apiUrl}/identity`, { method: 'OPTIONS', headers })
    assert.equal(response.headers.get('access-control-allow-origin'), sample.siteUrl)
  })
})
