import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Express } from 'express'
import type { Page } from 'playwright-core'
import { requiresAuth } from '../../lib/index.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { type Fixture, withFixture } from '../support/handler-fixture.js'

let chromium: Chromium

before(async () => {
  chromium = await startChromium()
})
after(() => chromium?.close())

const worker = `
addEventListener('install', () => skipWaiting())
addEventListener('activate', event => event.waitUntil(clients.claim()))
addEventListener('fetch', event => event.respondWith(fetch(event.request)))`

/** A site whose service worker answers everything, navigations too, and the requests that came through it. */
function withWorker(seen: string[]): (app: Express) => void {
  return app => {
    app.use((req, _res, next) => {
      if (req.headers['sec-fetch-mode'] === 'navigate' && req.headers['sec-fetch-dest'] === 'empty') {
        seen.push(`${req.method} ${req.path}`)
      }
      next()
    })
    app.get('/sw.js', (_req, res) => void res.type('js').send(worker))
    app.get('/install', (_req, res) => {
      res.send(`<script>
        navigator.serviceWorker.register('/sw.js')
        navigator.serviceWorker.addEventListener('controllerchange', () => { document.title = 'controlled' })
      </script>`)
    })
  }
}

const routes = (app: Express) => {
  app.post('/order', requiresAuth(), (_req, res) => void res.send('ordered'))
  app.get('/shop', (_req, res) => void res.send('<form method="post" action="/order"><button>Order</button></form>'))
  app.get('/framing', (_req, res) => {
    res.send('<iframe src="/claims"></iframe><iframe src="/login"></iframe><object data="/claims"></object>')
  })
}

function underWorker(run: (fixture: Fixture, tab: Page, seen: string[]) => Promise<void>): () => Promise<void> {
  const seen: string[] = []
  return withFixture({ site: { before: withWorker(seen), routes, handlesErrors: false } }, async fixture => {
    const tab = await chromium.newPage()
    try {
      await tab.goto(`${fixture.site.url}/install`)
      await tab.waitForFunction("document.title === 'controlled'")
      await run(fixture, tab, seen)
    } finally {
      await tab.context().close()
    }
  })
}

test(
  'under a service worker that fetches every navigation, guarded pages, /login, the callback and /logout work',
  underWorker(async ({ site, provider }, tab, seen) => {
    await tab.goto(`${site.url}/claims?x=1`)
    await tab.waitForURL(`${site.url}/claims?x=1`)
    await tab.getByText('alice-0001').waitFor()
    assert.deepEqual(seen.slice(0, 3), ['GET /claims', 'POST /callback', 'GET /claims'])
    assert.equal(provider.count('authorize'), 1)

    await tab.goto(`${site.url}/logout?local=1`)
    await tab.waitForURL(`${site.url}/`)
    await tab.goto(`${site.url}/login?returnTo=/user`)
    await tab.waitForURL(`${site.url}/user`)
    assert.match(await tab.innerText('body'), /"isAuthenticated":true/)
    assert.ok(seen.includes('GET /login') && seen.includes('GET /logout'), seen.join())

    await tab.goto(`${site.url}/logout?local=1`)
    await tab.waitForURL(`${site.url}/`)
    await tab.goto(`${site.url}/shop`)
    await tab.click('button')
    await tab.waitForURL(`${site.url}/shop`)
    assert.equal(provider.count('authorize'), 3)
  }),
)

test(
  'under a service worker no frame starts a sign-in, although nothing tells it from a page',
  underWorker(async ({ site, provider }, tab, seen) => {
    await tab.goto(`${site.url}/framing`, { waitUntil: 'networkidle' })
    assert.deepEqual(seen.slice().sort(), ['GET /claims', 'GET /framing', 'GET /login'])
    assert.equal(provider.count('authorize'), 0)
    await tab.goto(`${site.url}/claims`)
    await tab.getByText('alice-0001').waitFor()
    assert.equal(provider.count('authorize'), 1)
  }),
)
