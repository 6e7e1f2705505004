import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Chromium, startChromium } from '../support/chromium.js'
import type { FixtureOptions } from '../support/handler-fixture.js'
import { type Claims, extra, type JwtFault } from '../support/hostile-provider.js'
import { type RawResponse, send } from '../support/http-client.js'
import { startLoopbackServer } from '../support/loopback-server.js'
import { isSignedIn, type LogoutFixture, postLogoutToken, signIn, withLogoutFixture } from './support.js'

/** The logout modules of the OpenID Foundation's RP tests, each played by a provider that does what theirs does. */
const sid = `aBcDeFgHiJkLmNoPqRsT0123456789$/,[+`
const event = 'http://schemas.openid.net/event/backchannel-logout'

function fixture(responseType: string): FixtureOptions {
  return { provider: { sid }, oidc: { responseType } }
}

/** Their logout token: no `typ`, an unknown claim and an unknown parameter. */
async function createToken({ provider }: LogoutFixture, claims: Claims, fault: JwtFault): Promise<string> {
  const changes = typeof fault === 'function' ? {} : fault
  const header = (all: Claims) => {
    const { typ: _, ...rest } = all
    return rest
  }
  return provider.createLogoutToken({ ignored_claim: 'ignored', ...claims }, { header, ...changes })
}

/** Sign-in, RP-initiated logout, and the logout token while the browser is at the provider's sign-out. */
async function playBackChannel(place: LogoutFixture, claims: Claims, fault: JwtFault): Promise<RawResponse> {
  const { agent, site, provider } = place
  let response: RawResponse | undefined
  provider.break({
    response: extra('session_state', 'state.salt'),
    endSession: {
      until: async () => {
        const logout_token = await createToken(place, claims, fault)
        const body = new URLSearchParams({ logout_token, ignored_parameter: 'ignored' }).toString()
        response = await postLogoutToken(site.url, '', { body })
      },
    },
  })
  await signIn(place, agent)
  const page = await agent.post(`${site.url}/logout`, {})
  assert.deepEqual([page.status, page.url], [200, `${site.url}/`], 'the RP-initiated logout completes')
  assert.equal(await isSignedIn(place, agent), false)
  assert.ok(response, 'no response')
  assert.equal(response.headers['cache-control'], 'no-store')
  return response
}

const backChannel: readonly (readonly [string, number, Claims, JwtFault])[] = [
  ['oidcc-client-test-rp-backchannel-rpinitlogout', 200, {}, {}],
  ['oidcc-client-test-rp-backchannel-rpinitlogout-alg-none', 400, {}, { alg: 'none' }],
  ['oidcc-client-test-rp-backchannel-rpinitlogout-wrong-alg', 400, {}, { alg: 'ES256' }],
  ['oidcc-client-test-rp-backchannel-rpinitlogout-wrong-iss', 400, { iss: 'https://op.exampleINVALID' }, {}],
  ['oidcc-client-test-rp-backchannel-rpinitlogout-wrong-aud', 400, { aud: 'clientINVALID' }, {}],
  ['oidcc-client-test-rp-backchannel-rpinitlogout-no-event', 400, { events: undefined }, {}],
  [
    'oidcc-client-test-rp-backchannel-rpinitlogout-wrong-event',
    400,
    { events: { 'http://schemas.openid.net/event/foobar': {} } },
    {},
  ],
  ['oidcc-client-test-rp-backchannel-rpinitlogout-with-nonce', 400, { nonce: 'nonce', events: { [event]: {} } }, {}],
]

describe('back-channel', () => {
  for (const responseType of ['code', 'code id_token', 'code token', 'code id_token token']) {
    const modules = responseType === 'code id_token' ? backChannel : backChannel.slice(0, 2)
    for (const [name, status, claims, fault] of modules) {
      test(
        `${name} (${responseType})`,
        withLogoutFixture(fixture(responseType), async place => {
          assert.equal((await playBackChannel(place, claims, fault)).status, status)
        }),
      )
    }
  }
})

describe('front-channel', () => {
  let chromium: Chromium
  before(async () => {
    chromium = await startChromium()
  })
  after(() => chromium.close())

  /** Their page: the frame's address is not percent-encoded; the browser goes on when the frame has loaded. */
  function logoutPage({ provider, site }: LogoutFixture, next: string | undefined) {
    const frame = `${site.url}/logout/frontchannel?iss=${provider.issuer}&sid=${sid}`
    const script = next === undefined ? '' : `<script>onload = () => location.assign(${JSON.stringify(next)})</script>`
    const body = `<!doctype html><iframe src="${frame.replaceAll('&', '&amp;')}"></iframe>${script}`
    return { status: 200, headers: { 'content-type': 'text/html' }, body }
  }

  test(
    'oidcc-client-test-rp-frontchannel-rpinitlogout',
    withLogoutFixture(fixture('code id_token'), async place => {
      const { site, provider } = place
      provider.break({
        response: extra('session_state', 'state.salt'),
        endSession: {
          respond: (_response, { query }) => {
            const back = new URL(query.post_logout_redirect_uri ?? '')
            back.searchParams.set('state', query.state ?? '')
            return logoutPage(place, back.href)
          },
        },
      })
      const page = await chromium.newPage()
      await page.goto(`${site.url}/claims`)
      const framed = page.waitForResponse(response => response.url().includes('/logout/frontchannel'))
      await page.goto(`${site.url}/logout?returnTo=/user`)
      assert.equal((await framed).status(), 200)
      await page.waitForURL(`${site.url}/user`)
      assert.match((await page.textContent('body')) ?? '', /"isAuthenticated":false/)
      await page.context().close()
    }),
  )

  test(
    'oidcc-client-test-rp-frontchannel-opinitlogout',
    withLogoutFixture(fixture('code id_token'), async place => {
      const { site, provider } = place
      provider.break({ endSession: { respond: () => logoutPage(place, undefined) } })
      const page = await chromium.newPage()
      await page.goto(`${site.url}/claims`)
      await page.goto(`${provider.issuer}/end_session`)
      await page.goto(`${site.url}/user`)
      assert.match((await page.textContent('body')) ?? '', /"isAuthenticated":false/)
      await page.context().close()
    }),
  )
})

describe('RP-initiated', () => {
  for (const [name, change] of [
    ['oidcc-client-test-rp-init-logout', (state: string) => state],
    ['oidcc-client-test-rp-init-logout-other-state', (state: string) => `${state}_INVALID`],
    ['oidcc-client-test-rp-init-logout-no-state', () => undefined],
  ] as const) {
    for (const responseType of ['code', 'code id_token', 'code token', 'code id_token token']) {
      test(
        `${name} (${responseType})`,
        withLogoutFixture(fixture(responseType), async place => {
          const { agent, site, provider } = place
          provider.break({
            endSession: {
              respond: (_response, { query }) => {
                const back = new URL(query.post_logout_redirect_uri ?? '')
                const state = change(query.state ?? '')
                if (state !== undefined) back.searchParams.set('state', state)
                return { status: 303, headers: { location: back.href }, body: '' }
              },
            },
          })
          await signIn(place, agent)
          const page = await agent.post(`${site.url}/logout?returnTo=/session`, {})
          const { id_token_hint, post_logout_redirect_uri } = provider.requestsTo('endSession')[0]?.query ?? {}
          assert.ok(id_token_hint, 'no hint')
          assert.equal(post_logout_redirect_uri, `${site.url}/logout/callback`)
          assert.equal(page.status, 200)
          assert.equal(page.url === `${site.url}/session`, name.endsWith('init-logout'))
          assert.equal(await isSignedIn(place, agent), false)
        }),
      )
    }
  }
})

describe('session management', () => {
  test('oidcc-client-test-session-management', async () => {
    const asked: string[] = []
    let state = 'unchanged'
    const frames = await startLoopbackServer((req, res) => {
      if (req.method === 'POST') {
        req.setEncoding('utf8').on('data', (text: string) => asked.push(`${text} ${state}`))
        return void req.on('end', () => res.end(state))
      }
      res.writeHead(200, { 'content-type': 'text/html' })
      res.end(`<!doctype html><script>addEventListener('message', async ({ source, origin, data }) => {
        source.postMessage(await (await fetch('/', { method: 'POST', body: data })).text(), origin)
      })</script>`)
    })
    const chromium = await startChromium()
    const options: FixtureOptions = {
      provider: { metadata: { check_session_iframe: `http://127.0.0.1:${frames.port}/` } },
      oidc: { routes: { checkSession: '/session/check' } },
    }
    try {
      await withLogoutFixture(options, async ({ site, provider }) => {
        provider.break({ response: extra('session_state', 'hash.salt') })
        const page = await chromium.newPage()
        await page.clock.install()
        await page.goto(`${site.url}/claims`)
        const watcher = await page.context().newPage()
        await watcher.clock.install()
        const first = watcher.waitForResponse(response => response.request().method() === 'POST')
        await watcher.goto(`${site.url}/session/check`)
        await first
        await page.goto(`${site.url}/logout`)
        assert.equal(provider.count('endSession'), 1)
        state = 'changed'
        const second = watcher.waitForResponse(response => response.request().method() === 'POST')
        await watcher.clock.runFor(6000)
        await second
        assert.deepEqual(asked, ['client hash.salt unchanged', 'client hash.salt changed'])
        assert.equal(JSON.parse((await send({ url: `${site.url}/user` })).text).isAuthenticated, false)
        await page.context().close()
      })()
    } finally {
      await chromium.close()
      await frames.stop()
    }
  })
})
