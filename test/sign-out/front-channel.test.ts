import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { after, before, describe, test } from 'node:test'
import session from 'express-session'
import { createAgent } from '../support/agent.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { sessionCookie, sessionCookieOf } from '../support/handler-fixture.js'
import { type RawResponse, send } from '../support/http-client.js'
import { type LoopbackServer, startLoopbackServer } from '../support/loopback-server.js'
import { startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { isSignedIn, type LogoutFixture, linesOf, signIn, withLogoutFixture } from './support.js'

/** What the frame on the provider's page asks for. */
function frameAddress({ site, provider }: LogoutFixture, query: Readonly<Record<string, string>> = {}): string {
  const named = new URLSearchParams({ iss: provider.issuer, sid: 'sid-1', ...query })
  return `${site.url}/logout/frontchannel?${named}`
}

function assertFramable(
  fixture: LogoutFixture,
  { headers, setCookies }: Pick<RawResponse, 'headers' | 'setCookies'>,
): void {
  const { origin } = new URL(fixture.provider.issuer)
  assert.equal(headers['content-security-policy'], `default-src 'none'; frame-ancestors ${origin}`)
  assert.equal(headers['x-frame-options'], undefined)
  assert.equal(headers['cache-control'], 'no-store')
  // Only the binding of the browser is replaced, so that what was begun before cannot be finished.
  assert.deepEqual(
    setCookies.filter(cookie => !/^__Host-oidc\.[\w-]{10}=/.test(cookie)),
    [],
  )
}

describe('a front-channel logout', () => {
  test(
    'ends the session through the index: the frame brings no cookie and needs none',
    withLogoutFixture({}, async fixture => {
      const { agent, provider, signedOut } = fixture
      await signIn(fixture, agent)
      const page = await agent.frame(frameAddress(fixture), { from: `${provider.issuer}/end_session` })
      assert.equal(page.status, 200)
      assert.doesNotMatch(page.hops[0]?.requestHeaders.cookie ?? '', /\bsid=/)
      assertFramable(fixture, { headers: page.headers, setCookies: page.hops[0]?.setCookies ?? [] })
      assert.equal(await isSignedIn(fixture, agent), false)
      assert.deepEqual(
        signedOut.map(({ reason, sid }) => [reason, sid]),
        [['front-channel', 'sid-1']],
      )
    }),
  )

  test(
    'is the same when it is requested again, and for an unknown session, and calls the hook once',
    withLogoutFixture({}, async fixture => {
      await signIn(fixture, fixture.agent)
      for (const query of [{}, {}, { sid: 'unknown' }]) {
        const response = await send({ url: frameAddress(fixture, query) })
        assert.equal(response.status, 200)
        assertFramable(fixture, response)
      }
      assert.equal(fixture.signedOut.length, 1)
    }),
  )

  test(
    'is not authenticated: tokens are not revoked, and the provider is not called',
    withLogoutFixture({ oidc: { scope: 'openid offline_access' } }, async fixture => {
      await signIn(fixture, fixture.agent)
      const before = fixture.provider.requests.length
      assert.equal((await send({ url: frameAddress(fixture) })).status, 200)
      assert.equal(await isSignedIn(fixture, fixture.agent), false)
      assert.equal(fixture.provider.requests.length, before)
    }),
  )

  test(
    'ends no other session, of the same person or with the same sid at another provider',
    withLogoutFixture({}, async fixture => {
      await signIn(fixture, fixture.agent)
      const wrong = [{ iss: 'https://other.example' }, { iss: `${fixture.provider.issuer}/` }, { sid: 'sid-2' }]
      for (const query of [...wrong, { sid: 'alice-0001' }]) {
        const response = await send({ url: frameAddress(fixture, query) })
        assert.equal(response.status, 'iss' in query ? 400 : 200)
        assertFramable(fixture, response)
        assert.equal(await isSignedIn(fixture, fixture.agent), true)
      }
      assert.equal(linesOf(fixture).length, 2)
    }),
  )

  test(
    'that can be read in two ways, or names a provider and no session, is refused',
    withLogoutFixture({}, async fixture => {
      await signIn(fixture, fixture.agent)
      const { issuer } = fixture.provider
      for (const query of [`iss=${issuer}`, `iss=${issuer}&sid=sid-1&sid=sid-2`, `iss=${issuer}&sid=`]) {
        const response = await send({ url: `${fixture.site.url}/logout/frontchannel?${query}` })
        assert.equal(response.status, 400, query)
        assertFramable(fixture, response)
      }
      assert.equal((await send({ url: frameAddress(fixture), method: 'POST' })).status, 405)
      assert.equal(await isSignedIn(fixture, fixture.agent), true)
      assert.deepEqual(fixture.site.errors, [])
    }),
  )

  test(
    'with a sid alone, as older providers send it, ends that session',
    withLogoutFixture({}, async fixture => {
      await signIn(fixture, fixture.agent)
      const response = await send({ url: `${fixture.site.url}/logout/frontchannel?sid=sid-1` })
      assert.equal(response.status, 200)
      assert.equal(await isSignedIn(fixture, fixture.agent), false)
    }),
  )

  test(
    'finds a sid that the provider did not encode',
    withLogoutFixture({ provider: { sid: 'aB3$/,[+"&x=:' } }, async fixture => {
      await signIn(fixture, fixture.agent)
      const { issuer } = fixture.provider
      const url = `${fixture.site.url}/logout/frontchannel?iss=${issuer}&sid=aB3$/,[+%22&x=:`
      assert.equal((await send({ url })).status, 200)
      assert.equal(await isSignedIn(fixture, fixture.agent), false)
    }),
  )

  test(
    'works whatever the site says about framing, and whatever cookie comes along',
    withLogoutFixture(
      {
        site: {
          before: app =>
            void app.use((_req, res, next) => {
              res.set({ 'X-Frame-Options': 'DENY', 'Content-Security-Policy': "frame-ancestors 'none'" })
              next()
            }),
        },
      },
      async fixture => {
        await signIn(fixture, fixture.agent)
        const response = await send({ url: frameAddress(fixture), headers: { cookie: `${sessionCookie}=garbage` } })
        assert.equal(response.status, 200)
        assertFramable(fixture, response)
        assert.equal(await isSignedIn(fixture, fixture.agent), false)
      },
    ),
  )

  test('says 503 when the store could not do it, and works when asked again', async () => {
    const redis = await startRedis()
    try {
      await withLogoutFixture({ oidc: { redis: redis.url, timeouts: { redis: 300 } } }, async fixture => {
        await signIn(fixture, fixture.agent)
        redis.pause()
        const failed = await send({ url: frameAddress(fixture) })
        redis.resume()
        assert.equal(failed.status, 503)
        assertFramable(fixture, failed)
        assert.equal((await send({ url: frameAddress(fixture) })).status, 200)
        assert.equal(await isSignedIn(fixture, fixture.agent), false)
      })()
    } finally {
      redis.resume()
      await redis.stop()
    }
  })

  describe('without iss and sid', () => {
    const bare = (fixture: LogoutFixture, cookie?: string) =>
      send({
        url: `${fixture.site.url}/logout/frontchannel`,
        ...(cookie !== undefined && { headers: { cookie: `${sessionCookie}=${cookie}` } }),
      })

    test(
      'does not end a session that has a sid',
      withLogoutFixture({}, async fixture => {
        await signIn(fixture, fixture.agent)
        assert.equal((await bare(fixture, sessionCookieOf(fixture))).status, 400)
        assert.equal(await isSignedIn(fixture, fixture.agent), true)
      }),
    )

    test(
      'ends the session of the browser where the provider gives sessions no name, and that session only',
      withLogoutFixture({ provider: { sid: null } }, async fixture => {
        await signIn(fixture, fixture.agent)
        const other = createAgent()
        await signIn(fixture, other)
        assert.equal((await bare(fixture)).status, 200)
        assert.equal(await isSignedIn(fixture, fixture.agent), true)
        const response = await bare(fixture, sessionCookieOf(fixture))
        assert.equal(response.status, 200)
        assertFramable(fixture, response)
        assert.equal(await isSignedIn(fixture, fixture.agent), false)
        assert.equal(await isSignedIn(fixture, other), true)
        assert.equal(fixture.signedOut.length, 1)
      }),
    )
  })

  test('ends the sign-in of a site that mounts express-session itself', async () => {
    const mounted = session({ secret: secret('cookie secret'), resave: false, saveUninitialized: false })
    const site = { before: (app: { use(handler: unknown): unknown }) => void app.use(mounted) }
    await withLogoutFixture({ site, oidc: { session: false } }, async fixture => {
      await signIn(fixture, fixture.agent)
      assert.equal((await send({ url: frameAddress(fixture) })).status, 200)
      assert.equal(await isSignedIn(fixture, fixture.agent), false)
    })()
  })
})

describe('in Chromium', () => {
  let chromium: Chromium
  before(async () => {
    chromium = await startChromium({ args: ['--test-third-party-cookie-phaseout'] })
  })
  after(() => chromium.close())

  /** A page that frames an address, and says whether the frame was let in. */
  async function startFramer(): Promise<LoopbackServer & { readonly url: string }> {
    const server = await startLoopbackServer((req: IncomingMessage, res: ServerResponse) => {
      const target = new URL(req.url ?? '/', 'http://x').searchParams.get('frame') ?? ''
      res.writeHead(200, { 'content-type': 'text/html' })
      res.end(`<!doctype html><iframe src="${target.replaceAll('&', '&amp;')}"></iframe>`)
    })
    return { ...server, url: `http://127.0.0.1:${server.port}` }
  }

  test(
    'a frame on a page of the provider, another site, with third-party cookies blocked, ends the session',
    withLogoutFixture({}, async fixture => {
      const page = await chromium.newPage()
      await page.goto(`${fixture.site.url}/claims`)
      assert.equal(
        (await page.context().cookies(fixture.site.url)).some(({ name }) => name === sessionCookie),
        true,
      )

      const body = `<!doctype html><iframe src="${frameAddress(fixture).replaceAll('&', '&amp;')}"></iframe>`
      const respondWithPage = () => ({ status: 200, headers: { 'content-type': 'text/html' }, body })
      fixture.provider.break({ endSession: { respond: respondWithPage } })
      const framed = page.waitForRequest(request => request.url().includes('/logout/frontchannel'))
      await page.goto(`${fixture.provider.issuer}/end_session`)
      const request = await framed
      const response = await request.response()
      assert.equal(response?.status(), 200)
      assert.equal((await request.allHeaders()).cookie, undefined, 'no cookie came along')
      assert.equal((await request.allHeaders())['sec-fetch-site'], 'cross-site')
      await page.frames()[1]?.waitForLoadState()
      assert.equal(page.frames()[1]?.url(), frameAddress(fixture), 'the frame was let in')

      await page.goto(`${fixture.site.url}/user`)
      assert.match((await page.textContent('body')) ?? '', /"isAuthenticated":false/)
      await page.context().close()
    }),
  )

  test(
    'a page of another origin cannot frame it',
    withLogoutFixture({}, async fixture => {
      const framer = await startFramer()
      try {
        const page = await chromium.newPage()
        await page.goto(`${framer.url}/?frame=${encodeURIComponent(frameAddress(fixture))}`)
        await page.frames()[1]?.waitForLoadState()
        assert.match(page.frames()[1]?.url() ?? '', /^chrome-error:/)
        await page.context().close()
      } finally {
        await framer.stop()
      }
    }),
  )
})
