import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { BrowserContext, Page } from 'playwright-core'
import { readSettings } from '../../sample-app/settings.js'
import { type Sample, startSample } from '../../sample-app/start-sample.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { freePort } from '../support/nginx.js'
import { startTlsFront, type TlsFront } from '../support/tls-front.js'

/** As `device-in-a-browser.test.ts` has them. */
const FLAGS = [
  'DeviceBoundSessions:RequireOriginTrialTokens/false/RefreshQuota/false/CheckSubdomainRegistration/false',
  'EnableBoundSessionCredentialsSoftwareKeysForManualTesting',
]

describe('the sample, where a session is ended in another browser', { timeout: 240_000 }, () => {
  let port: number
  let front: TlsFront
  let sample: Sample
  let chromium: Chromium

  before(async () => {
    port = await freePort()
    front = await startTlsFront(port)
    const settings = { sitePort: port, identityPort: 0, apiPort: 0, baseUrl: front.url }
    sample = await startSample({ ...settings, deviceBound: true })
    chromium = await startChromium({
      args: [`--enable-features=${FLAGS.join()}`, `--ignore-certificate-errors-spki-list=${front.fingerprint}`],
    })
  })
  after(async () => {
    await chromium?.close()
    await sample?.close()
    await front?.close()
  })

  interface Browser {
    readonly context: BrowserContext
    readonly page: Page
    /** Errors, as the console shows them. */
    readonly lines: string[]
  }

  async function open(): Promise<Browser> {
    const context = await chromium.newContext()
    const page = await context.newPage()
    const lines: string[] = []
    page.on('console', message => message.type() === 'error' && lines.push(message.text()))
    page.on('pageerror', error => lines.push(String(error)))
    return { context, page, lines }
  }

  async function signedIn(): Promise<Browser> {
    const browser = await open()
    const { page } = browser
    await page.goto(`${front.url}/claims`)
    await page.fill('input[name=username]', 'alice')
    await page.fill('input[name=password]', 'alice')
    await page.click('button[type=submit]')
    const consent = page.locator('form[action*="/consent"] button[type=submit]').first()
    await page.waitForURL(url => url.href.startsWith(front.url) || url.pathname.includes('/interaction/'))
    if (!page.url().startsWith(front.url)) await consent.click()
    await page.waitForURL(`${front.url}/claims`)
    return browser
  }

  test('the open page says so by itself, with a way to sign in again to the same page', async () => {
    const [here, other] = [await signedIn(), await signedIn()]
    const { page, lines } = here
    await other.page.goto(`${front.url}/sessions`)
    await page.bringToFront()
    // The page is not touched: it waits for what it is told.
    await Promise.all([
      page.getByRole('heading', { name: 'Signed out elsewhere' }).waitFor(),
      other.page.click('text=End all but this one'),
    ])
    const text = await page.locator('#signed-out-text').textContent()
    assert.match(text ?? '', /“My sessions” of another browser|^Your session has ended\.$/)
    assert.equal(await page.locator('dialog[open]').count(), 1)
    assert.equal(await page.evaluate('document.activeElement.textContent'), 'Sign in again')
    await page.getByRole('link', { name: 'Sign in again' }).click()
    await page.waitForURL(`${front.url}/claims`)
    assert.equal(await page.locator('dialog[open]').count(), 0)
    assert.deepEqual(lines, [])
    for (const { context } of [here, other]) await context.close()
  })

  test('the window in which the user signs out shows no word about it, and a page without a user asks for nothing', async () => {
    const { page, context, lines } = await signedIn()
    const asked: string[] = []
    await page.goto(`${front.url}/`)
    await page.locator('form[action="/logout"] button').click()
    await page.click('button[name=logout]')
    await page.waitForURL(`${front.url}/`)
    page.on('request', request => asked.push(new URL(request.url()).pathname))
    await page.reload({ waitUntil: 'networkidle' })
    assert.deepEqual(
      asked.filter(path => !path.startsWith('/public/')),
      ['/'],
    )
    assert.equal(await page.locator('dialog').count(), 0)
    assert.deepEqual(lines, [])
    await context.close()
  })

  test('"My sessions" says which session is bound to its device', async () => {
    const { page, context } = await signedIn()
    await page.goto(`${front.url}/sessions`)
    for (let tries = 0; tries < 20 && (await page.getByText('bound to its device').count()) === 0; tries += 1)
      await page.reload()
    const row = page.locator('tbody tr', { hasText: 'this browser' })
    assert.equal(await row.getByText('bound to its device').count(), 1)
    await context.close()
  })

  test('`npm start -- --device-bound` turns it on', () => {
    assert.equal(readSettings({}, ['node', 'start.ts', '--device-bound']).deviceBound, true)
    assert.equal(readSettings({}, ['node', 'start.ts']).deviceBound, false)
    assert.equal(sample.isDeviceBound, true)
  })
})
