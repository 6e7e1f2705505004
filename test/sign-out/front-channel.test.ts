import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { after, before, describe, test } from 'node:test'
import session from 'express-session'
import { createAgent } from '../support/agent.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { sessionCookie, sessionCookieOf } from '../support/handler-fixture.js'
import { type RawAnswer, send } from '../support/http-client.js'
import { type LoopbackServer, startLoopbackServer } from '../support/loopback-server.js'
import { startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { inLogoutScene, isSignedIn, type LogoutScene, linesOf, signIn } from './support.js'

/** What the frame on the provider's page asks for. */
function frameAddress({ site, provider }: LogoutScene, query: Readonly<Record<string, string>> = {}): string {
  const named = new URLSearchParams({ iss: provider.issuer, sid: 'sid-1', ...query })
  return `${site.url}/logout/frontchannel?${named}`
}

function assertFramable(scene: LogoutScene, { headers, setCookies }: Pick<RawAnswer, 'headers' | 'setCookies'>): void {
  const { origin } = new URL(scene.provider.issuer)
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
    inLogoutScene({}, async scene => {
      const { agent, provider, signedOut } = scene
      await signIn(scene, agent)
      const page = await agent.frame(frameAddress(scene), { from: `${provider.issuer}/end_session` })
      assert.equal(page.status, 200)
      assert.doesNotMatch(page.hops[0]?.requestHeaders.cookie ?? '', /\bsid=/)
      assertFramable(scene, { headers: page.headers, setCookies: page.hops[0]?.setCookies ?? [] })
      assert.equal(await isSignedIn(scene, agent), false)
      assert.deepEqual(
        signedOut.map(({ reason, sid }) => [reason, sid]),
        [['front-channel', 'sid-1']],
      )
    }),
  )

  test(
    'is the same when it is requested again, and for an unknown session, and calls the hook once',
    inLogoutScene({}, async scene => {
      await signIn(scene, scene.agent)
      for (const query of [{}, {}, { sid: 'unknown' }]) {
        const answer = await send({ url: frameAddress(scene, query) })
        assert.equal(answer.status, 200)
        assertFramable(scene, answer)
      }
      assert.equal(scene.signedOut.length, 1)
    }),
  )

  test(
    'is not authenticated: tokens are not revoked, and the provider is not called',
    inLogoutScene({ oidc: { scope: 'openid offline_access' } }, async scene => {
      await signIn(scene, scene.agent)
      const before = scene.provider.requests.length
      assert.equal((await send({ url: frameAddress(scene) })).status, 200)
      assert.equal(await isSignedIn(scene, scene.agent), false)
      assert.equal(scene.provider.requests.length, before)
    }),
  )

  test(
    'ends no other session, of the same person or with the same sid at another provider',
    inLogoutScene({}, async scene => {
      await signIn(scene, scene.agent)
      const wrong = [{ iss: 'https://other.example' }, { iss: `${scene.provider.issuer}/` }, { sid: 'sid-2' }]
      for (const query of [...wrong, { sid: 'alice-0001' }]) {
        const answer = await send({ url: frameAddress(scene, query) })
        assert.equal(answer.status, 'iss' in query ? 400 : 200)
        assertFramable(scene, answer)
        assert.equal(await isSignedIn(scene, scene.agent), true)
      }
      assert.equal(linesOf(scene).length, 2)
    }),
  )

  test(
    'that can be read in two ways, or names a provider and no session, is refused',
    inLogoutScene({}, async scene => {
      await signIn(scene, scene.agent)
      const { issuer } = scene.provider
      for (const query of [`iss=${issuer}`, `iss=${issuer}&sid=sid-1&sid=sid-2`, `iss=${issuer}&sid=`]) {
        const answer = await send({ url: `${scene.site.url}/logout/frontchannel?${query}` })
        assert.equal(answer.status, 400, query)
        assertFramable(scene, answer)
      }
      assert.equal((await send({ url: frameAddress(scene), method: 'POST' })).status, 405)
      assert.equal(await isSignedIn(scene, scene.agent), true)
      assert.deepEqual(scene.site.errors, [])
    }),
  )

  test(
    'with a sid alone, as older providers send it, ends that session',
    inLogoutScene({}, async scene => {
      await signIn(scene, scene.agent)
      const answer = await send({ url: `${scene.site.url}/logout/frontchannel?sid=sid-1` })
      assert.equal(answer.status, 200)
      assert.equal(await isSignedIn(scene, scene.agent), false)
    }),
  )

  test(
    'finds a sid that the provider did not encode',
    inLogoutScene({ provider: { sid: 'aB3$/,[+"&x=:' } }, async scene => {
      await signIn(scene, scene.agent)
      const { issuer } = scene.provider
      const url = `${scene.site.url}/logout/frontchannel?iss=${issuer}&sid=aB3$/,[+%22&x=:`
      assert.equal((await send({ url })).status, 200)
      assert.equal(await isSignedIn(scene, scene.agent), false)
    }),
  )

  test(
    'works whatever the site says about framing, and whatever cookie comes along',
    inLogoutScene(
      {
        site: {
          before: app =>
            void app.use((_req, res, next) => {
              res.set({ 'X-Frame-Options': 'DENY', 'Content-Security-Policy': "frame-ancestors 'none'" })
              next()
            }),
        },
      },
      async scene => {
        await signIn(scene, scene.agent)
        const answer = await send({ url: frameAddress(scene), headers: { cookie: `${sessionCookie}=garbage` } })
        assert.equal(answer.status, 200)
        assertFramable(scene, answer)
        assert.equal(await isSignedIn(scene, scene.agent), false)
      },
    ),
  )

  test('says 503 when the store could not do it, and works when asked again', async () => {
    const redis = await startRedis()
    try {
      await inLogoutScene({ oidc: { redis: redis.url, timeouts: { redis: 300 } } }, async scene => {
        await signIn(scene, scene.agent)
        redis.pause()
        const failed = await send({ url: frameAddress(scene) })
        redis.resume()
        assert.equal(failed.status, 503)
        assertFramable(scene, failed)
        assert.equal((await send({ url: frameAddress(scene) })).status, 200)
        assert.equal(await isSignedIn(scene, scene.agent), false)
      })()
    } finally {
      redis.resume()
      await redis.stop()
    }
  })

  describe('without iss and sid', () => {
    const bare = (scene: LogoutScene, cookie?: string) =>
      send({
        url: `${scene.site.url}/logout/frontchannel`,
        ...(cookie !== undefined && { headers: { cookie: `${sessionCookie}=${cookie}` } }),
      })

    test(
      'does not end a session that has a sid',
      inLogoutScene({}, async scene => {
        await signIn(scene, scene.agent)
        assert.equal((await bare(scene, sessionCookieOf(scene))).status, 400)
        assert.equal(await isSignedIn(scene, scene.agent), true)
      }),
    )

    test(
      'ends the session of the browser where the provider gives sessions no name, and that session only',
      inLogoutScene({ provider: { sid: null } }, async scene => {
        await signIn(scene, scene.agent)
        const other = createAgent()
        await signIn(scene, other)
        assert.equal((await bare(scene)).status, 200)
        assert.equal(await isSignedIn(scene, scene.agent), true)
        const answer = await bare(scene, sessionCookieOf(scene))
        assert.equal(answer.status, 200)
        assertFramable(scene, answer)
        assert.equal(await isSignedIn(scene, scene.agent), false)
        assert.equal(await isSignedIn(scene, other), true)
        assert.equal(scene.signedOut.length, 1)
      }),
    )
  })

  test('ends the sign-in of a site that mounts express-session itself', async () => {
    const mounted = session({ secret: secret('cookie secret'), resave: false, saveUninitialized: false })
    const site = { before: (app: { use(handler: unknown): unknown }) => void app.use(mounted) }
    await inLogoutScene({ site, oidc: { session: false } }, async scene => {
      await signIn(scene, scene.agent)
      assert.equal((await send({ url: frameAddress(scene) })).status, 200)
      assert.equal(await isSignedIn(scene, scene.agent), false)
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
    inLogoutScene({}, async scene => {
      const page = await chromium.newPage()
      await page.goto(`${scene.site.url}/claims`)
      assert.equal(
        (await page.context().cookies(scene.site.url)).some(({ name }) => name === sessionCookie),
        true,
      )

      const body = `<!doctype html><iframe src="${frameAddress(scene).replaceAll('&', '&amp;')}"></iframe>`
      const answerPage = () => ({ status: 200, headers: { 'content-type': 'text/html' }, body })
      scene.provider.break({ endSession: { answer: answerPage } })
      const framed = page.waitForRequest(request => request.url().includes('/logout/frontchannel'))
      await page.goto(`${scene.provider.issuer}/end_session`)
      const request = await framed
      const answer = await request.response()
      assert.equal(answer?.status(), 200)
      assert.equal((await request.allHeaders()).cookie, undefined, 'no cookie came along')
      assert.equal((await request.allHeaders())['sec-fetch-site'], 'cross-site')
      await page.frames()[1]?.waitForLoadState()
      assert.equal(page.frames()[1]?.url(), frameAddress(scene), 'the frame was let in')

      await page.goto(`${scene.site.url}/user`)
      assert.match((await page.textContent('body')) ?? '', /"isAuthenticated":false/)
      await page.context().close()
    }),
  )

  test(
    'a page of another origin cannot frame it',
    inLogoutScene({}, async scene => {
      const framer = await startFramer()
      try {
        const page = await chromium.newPage()
        await page.goto(`${framer.url}/?frame=${encodeURIComponent(frameAddress(scene))}`)
        await page.frames()[1]?.waitForLoadState()
        assert.match(page.frames()[1]?.url() ?? '', /^chrome-error:/)
        await page.context().close()
      } finally {
        await framer.stop()
      }
    }),
  )
})
