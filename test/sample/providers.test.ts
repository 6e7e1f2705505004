import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { BrowserContext, Page } from 'playwright-core'
import { createProviders, readSettings } from '../../sample-app/settings.js'
import { type Sample, startSample } from '../../sample-app/start-sample.js'
import { type Chromium, startChromium } from '../support/chromium.js'

test('`npm start -- --providers` starts three identity servers, and goes with no other provider', () => {
  const read = (env: NodeJS.ProcessEnv, ...flags: string[]) => readSettings(env, ['node', 'start.ts', ...flags])
  assert.equal(read({}).providers, undefined)
  const { providers } = read({ IDENTITY_PORT_3: '4000' }, '--providers')
  const ports = providers?.map(({ name, port }) => [name, port])
  assert.deepEqual(ports, [
    ['acme', 3001],
    ['globex', 3003],
    ['initech', 4000],
  ])
  assert.throws(() => read({ OIDC_ISSUER: 'https://op.example' }, '--providers'), /neither OIDC_ISSUER nor --fapi2/)
  assert.throws(() => read({}, '--providers', '--fapi2'), /neither OIDC_ISSUER nor --fapi2/)
})

describe('the sample with three identity servers, in a real browser', { timeout: 240_000 }, () => {
  let sample: Sample
  let chromium: Chromium

  before(async () => {
    sample = await startSample({ sitePort: 0, apiPort: 0, providers: createProviders([0, 0, 0]) })
    chromium = await startChromium()
  })
  after(async () => {
    await chromium?.close()
    await sample?.close()
  })

  const issuerOf = (title: string) => sample.providers?.find(provider => provider.title === title)?.issuer ?? ''

  /** On the page "Choose your identity server". */
  async function choose(page: Page, title: string): Promise<void> {
    await page.getByRole('heading', { name: 'Choose your identity server', level: 1 }).waitFor()
    await page.locator('.cards a', { hasText: title }).click()
  }

  /** At the identity server. */
  async function signIn(page: Page, title: string, username: string): Promise<void> {
    await page.waitForURL(`${issuerOf(title)}/interaction/**`)
    assert.equal(await page.locator('header').innerText(), `${title} identity server`)
    await page.fill('input[name=username]', username)
    await page.fill('input[name=password]', username)
    await page.click('button.primary')
    await page.getByRole('button', { name: 'Allow' }).click()
  }

  async function whoseSession(page: Page): Promise<string> {
    await page.goto(`${sample.siteUrl}/`)
    return page.locator('.hero').innerText()
  }

  test('sign-in at one, then at another, and sign-out at that one only', async () => {
    const context = await chromium.newContext()
    const page = await context.newPage()
    await page.goto(`${sample.siteUrl}/notes`)
    assert.equal(page.url(), `${sample.siteUrl}/sign-in?returnTo=%2Fnotes`)
    await choose(page, 'Acme')
    await signIn(page, 'Acme', 'alice')
    await page.waitForURL(`${sample.siteUrl}/notes`)
    await page.fill('textarea', 'A note of Alice')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('A note of Alice').waitFor()
    assert.match(await whoseSession(page), /Hello, Alice Smith\.\s+You are signed in at Acme\./)

    await page.getByRole('link', { name: 'Choose another identity server' }).click()
    assert.match(await page.locator('.cards a', { hasText: 'your session' }).innerText(), /^Acme/)
    await choose(page, 'Globex')
    await signIn(page, 'Globex', 'carol')
    await page.waitForURL(`${sample.siteUrl}/`)
    assert.match(await whoseSession(page), /Hello, Carol Jones\.\s+You are signed in at Globex\./)
    // Her subject is that of Alice at Acme.
    await page.goto(`${sample.siteUrl}/notes`)
    assert.equal(await page.locator('.notes li').count(), 0)
    await page.goto(`${sample.siteUrl}/sessions`)
    assert.equal(await page.locator('tbody tr').count(), 1)

    await page.goto(`${sample.siteUrl}/call-api`)
    assert.match(await page.locator('main').innerText(), /status 200/)
    await page.goto(`${sample.siteUrl}/call-api/script`)
    for (const button of ['#call', '#call-directly']) {
      await page.click(button)
      await page.locator('#response table').waitFor()
      assert.match(await page.locator('#response').innerText(), /status 200/)
    }
    // At Acme her token means nothing.
    const elsewhere = await page.evaluate(
      `fetch('/api/acme/identity', { headers: { 'x-csrf': '1' } }).then(response => response.status)`,
    )
    assert.equal(elsewhere, 401)

    await page.getByRole('button', { name: 'Sign out', exact: true }).click()
    await page.waitForURL(`${issuerOf('Globex')}/**`)
    await page.click('button[name=logout]')
    await page.waitForURL(`${sample.siteUrl}/`)
    await page.goto(`${sample.siteUrl}/notes`)
    await choose(page, 'Globex')
    assert.ok(await page.locator('input[name=password]').isVisible(), 'Globex asks again')
    // Acme has not been asked to end anything: it knows its user still.
    await page.goto(`${sample.siteUrl}/notes`)
    await choose(page, 'Acme')
    await page.waitForURL(`${sample.siteUrl}/notes`)
    assert.deepEqual(await page.locator('.notes li').allTextContents(), ['A note of Alice'])
    await context.close()
  })

  test('back-channel logout of one identity server ends the session of its own user only', async () => {
    const users = [
      ['Acme', 'bob'],
      ['Globex', 'dave'],
      ['Initech', 'frank'],
    ] as const
    const browsers: { readonly title: string; readonly context: BrowserContext; readonly page: Page }[] = []
    for (const [title, username] of users) {
      const context = await chromium.newContext()
      // The back channel alone: the other way from an identity server to the site is closed.
      await context.route('**/logout/frontchannel/**', route => route.abort())
      const page = await context.newPage()
      await page.goto(`${sample.siteUrl}/claims`)
      await choose(page, title)
      await signIn(page, title, username)
      await page.waitForURL(`${sample.siteUrl}/claims`)
      browsers.push({ title, context, page })
    }
    const signedIn = async () => {
      const texts = await Promise.all(browsers.map(({ page }) => whoseSession(page)))
      return texts.map(text => /signed in at (\w+)/.exec(text)?.[1])
    }
    const left: (string | undefined)[] = users.map(([title]) => title)
    assert.deepEqual(await signedIn(), left)
    for (const [index, { title, page }] of browsers.entries()) {
      await page.goto(`${issuerOf(title)}/session/end`)
      await page.click('button[name=logout]')
      await page.waitForURL(`${issuerOf(title)}/session/end/success`)
      left[index] = undefined
      assert.deepEqual(await signedIn(), left)
    }
    for (const { context } of browsers) await context.close()
  })
})
