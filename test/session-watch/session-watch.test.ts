import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import type { Express } from 'express'
import type { BrowserContext, Page } from 'playwright-core'
import { requiresAuth } from '../../lib/index.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { startRedis } from '../support/redis.js'
import { startTokenFixture, type TokenFixture } from '../tokens/token-fixture.js'

/** As the build of the package makes it. */
const script = buildSync({
  entryPoints: [fileURLToPath(new URL('../../lib/session-watch/index.ts', import.meta.url))],
  bundle: true,
  write: false,
  format: 'esm',
  target: 'es2021',
  minify: true,
}).outputFiles[0]?.text as string

/** A script of the site, which writes down what happens. */
const ofThePage = `import { watchSession } from '/session-watch.js'
globalThis.happened = []
const { handle } = document.body.dataset
globalThis.watch = watchSession({
  user: '/me',
  handle,
  onWarning: warning => happened.push(warning),
  onExtended: () => happened.push('extended'),
})`

const IDLE = 600
const policy = "default-src 'none'; script-src 'self'; connect-src 'self'; require-trusted-types-for 'script'"

function pageFor(handle: string | undefined): string {
  const data = handle === undefined ? '' : ` data-handle="${handle}"`
  return `<!doctype html><body${data}><p>Page</p><script type="module" src="/page.js"></script>`
}

let fixture: TokenFixture
afterEach(() => fixture.close())

describe('routes.user with slide=0', () => {
  test('writes nothing in the store and does not extend the session, and says when it ends', async () => {
    const redis = await startRedis()
    try {
      fixture = await startTokenFixture({
        oidc: { redis: redis.url, routes: { user: '/me' }, session: { idle: IDLE } },
      })
      await fixture.signIn()
      const ask = async (query: string) => {
        const page = await fixture.agent.fetch(`${fixture.site.url}/me${query}`, { headers: { 'x-csrf': '1' } })
        return page.json<{ session: { endsIn: number } }>().session.endsIn
      }
      const commands = async () => {
        const stats = String(await redis.command('INFO', 'commandstats'))
        const counted = [...stats.matchAll(/^cmdstat_([\w|]+):calls=(\d+)/gm)].map(([, name, calls]) => [name, calls])
        // Once a second at most, a zrem that changes nothing shows whether the server is a replica.
        const others = ['hmget', 'info', 'ping', 'zrem']
        return Object.fromEntries(counted.filter(([name]) => !others.includes(String(name))))
      }
      assert.equal(await ask('?slide=0'), IDLE)
      fixture.advance(300)
      const before = await commands()
      assert.equal(await ask('?slide=0'), 300)
      assert.equal(await ask('?x=1&slide=0'), 300)
      assert.deepEqual(await commands(), before)
      for (const query of ['?slide=1', '?slide', '?slide=0&slide=1', '?Slide=0', '']) {
        assert.equal(await ask(query), IDLE, query)
        fixture.advance(300)
      }
      assert.notDeepEqual(await commands(), before)
    } finally {
      await redis.stop()
    }
  })

  test('says the absolute end where that comes first, and another route takes no notice of it', async () => {
    fixture = await startTokenFixture({ oidc: { routes: { user: '/me' }, session: { idle: IDLE, absolute: 900 } } })
    await fixture.signIn()
    const ask = async () =>
      (await fixture.agent.fetch(`${fixture.site.url}/me?slide=0`, { headers: { 'x-csrf': '1' } })).json<{
        session: { endsIn: number; expiresIn: number }
      }>().session
    fixture.advance(400)
    await fixture.agent.fetch(`${fixture.site.url}/user?slide=0`)
    const { endsIn, expiresIn } = await ask()
    assert.deepEqual([endsIn, expiresIn], [500, 500])
  })
})

test('session-watch is one kilobyte at most, imports nothing and evaluates no text', () => {
  assert.ok(Buffer.byteLength(script) <= 1024, `${Buffer.byteLength(script)} bytes`)
  assert.doesNotMatch(script, /\bimport\b|\beval\b|Function\(|innerHTML|\.style\b/)
})

describe('session-watch in a real browser', { timeout: 240_000 }, () => {
  let chromium: Chromium
  let context: BrowserContext
  let served: string[]
  const problems: string[] = []

  before(async () => {
    chromium = await startChromium({ bfcache: true })
  })
  after(() => chromium?.close())
  afterEach(() => context.close())

  async function start(session: object = { idle: IDLE }): Promise<void> {
    served = []
    fixture = await startTokenFixture({ oidc: { routes: { user: '/me' }, session, userInfo: false }, routes: addPages })
    // A window of its own shows no page from its back/forward cache; a profile does.
    context = await chromium.newProfile()
  }

  function addPages(app: Express): void {
    const send =
      (type: string, text: string) => (_req: unknown, res: { type(t: string): { send(t: string): unknown } }) =>
        void res.type(type).send(text)
    app.get('/session-watch.js', send('js', script))
    app.get('/page.js', send('js', ofThePage))
    app.get('/watched', requiresAuth(), (req, res) => {
      served.push(req.url)
      res.set('Content-Security-Policy', policy).send(pageFor(req.oidc.handle))
    })
    app.get('/signed-out', (req, res) => {
      res.set('Content-Security-Policy', policy).send(pageFor(req.oidc.handle))
    })
    app.get('/leave', (_req, res) => {
      res.send('<form method="post" action="/logout?returnTo=/signed-out"><button>Sign out</button></form>')
    })
    app.get('/elsewhere', (_req, res) => void res.send('<p>elsewhere</p>'))
  }

  async function open(path: string): Promise<Page> {
    const page = await context.newPage()
    page.on(
      'console',
      message => /Content Security Policy|Trusted/.test(message.text()) && problems.push(message.text()),
    )
    page.on('pageerror', error => problems.push(String(error)))
    await page.clock.install()
    const isLooking = page.waitForResponse(response => response.url().includes('/me?slide=0'))
    await page.goto(fixture.site.url + path)
    await page.waitForURL(fixture.site.url + path)
    await isLooking
    return page
  }

  const happened = (page: Page) => page.evaluate('happened') as Promise<readonly unknown[]>

  /** Waits for the browser. `waitForFunction` would need `unsafe-eval`; while the page is loaded again, there is no response. */
  async function until(page: Page, expression: string): Promise<void> {
    for (let at = 0; at < 1200; at += 1) {
      if (await page.evaluate(expression).catch(() => false)) return
      await wait(50)
    }
    assert.fail(`never: ${expression}`)
  }

  async function pass(seconds: number, ...pages: readonly Page[]): Promise<void> {
    fixture.advance(seconds)
    for (const page of pages) await page.clock.fastForward(seconds * 1000)
  }

  test('two tabs are warned, both go on when one extends the session, and both are loaded again after a sign-out', async () => {
    await start()
    const first = await open('/watched?tab=1')
    const second = await open('/watched?tab=2')
    await pass(IDLE - 61, first, second)
    assert.deepEqual([await happened(first), await happened(second)], [[], []])
    await pass(1, first, second)
    for (const page of [first, second]) await until(page, 'happened.length === 1')
    assert.deepEqual(await happened(first), [{ secondsLeft: 60, canExtend: true }])
    await first.evaluate('watch.extend()')
    for (const page of [first, second]) await until(page, "happened.at(-1) === 'extended'")

    // What is asked of time is asked of the server: there is time again.
    await pass(IDLE - 61, first, second)
    assert.equal((await happened(second)).at(-1), 'extended')

    const third = await open('/watched?tab=3')
    assert.equal(served.length, 3)
    await third.goto(`${fixture.site.url}/leave`)
    await third.click('button')
    await third.waitForURL(`${fixture.site.url}/signed-out`)
    // The provider signs in again at once, so that the pages are there again.
    await Promise.all([first, second].map((page, at) => page.waitForURL(new RegExp(`watched\\?tab=${at + 1}`))))
    for (const page of [first, second]) await until(page, "typeof happened === 'object' && happened.length === 0")
    // Both sign in anew. The later sign-in takes the place of the earlier one, whose tab may be loaded once more for it.
    assert.deepEqual([...new Set(served.slice(3))].sort(), ['/watched?tab=1', '/watched?tab=2'])
    assert.ok(served.length <= 6, served.join())
    assert.deepEqual(problems, [])
  })

  test('at the absolute end the warning says that nothing extends the session, and then the page is loaded again', async () => {
    await start({ idle: IDLE, absolute: IDLE })
    const page = await open('/watched')
    await pass(IDLE - 30, page)
    await until(page, 'happened.length === 1')
    assert.deepEqual(await happened(page), [{ secondsLeft: 30, canExtend: false }])
    await pass(31, page)
    await until(page, "typeof happened === 'object' && happened.length === 0")
    assert.equal(served.length, 2)
  })

  test('a page that the browser takes from its back/forward cache is loaded again', async () => {
    await start()
    const page = await open('/watched')
    await page.goto(`${fixture.site.url}/elsewhere`)
    await page.goBack({ waitUntil: 'commit' })
    await until(page, "location.pathname === '/watched' && typeof happened === 'object'")
    assert.equal(served.length, 2)
  })

  test('a page without a user does not load itself again, and neither does one whose network is away', async () => {
    await start()
    await open('/signed-out')
    const page = await open('/watched')
    await context.setOffline(true)
    await pass(IDLE - 60, page)
    assert.deepEqual(await happened(page), [])
    await context.setOffline(false)
    await page.clock.fastForward(10_000)
    await until(page, 'happened.length === 1')
    assert.equal(served.length, 1)
  })
})
