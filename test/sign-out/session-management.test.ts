import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Express } from 'express'
import type { Page } from 'playwright-core'
import { type Chromium, startChromium } from '../support/chromium.js'
import type { FixtureOptions } from '../support/handler-fixture.js'
import { extra } from '../support/hostile-provider.js'
import { send } from '../support/http-client.js'
import { type LoopbackServer, startLoopbackServer } from '../support/loopback-server.js'
import { isSignedIn, type LogoutFixture, signIn, withLogoutFixture } from './support.js'

const sessionState = 'Zm9v"><script>alert(1)</script>.salt'

/** The provider's frame: tells the test what it was asked, and answers what the test wants. */
const providerFrame = `<!doctype html><script>
window.state = 'unchanged'
addEventListener('message', ({ source, origin, data }) => {
  fetch('/asked', { method: 'POST', body: JSON.stringify([origin, data]) })
  source.postMessage(window.state, origin)
})
</script>`

/** A page of the site that embeds the watcher and writes down what it says. */
const watchedPage = `<!doctype html><title>Watched</title><iframe id="watcher" src="/session/check" hidden></iframe><script>
window.heard = []
addEventListener('message', ({ origin, data }) => { if (origin === location.origin) heard.push(data) })
</script>`

interface Watched extends LogoutFixture {
  readonly asked: readonly (readonly [string, string])[]
  /** Where the provider's frame comes from. */
  readonly framesPort: number
  /** What the provider's frame says from now on. */
  state: string
}

function inWatched(
  run: (fixture: Watched) => Promise<void>,
  options: FixtureOptions['oidc'] = {},
): () => Promise<void> {
  return async () => {
    const asked: [string, string][] = []
    let state = 'unchanged'
    const frames: LoopbackServer = await startLoopbackServer((req, res) => {
      if (req.method !== 'POST') {
        const framed = new URL(req.url ?? '/', 'http://x').searchParams.get('frame')
        const embedding = `<!doctype html><iframe src="${framed}"></iframe>`
        res.writeHead(200, { 'content-type': 'text/html' })
        res.end(framed === null ? providerFrame.replace("= 'unchanged'", `= '${state}'`) : embedding)
        return
      }
      req.setEncoding('utf8').on('data', (text: string) => asked.push(JSON.parse(text)))
      req.on('end', () => res.end())
    })
    const fixture: FixtureOptions = {
      provider: { metadata: { check_session_iframe: `http://127.0.0.1:${frames.port}/frame` } },
      oidc: { routes: { checkSession: '/session/check' }, ...options },
      site: {
        routes: (app: Express) => void app.get('/watched', (_req, res) => void res.type('html').send(watchedPage)),
      },
    }
    try {
      await withLogoutFixture(fixture, async opened => {
        opened.provider.break({ response: extra('session_state', sessionState) })
        const watched: Watched = {
          ...opened,
          asked,
          framesPort: frames.port,
          get state() {
            return state
          },
          set state(value) {
            state = value
          },
        }
        await run(watched)
      })()
    } finally {
      await frames.stop()
    }
  }
}

const address = ({ site }: LogoutFixture) => `${site.url}/session/check`

describe('the page that watches the session at the provider', () => {
  test('is not there unless the site wants it', async () => {
    await withLogoutFixture({}, async fixture => {
      assert.equal((await send({ url: address(fixture) })).status, 404)
    })()
  })

  test(
    'asks with client id and session_state, both escaped, and may be framed by this site only',
    inWatched(async fixture => {
      await signIn(fixture, fixture.agent)
      const { status, headers, text } = await fixture.agent.fetch(`${address(fixture)}?client_id=<script>`)
      assert.equal(status, 200)
      assert.match(text, /data-question="client Zm9v&#34;&#62;&#60;script&#62;alert\(1\)&#60;\/script&#62;\.salt"/)
      assert.equal(text.match(/<script>/g)?.length, 1)
      assert.equal(headers['x-frame-options'], 'SAMEORIGIN')
      assert.equal(headers['cache-control'], 'no-store')
      assert.match(
        String(headers['content-security-policy']),
        /^default-src 'none'; script-src 'sha256-[^']+'; frame-src http:\/\/127\.0\.0\.1:\d+; base-uri 'none'; frame-ancestors 'self'$/,
      )
    }),
  )

  test(
    'is empty where no user is signed in, and other methods than GET are refused',
    inWatched(async fixture => {
      const response = await send({ url: address(fixture) })
      assert.deepEqual([response.status, response.text], [204, ''])
      assert.equal((await send({ url: address(fixture), method: 'POST' })).status, 405)
    }),
  )

  test('is empty where the provider has no such frame, or gave no session_state', async () => {
    const oidc = { routes: { checkSession: '/session/check' } } as const
    const metadata = { check_session_iframe: 'https://op.example/frame' }
    for (const [provider, response] of [
      [{}, extra('session_state', 'x.y')],
      [{ metadata }, extra('unknown', 'x')],
    ] as const) {
      await withLogoutFixture({ oidc, provider }, async fixture => {
        fixture.provider.break({ response })
        await signIn(fixture, fixture.agent)
        assert.equal((await fixture.agent.fetch(address(fixture))).status, 204)
      })()
    }
  })
})

describe('in Chromium the page that watches', () => {
  let chromium: Chromium
  before(async () => {
    // A page that is changed on the way counts as one from the Internet, which may not load anything from this machine.
    chromium = await startChromium({ args: ['--disable-features=LocalNetworkAccessChecks'] })
  })
  after(() => chromium.close())

  /** A browser that is signed in and looks at the watched page. Its clock runs when told to. */
  async function openWatched(fixture: Watched): Promise<Page> {
    const page = await chromium.newPage()
    await page.goto(`${fixture.site.url}/claims`)
    await page.clock.install()
    await page.goto(`${fixture.site.url}/watched`)
    await heardBy(page, () => fixture.asked.length >= 1)
    return page
  }

  /** Lets the page live on until something has happened. */
  async function heardBy(page: Page, holds: () => boolean | Promise<boolean>): Promise<void> {
    for (let step = 0; step < 200; step += 1) {
      if (await holds()) return
      await page.clock.runFor(1000)
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    assert.fail('it never came to this')
  }

  const heard = (page: Page) => page.evaluate(() => (globalThis as unknown as { heard: unknown[] }).heard)

  test(
    'hears nothing while the session is unchanged, says once that it has changed, and asks no more',
    inWatched(async fixture => {
      const page = await openWatched(fixture)
      await heardBy(page, () => fixture.asked.length >= 3)
      assert.deepEqual(await heard(page), [])
      assert.deepEqual(fixture.asked[0], [fixture.site.url, `${fixture.provider.clientId} ${sessionState}`])

      await frameOf(page).evaluate(`window.state = 'changed'`)
      await heardBy(page, async () => (await heard(page)).length > 0)
      const count = fixture.asked.length
      await page.clock.runFor(60_000)
      assert.deepEqual(await heard(page), [{ type: 'oidc-session', state: 'changed' }])
      assert.equal(fixture.asked.length, count)
      await page.context().close()
    }),
  )

  test(
    'stops after an error',
    inWatched(async fixture => {
      fixture.state = 'error'
      const page = await openWatched(fixture)
      await heardBy(page, async () => (await heard(page)).length > 0)
      const count = fixture.asked.length
      await page.clock.runFor(60_000)
      assert.deepEqual(await heard(page), [{ type: 'oidc-session', state: 'error' }])
      assert.equal(fixture.asked.length, count)
      await page.context().close()
    }),
  )

  test(
    'ignores another window, though it is of the right origin',
    inWatched(async fixture => {
      const page = await openWatched(fixture)
      const evil = `http://127.0.0.1:${fixture.framesPort}/evil`
      const added = page.waitForEvent('framenavigated', { predicate: frame => frame.url() === evil })
      await page.evaluate(`{
        const frame = document.createElement('iframe')
        frame.src = '${evil}'
        document.body.append(frame)
      }`)
      await (await added).evaluate(`parent.frames[0].postMessage('changed', '*')`)
      await page.evaluate(`document.getElementById('watcher').contentWindow.postMessage('changed', location.origin)`)
      await page.clock.runFor(20_000)
      assert.deepEqual(await heard(page), [])
      await page.context().close()
    }),
  )

  test(
    'ignores another origin, though it is in the right window',
    inWatched(async fixture => {
      const page = await chromium.newPage()
      // Its own policy would not let the frame be led astray.
      await page.route(address(fixture), async route => {
        const response = await route.fetch()
        const { 'content-security-policy': _, ...headers } = response.headers()
        await route.fulfill({ response, headers })
      })
      await page.goto(`${fixture.site.url}/claims`)
      await page.clock.install()
      await page.goto(`${fixture.site.url}/watched`)
      await heardBy(page, () => fixture.asked.length >= 1)
      const stray = `http://localhost:${fixture.framesPort}/stray`
      const strays = page.waitForEvent('framenavigated', { predicate: frame => frame.url() === stray })
      // The navigation may be quicker than the response of the page it leaves; whether it came is seen below.
      await frameOf(page)
        .evaluate(`location.replace('${stray}')`)
        .catch(() => {})
      const astray = await strays
      await astray.waitForLoadState()
      await astray.evaluate(`parent.postMessage('changed', '*')`)
      await page.clock.runFor(20_000)
      assert.deepEqual(await heard(page), [])
      await page.context().close()
    }),
  )

  test(
    'is not let into a page of another origin, though the cookie comes along',
    inWatched(async fixture => {
      const page = await chromium.newPage()
      await page.goto(`${fixture.site.url}/claims`)
      const refused = page.waitForEvent('framenavigated', { predicate: frame => /^chrome-error:/.test(frame.url()) })
      await page.goto(`http://localhost:${fixture.framesPort}/embed?frame=${encodeURIComponent(address(fixture))}`)
      await refused
      assert.equal(fixture.asked.length, 0)
      await page.context().close()
    }),
  )

  function frameOf(page: Page) {
    const frame = page.frames().find(candidate => candidate.url().endsWith('/frame'))
    assert.ok(frame, 'no frame')
    return frame
  }
})

test('the site can react by signing out here only', async () => {
  await withLogoutFixture({}, async fixture => {
    await signIn(fixture, fixture.agent)
    await fixture.agent.post(`${fixture.site.url}/logout?local=1&returnTo=/user`, {})
    assert.equal(await isSignedIn(fixture, fixture.agent), false)
    assert.equal(fixture.provider.count('endSession'), 0)
  })()
})
