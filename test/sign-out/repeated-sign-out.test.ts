import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { RequestHandler } from 'express'
import session from 'express-session'
import type { Request as BrowserRequest } from 'playwright-core'
import { type Chromium, startChromium } from '../support/chromium.js'
import type { FixtureOptions } from '../support/handler-fixture.js'
import { send } from '../support/http-client.js'
import { startProvider } from '../support/provider.js'
import { startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { startSite } from '../support/site.js'
import { createGate, type LogoutFixture, signIn, withLogoutFixture } from './support.js'

/** The cookies of the browser, as they are sent with a form of the site. */
function cookiesOf({ agent, site }: LogoutFixture): string {
  return agent
    .cookies(site.url)
    .map(({ name, value }) => `${name}=${value}`)
    .join('; ')
}

interface Asked {
  readonly hint: string | null
  readonly state: string | null
}

function askedBy(location: string | undefined): Asked {
  const { searchParams } = new URL(location ?? '')
  return { hint: searchParams.get('id_token_hint'), state: searchParams.get('state') }
}

async function click({ site }: LogoutFixture, cookie: string, query = ''): Promise<Asked> {
  const headers = { cookie, origin: site.url }
  const { status, headers: received } = await send({ url: `${site.url}/logout${query}`, method: 'POST', headers })
  assert.equal(status, 303)
  return askedBy(String(received.location))
}

function withExpressSession(): FixtureOptions {
  const options = { secret: secret('secret of the site'), name: 'site', resave: false, saveUninitialized: false }
  return { oidc: { session: false }, site: { before: app => app.use(session(options)) } }
}

const places: readonly (readonly [string, () => FixtureOptions])[] = [
  ['with the session of this package', () => ({})],
  ['with `session: false`', withExpressSession],
]

for (const [name, options] of places) {
  describe(`a sign-out that is asked for twice, ${name}`, () => {
    test('the second click, sent before the first response, asks the provider for the same', async () => {
      await withLogoutFixture(options(), async fixture => {
        await signIn(fixture, fixture.agent)
        const cookie = cookiesOf(fixture)
        const first = await click(fixture, cookie)
        assert.match(first.hint ?? '', /^[\w-]+\.[\w-]+\.[\w-]+$/)
        for (let clicks = 2; clicks <= 4; clicks += 1) assert.deepEqual(await click(fixture, cookie), first)
        assert.equal(fixture.signedOut.length, 1)
      })()
    })

    test('five clicks at once ask for the same', async () => {
      await withLogoutFixture(options(), async fixture => {
        await signIn(fixture, fixture.agent)
        const cookie = cookiesOf(fixture)
        const asked = await Promise.all([1, 2, 3, 4, 5].map(() => click(fixture, cookie)))
        for (const one of asked) assert.deepEqual(one, asked[0])
        assert.notEqual(asked[0]?.hint, null)
        assert.equal(fixture.signedOut.length, 1)
      })()
    })

    test('a click after the response, while the page of the provider is still loading, asks for the same', async () => {
      await withLogoutFixture(options(), async fixture => {
        const { agent, site } = fixture
        await signIn(fixture, agent)
        const page = await agent.post(`${site.url}/logout`, {}, { redirect: 'manual' })
        const first = askedBy(page.leadsTo)
        const again = await agent.post(`${site.url}/logout`, {}, { redirect: 'manual', from: `${site.url}/` })
        assert.deepEqual(askedBy(again.leadsTo), first)
        assert.notEqual(first.hint, null)
      })()
    })
  })
}

describe('what a repeated sign-out does not do', () => {
  test(
    'another browser that signs out gets nothing of it',
    withLogoutFixture({}, async fixture => {
      await signIn(fixture, fixture.agent)
      await click(fixture, cookiesOf(fixture))
      assert.equal((await click(fixture, '')).hint, null)
      assert.equal((await click(fixture, 'sid=guessed')).hint, null)
    }),
  )

  test(
    'the next user of the same browser signs out with a hint of their own',
    withLogoutFixture({ oidc: { userInfo: false } }, async fixture => {
      const { agent, provider } = fixture
      await signIn(fixture, agent)
      const alice = await click(fixture, cookiesOf(fixture))
      await agent.post(`${fixture.site.url}/logout`, {})
      provider.break({
        frontIdToken: claims => ({ ...claims, sub: 'bob' }),
        backIdToken: claims => ({ ...claims, sub: 'bob' }),
      })
      await signIn(fixture, agent)
      const cookie = cookiesOf(fixture)
      const bob = await click(fixture, cookie)
      assert.notEqual(bob.hint, alice.hint)
      assert.deepEqual(await click(fixture, cookie), bob)
    }),
  )

  test('nothing of it is readable in Redis, and it is gone after a minute', async () => {
    const redis = await startRedis()
    try {
      await withLogoutFixture({ oidc: { redis: redis.url } }, async fixture => {
        await signIn(fixture, fixture.agent)
        const { hint } = await click(fixture, cookiesOf(fixture))
        const keys = (await redis.command('KEYS', 'oidc:o:*')) as string[]
        let notes = 0
        for (const key of keys) {
          const value = (await redis.command('GET', key)) as string
          assert.doesNotMatch(value, new RegExp(String(hint?.split('.')[1])))
          if (value.length < String(hint).length) continue
          notes += 1
          assert.ok(Number(await redis.command('TTL', key)) <= 60)
        }
        assert.ok(notes > 0)
      })()
    } finally {
      await redis.stop()
    }
  })
})

describe('a double click on "Sign out" in a real browser, at a real provider', { timeout: 120_000 }, () => {
  let chromium: Chromium
  before(async () => {
    chromium = await startChromium()
  })
  after(() => chromium?.close())

  test('signs out at the provider as well: the next sign-in asks for the user', async () => {
    const provider = await startProvider({ signIn: 'form' })
    const { issuer, clientId, clientSecret } = provider
    const [first, second] = [createGate(), createGate()]
    let clicks = 0
    /** The response to the first click is held until the second click has been answered. */
    const hold: RequestHandler = (req, res, next) => {
      if (req.path !== '/logout') return next()
      clicks += 1
      if (clicks === 1) {
        const end = res.end.bind(res) as () => typeof res
        res.end = (() => {
          void first.until().then(end)
          return res
        }) as typeof res.end
      } else res.on('finish', () => void second.until())
      next()
    }
    const site = await startSite({
      oidc: { issuer, clientId, clientSecret },
      before: app => void app.use(hold),
      routes: app =>
        void app.get('/leave', (_req, res) => {
          res.send('<form method="post" action="/logout?returnTo=/user"><button>Sign out</button></form>')
        }),
    })
    provider.register(site.url)
    const page = await chromium.newPage()
    const asked: Asked[] = []
    page.on('request', (request: BrowserRequest) => {
      if (request.url().startsWith(issuer) && request.url().includes('id_token_hint'))
        asked.push(askedBy(request.url()))
    })
    try {
      await page.goto(`${site.url}/claims`)
      await page.fill('input[name=login]', 'alice')
      await page.click('button')
      await page.waitForURL(`${site.url}/claims`)
      await page.goto(`${site.url}/leave`)
      const { x, y, width, height } = (await page.locator('button').boundingBox()) ?? assert.fail('no button')
      // Unlike `page.click`, the mouse waits for no page.
      await page.mouse.click(x + width / 2, y + height / 2)
      await first.reached
      await page.mouse.click(x + width / 2, y + height / 2)
      await second.reached
      // Not `waitForURL`: it fails when the first navigation, which the second click has ended, is reported as ended.
      for (let tries = 0; page.url() !== `${site.url}/user` && tries < 600; tries += 1) await wait(50)
      await page.getByText('"isAuthenticated":false').waitFor()
      first.open()
      assert.equal(clicks, 2)
      assert.equal(asked.length, 1, 'the browser follows the second response only')
      assert.match(asked[0]?.hint ?? '', /^[\w-]+\.[\w-]+\.[\w-]+$/)
      await page.goto(`${site.url}/claims`)
      assert.equal(await page.locator('input[name=login]').count(), 1)
    } finally {
      await page.context().close()
      await site.close()
      await provider.close()
    }
  })
})
