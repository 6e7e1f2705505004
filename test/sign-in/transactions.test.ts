import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Express } from 'express'
import { requiresScope } from '../../lib/index.js'
import type { Agent, Page } from '../support/agent.js'
import { createAgent } from '../support/agent.js'
import { sessionCookieOf, withFixture } from '../support/handler-fixture.js'
import { startHostileProvider } from '../support/hostile-provider.js'
import { startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { startSite } from '../support/site.js'

const attemptCookies = (agent: Agent, url: string) => agent.cookies(url).filter(({ name }) => name.includes('oidc.'))

describe('several attempts in one browser', () => {
  for (const order of [
    [0, 1, 2, 3, 4],
    [4, 3, 2, 1, 0],
    [2, 4, 0, 3, 1],
  ]) {
    test(
      `five tabs end each at its own page, with responses in the order ${order.join()}`,
      withFixture({}, async ({ agent, site }) => {
        const tabs = await openTabs(agent, site.url, 5)
        for (const index of order) {
          const page = await tabs[index]?.submitForm()
          assert.equal(page?.url, `${site.url}/claims?tab=${index}`)
          assert.equal(page?.status, 200)
        }
      }),
    )
  }

  test(
    'twenty tabs end each at its own page, with one small cookie and one session for all of them',
    withFixture({}, async ({ agent, site }) => {
      const tabs = await openTabs(agent, site.url, 20)
      for (const [index, tab] of tabs.entries()) {
        const page = await tab.submitForm()
        assert.equal(page.url, `${site.url}/claims?tab=${index}`, page.text)
        const [cookie, ...others] = attemptCookies(agent, site.url)
        assert.deepEqual(others, [])
        assert.ok(cookie !== undefined && cookie.name.length + cookie.value.length < 300, cookie?.value)
      }
      assert.equal((await site.oidc.sessions.list({ sub: 'alice-0001' })).length, 1)
    }),
  )

  test(
    'a response that found the user signed in by another tab is a repeat when it comes again, and waits for nothing',
    withFixture({}, async ({ agent, site, provider }) => {
      const [first, second] = await openTabs(agent, site.url, 2)
      await first?.submitForm()
      const form = second?.page?.forms[0]
      for (let times = 1; times <= 2; times += 1) {
        const page = await agent.tab().post(`${site.url}/callback`, form?.fields ?? [], {
          from: `${provider.issuer}/authorize`,
          redirect: 'manual',
        })
        assert.equal(page.headers.location, '/claims?tab=1', page.text)
      }
      assert.equal(provider.count('authorize'), 2)
      assert.equal((await site.oidc.sessions.list({ sub: 'alice-0001' })).length, 1)
    }),
  )

  test(
    'a tab whose ID Token lets the session live less long is not satisfied with the session of the tab before',
    withFixture({}, async ({ agent, site, provider }) => {
      const now = Math.floor(Date.now() / 1000)
      let expiry = now + 3000
      provider.break({
        frontIdToken: claims => {
          expiry -= 1000
          return { ...claims, session_expiry: expiry }
        },
      })
      const tabs = await openTabs(agent, site.url, 2)
      const ends = []
      for (const tab of tabs) {
        await tab.submitForm()
        ends.push((await site.oidc.sessions.list({ sub: 'alice-0001' })).at(-1)?.expiresAt)
      }
      assert.deepEqual(ends.sort(), [now + 1000, now + 2000])
      assert.equal(
        (await agent.open(`${site.url}/claims`)).json<{ session_expiry: number }>().session_expiry,
        now + 1000,
      )
    }),
  )

  test('leave one session behind, the last one', async () => {
    const redis = await startRedis()
    try {
      await withFixture({ oidc: { redis: redis.url } }, async ({ agent, site }) => {
        const tabs = await openTabs(agent, site.url, 3)
        for (const tab of tabs) await tab.submitForm()
        assert.equal((await agent.open(`${site.url}/claims`)).status, 200)
        assert.equal(
          ((await redis.command('keys', '*')) as string[]).filter(key => /^oidc:[\w-]{43}$/.test(key)).length,
          1,
        )
      })()
    } finally {
      await redis.stop()
    }
  })

  test(
    'carry the cart of the anonymous session along, whichever tab finishes last',
    withFixture({ oidc: { session: { keep: ['cart'] } } }, async ({ agent, site }) => {
      await agent.open(`${site.url}/`)
      await agent.fetch(`${site.url}/session?cart=apples&other=1`, { method: 'POST' })
      const tabs = await openTabs(agent, site.url, 3)
      for (const tab of tabs) {
        await tab.submitForm()
        assert.deepEqual((await agent.open(`${site.url}/session`)).json(), { cart: 'apples' })
      }
    }),
  )

  test(
    'with sixty foreign cookies around still sign in',
    withFixture({}, async ({ agent, site }) => {
      const planted = Array.from({ length: 60 }, (_, i) => `__Host-oidc.planted.${i}=junk`).join('; ')
      const page = await agent.open(`${site.url}/claims`)
      const cookie = [...agent.cookies(site.url).map(({ name, value }) => `${name}=${value}`), planted].join('; ')
      const response = await agent.submitForm({}, { headers: { cookie }, redirect: 'manual' })
      assert.equal(response.status, 303, page.text)
    }),
  )
})

describe('a response that comes again', () => {
  test(
    'lands on the page of the first time: reload and back button, without another redemption',
    withFixture({}, async ({ agent, site, provider }) => {
      const form = await agent.open(`${site.url}/claims?x=1`)
      const fields = form.forms[0]?.fields ?? []
      await agent.submitForm()
      const again = await agent.post(`${site.url}/callback`, fields, { from: provider.issuer })
      assert.equal(again.url, `${site.url}/claims?x=1`)
      assert.equal(again.status, 200)
      assert.equal(provider.count('token'), 1)
    }),
  )

  test(
    'in another browser is refused',
    withFixture({}, async ({ agent, site, provider }) => {
      const form = await agent.open(`${site.url}/claims`)
      const fields = form.forms[0]?.fields ?? []
      await agent.submitForm()
      await createAgent().post(`${site.url}/callback`, fields, { from: provider.issuer })
      assert.equal(site.lastCode(), 'ERR_OIDC_TRANSACTION_MISSING')
      assert.equal(provider.count('token'), 1)
    }),
  )

  test('twenty times at once on three sites is redeemed once', async () => {
    const redis = await startRedis()
    const provider = await startHostileProvider()
    const shared = { redis: redis.url, secret: secret('shared secret') }
    const { issuer, clientId, clientSecret } = provider
    const oidc = { issuer, clientId, clientSecret, responseType: 'code id_token token', ...shared }
    const first = await startSite({ oidc })
    const others = await Promise.all([1, 2].map(() => startSite({ oidc: { ...oidc, baseUrl: first.url } })))
    try {
      const agent = createAgent()
      const form = await agent.open(`${first.url}/claims`)
      const fields = form.forms[0]?.fields ?? []
      const cookie = agent.cookies(first.url).map(({ name, value }) => `${name}=${value}`)
      const responses = await Promise.all(
        Array.from({ length: 20 }, (_, i) => {
          const site = [first, ...others][i % 3]
          const headers = { cookie: cookie.join('; ') }
          return createAgent().post(`${site?.url}/callback`, fields, { from: issuer, headers, redirect: 'manual' })
        }),
      )
      assert.equal(provider.count('token'), 1)
      const signedIn = responses.filter(({ hops }) => hops[0]?.setCookies.some(value => value.startsWith('sid=')))
      const sessions = new Set(signedIn.flatMap(({ hops }) => hops[0]?.setCookies.filter(value => /^sid=/.test(value))))
      assert.deepEqual([signedIn.length, sessions.size], [20, 1], 'all of them get the one session')
      assert.ok(
        responses.every(({ status }) => status === 303),
        responses.map(({ status }) => status).join(),
      )
    } finally {
      await Promise.all([first, ...others].map(site => site.close()))
      await provider.close()
      await redis.stop()
    }
  })
})

describe('a response that comes late', () => {
  test('starts anew by itself, once, and still ends at the page asked for', async () => {
    let late = 0
    const now = () => new Date(Date.now() + late)
    await withFixture({ oidc: { now } }, async ({ agent, site, provider }) => {
      await agent.open(`${site.url}/claims?x=1`)
      late = 16 * 60_000
      const again = await agent.submitForm()
      assert.equal(provider.count('token'), 0)
      assert.equal(provider.count('authorize'), 2)
      assert.ok(again.forms[0]?.isAutomatic, 'the provider answers a second time')
      late = 0
    })()
  })

  test('asks again for the scope that the attempt was about', async () => {
    let late = 0
    const now = () => new Date(Date.now() + late)
    const routes = (app: Express) =>
      void app.get('/orders', requiresScope('orders.read', { ask: true }), (_req, res) => void res.json({}))
    await withFixture({ oidc: { now, scope: 'openid' }, site: { routes } }, async ({ agent, site, provider }) => {
      await agent.visit(`${site.url}/claims`)
      await agent.open(`${site.url}/orders`)
      late = 16 * 60_000
      await agent.submitForm()
      const scopes = provider.requestsTo('authorize').map(({ query }) => query.scope)
      assert.deepEqual(scopes, ['openid', 'openid orders.read', 'openid orders.read'])
    })()
  })

  test('a second time is an error page with a link to start again, not a loop', async () => {
    let late = 0
    const now = () => new Date(Date.now() + late)
    await withFixture({ oidc: { now }, site: { handlesErrors: false } }, async ({ agent, site, provider }) => {
      await agent.open(`${site.url}/claims?x=1`)
      late = 16 * 60_000
      await agent.submitForm()
      late = 32 * 60_000
      const page: Page = await agent.submitForm()
      assert.equal(page.status, 400)
      assert.match(page.text, /href="\/login\?returnTo=%2Fclaims%3Fx%3D1"/)
      assert.equal(provider.count('authorize'), 2)
      assert.equal(provider.count('token'), 0)
      assert.match(site.log.join(), /ERR_OIDC_TRANSACTION_EXPIRED/)
    })()
  })
})

test(
  'every sign-in gets a new session id, even over a signed-in session, and the old one is dead',
  withFixture({}, async fixture => {
    const { agent, site } = fixture
    await agent.visit(`${site.url}/claims`)
    const first = sessionCookieOf(fixture)
    await agent.visit(`${site.url}/login?returnTo=/claims`)
    const second = sessionCookieOf(fixture)
    assert.notEqual(first, second)
    const replay = await createAgent().fetch(`${site.url}/user`, { headers: { cookie: `sid=${first}` } })
    assert.equal(replay.json<{ isAuthenticated: boolean }>().isAuthenticated, false)
  }),
)

async function openTabs(agent: Agent, url: string, count: number): Promise<Agent[]> {
  const tabs = Array.from({ length: count }, () => agent.tab())
  for (const [index, tab] of tabs.entries()) await tab.open(`${url}/claims?tab=${index}`)
  return tabs
}
