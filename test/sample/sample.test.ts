import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { BrowserContext, Page } from 'playwright-core'
import { type Sample, startSample } from '../../sample-app/start-sample.js'
import { type Chromium, startChromium } from '../support/chromium.js'

const protocolClaims = ['iss', 'aud', 'nbf', 'exp', 'iat', 'nonce', 'c_hash', 'at_hash', 's_hash', 'azp']

describe('the sample in a real browser', { timeout: 240_000 }, () => {
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

  /** A private window, and every response of the site it gets. */
  async function open(): Promise<{ context: BrowserContext; page: Page; bodies: string[] }> {
    const context = await chromium.newContext()
    const page = await context.newPage()
    const bodies: string[] = []
    page.on('response', response => {
      if (response.url().startsWith(sample.siteUrl))
        response.text().then(
          text => bodies.push(text),
          () => {},
        )
    })
    return { context, page, bodies }
  }

  test('runs on a Redis of its own', () => {
    assert.equal(sample.sessions, 'own redis')
  })

  test('claims, API both ways, sign-out at both ends, and a sign-in as another user', async () => {
    const { context, page, bodies } = await open()
    await page.goto(`${sample.siteUrl}/claims`)
    assert.ok(page.url().startsWith(String(sample.identityUrl)), 'a signed-out visitor goes to the identity server')
    await signIn(page, 'alice')
    assert.equal(page.url(), `${sample.siteUrl}/claims`)

    assert.match(await textOf(page, 'main'), /alice/i)
    const names = await page.locator('tbody th[scope=row]').allTextContents()
    assert.ok(names.includes('sub'), names.join())
    for (const name of protocolClaims) assert.ok(!names.includes(name), `${name} is not shown`)

    await page.goto(`${sample.siteUrl}/call-api`)
    assert.match(await textOf(page, 'main'), /status 200/)
    await page.goto(`${sample.siteUrl}/call-api/script`)
    await page.click('#call')
    await page.waitForSelector('#response table')
    assert.match(await textOf(page, '#response'), /status 200/)
    assert.ok(!bodies.some(body => /eyJ[\w-]+\.eyJ/.test(body)), 'no JWT in anything the site sent')

    await page.click('text=Sign out')
    await page.click('button[name=logout]')
    await page.waitForURL(`${sample.siteUrl}/**`)
    await page.goto(`${sample.siteUrl}/claims`)
    assert.ok(await page.locator('input[name=username]').isVisible(), 'the identity server asks again')
    await signIn(page, 'bob')
    assert.match(await textOf(page, 'main'), /bob/i)
    await context.close()
  })

  test('five tabs at once end each at its own page', async () => {
    const { context, page } = await open()
    await page.goto(`${sample.siteUrl}/claims`)
    await signIn(page, 'alice')
    await context.clearCookies({ name: 'sid' })
    const tabs = await Promise.all(Array.from({ length: 5 }, () => context.newPage()))
    await Promise.all(tabs.map((tab, index) => tab.goto(`${sample.siteUrl}/claims?tab=${index}`)))
    assert.deepEqual(
      tabs.map(tab => tab.url()),
      tabs.map((_, index) => `${sample.siteUrl}/claims?tab=${index}`),
    )
    await context.close()
  })

  test('the back button after a sign-in ends at a page of the site, signed in', async () => {
    const { context, page } = await open()
    await page.goto(`${sample.siteUrl}/`)
    await page.click('text=Sign in')
    await signIn(page, 'alice')
    await page.goBack()
    await page.waitForURL(`${sample.siteUrl}/**`)
    assert.ok(await page.getByText('Sign out').isVisible(), 'there is no way to sign out')
    await context.close()
  })

  test('two users in two tabs: both tabs show the last user, Back shows no other user, and a double click signs out in both', async () => {
    const { context, page } = await open()
    const other = await context.newPage()
    await page.goto(`${sample.siteUrl}/claims`)
    await other.goto(`${sample.siteUrl}/sessions`)
    await signIn(page, 'alice')
    assert.match(await textOf(page, 'header'), /Alice/)
    await signIn(other, 'bob')
    assert.match(await textOf(other, 'header'), /Bob/)
    await page.reload()
    assert.match(await textOf(page, 'header'), /Bob/)
    await page.goBack()
    await page.waitForURL(`${sample.siteUrl}/**`)
    assert.doesNotMatch(await page.content(), /Alice/)
    await other.getByRole('button', { name: 'Sign out', exact: true }).dblclick()
    await other.click('button[name=logout]')
    await other.waitForURL(`${sample.siteUrl}/**`)
    // The other tab follows by itself.
    await page.getByRole('button', { name: 'Sign out', exact: true }).waitFor({ state: 'detached' })
    for (const tab of [page, other]) {
      await tab.goto(`${sample.siteUrl}/claims`)
      assert.ok(await tab.locator('input[name=username]').isVisible(), 'the identity server asks again')
    }
    await context.close()
  })

  test('a cancelled sign-in is a plain page with a way to start again', async () => {
    const { context, page } = await open()
    await page.goto(`${sample.siteUrl}/claims`)
    await page.click('text=Cancel')
    await page.waitForURL(`${sample.siteUrl}/**`)
    assert.match(await textOf(page, 'main'), /cancelled|not allowed/i)
    assert.ok(!(await page.content()).includes('access_denied'), 'nothing the provider said is repeated')
    await context.close()
  })

  test('the attempt works when it took longer than the two minutes browsers forgive', async () => {
    const { context, page } = await open()
    await page.goto(`${sample.siteUrl}/claims`)
    const attempt = (await context.cookies()).find(({ name }) => name.includes('oidc.'))
    assert.deepEqual(
      [attempt?.name.startsWith('__Host-'), attempt?.sameSite, attempt?.secure, attempt?.httpOnly],
      [true, 'None', true, true],
    )
    await signIn(page, 'alice')
    const session = (await context.cookies()).find(({ name }) => name === 'sid')
    assert.deepEqual([session?.sameSite, session?.httpOnly, session?.path], ['Lax', true, '/'])
    await context.close()
  })
})

async function textOf(page: Page, selector: string): Promise<string> {
  return (await page.locator(selector).textContent()) ?? ''
}

/** Signs in at the identity server, and allows what is asked for where it is asked. */
async function signIn(page: Page, user: string): Promise<void> {
  await page.fill('input[name=username]', user)
  await page.fill('input[name=password]', user)
  await page.click('button.primary')
  const allow = page.getByRole('button', { name: 'Allow' })
  const isAsked = allow.waitFor().then(() => allow.click())
  // Whichever comes first; the other one may never come.
  await Promise.race([isAsked, page.waitForURL(/localhost/)])
  isAsked.catch(() => {})
  await page.waitForURL(/localhost/)
}
