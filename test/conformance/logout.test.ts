import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Fixture, withFixture } from '../support/handler-fixture.js'
import type { JwtFault } from '../support/hostile-provider.js'
import { type RawResponse, send } from '../support/http-client.js'
import { responseTypes } from './suite.js'

/** What the suite makes of a session id: letters, digits and punctuation. */
const SID = `abcDEFghijklmnopqrst8940123567$/,[+ "':`
const event = 'http://schemas.openid.net/event/backchannel-logout'

async function isSignedIn({ agent, site }: Fixture): Promise<boolean> {
  const page = await agent.fetch(`${site.url}/user`, { from: `${site.url}/` })
  return page.json<{ isAuthenticated: boolean }>().isAuthenticated
}

/** No `typ`, one unknown claim, and one unknown field in the form. */
async function sendLogoutToken(
  { provider, site }: Fixture,
  claims: Record<string, unknown>,
  fault: object,
): Promise<RawResponse> {
  const header = ({ typ: _, ...rest }: Record<string, unknown>) => rest
  const all = { sid: SID, ignored_claim: 'x', ...claims }
  const logout_token = await provider.createLogoutToken(all, { header, ...fault } as JwtFault)
  return send({
    url: `${site.url}/logout/backchannel`,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ logout_token, ignored_parameter: 'x' }).toString(),
  })
}

interface BackChannel {
  readonly id: string
  readonly status: 200 | 400
  readonly claims?: (fixture: Fixture) => Record<string, unknown>
  readonly fault?: object
}

const backChannel: readonly BackChannel[] = [
  { id: 'oidcc-client-test-rp-backchannel-rpinitlogout', status: 200 },
  { id: 'oidcc-client-test-rp-backchannel-rpinitlogout-alg-none', status: 400, fault: { alg: 'none' } },
  { id: 'oidcc-client-test-rp-backchannel-rpinitlogout-wrong-alg', status: 400, fault: { alg: 'ES256' } },
  {
    id: 'oidcc-client-test-rp-backchannel-rpinitlogout-wrong-iss',
    status: 400,
    claims: ({ provider }) => ({ iss: `${provider.issuer}INVALID` }),
  },
  {
    id: 'oidcc-client-test-rp-backchannel-rpinitlogout-wrong-aud',
    status: 400,
    claims: ({ provider }) => ({ aud: `${provider.clientId}INVALID` }),
  },
  {
    id: 'oidcc-client-test-rp-backchannel-rpinitlogout-no-event',
    status: 400,
    claims: () => ({ events: undefined }),
  },
  {
    id: 'oidcc-client-test-rp-backchannel-rpinitlogout-wrong-event',
    status: 400,
    claims: () => ({ events: { 'http://schemas.openid.net/event/foobar': {} } }),
  },
  {
    id: 'oidcc-client-test-rp-backchannel-rpinitlogout-with-nonce',
    status: 400,
    claims: () => ({ nonce: 'x', events: { [event]: {} } }),
  },
]

for (const responseType of responseTypes) {
  const options = { oidc: { responseType }, provider: { sid: SID } }

  for (const { id, status, claims, fault } of backChannel) {
    test(
      `${id} (${responseType}, form_post)`,
      withFixture(options, async fixture => {
        await fixture.agent.visit(`${fixture.site.url}/claims`)
        const response = await sendLogoutToken(fixture, claims?.(fixture) ?? {}, fault ?? {})
        assert.equal(response.status, status, response.text)
        assert.match(`${response.headers['cache-control']}`, /no-store/)
        assert.equal(await isSignedIn(fixture), status === 400)
        // The suite does this in the middle of a sign-out that the site began, and that has to end well all the same.
        const page = await fixture.agent.open(`${fixture.site.url}/logout?returnTo=/user`)
        assert.equal(page.url, `${fixture.site.url}/user`)
        assert.equal(page.json<{ isAuthenticated: boolean }>().isAuthenticated, false)
      }),
    )
  }

  test(
    `oidcc-client-test-rp-frontchannel-rpinitlogout (${responseType}, form_post)`,
    withFixture(options, async fixture => {
      const { agent, site, provider } = fixture
      await agent.visit(`${site.url}/claims`)
      // The sid is not percent-encoded there, so that its plus sign arrives as a blank.
      const url = `${site.url}/logout/frontchannel?iss=${provider.issuer}&sid=${SID.replaceAll(' ', '%20').replaceAll('"', '%22')}`
      const frame = await agent.frame(url, { from: `${provider.issuer}/frontchannel_logout_handler` })
      assert.equal(frame.status, 200, frame.text)
      assert.equal(frame.headers['x-frame-options'], undefined)
      assert.match(`${frame.headers['content-security-policy']}`, new RegExp(`frame-ancestors ${provider.issuer}`))
      assert.equal(await isSignedIn(fixture), false)
    }),
  )

  test(
    `oidcc-client-test-rp-frontchannel-opinitlogout (${responseType}, form_post)`,
    withFixture(options, async fixture => {
      const { agent, site, provider } = fixture
      await agent.visit(`${site.url}/claims`)
      const calls = provider.requests.length
      const query = new URLSearchParams({ iss: provider.issuer, sid: SID })
      await agent.frame(`${site.url}/logout/frontchannel?${query}`, { from: provider.issuer })
      assert.equal(await isSignedIn(fixture), false)
      assert.equal(provider.requests.length, calls, 'nothing is asked of the provider')
    }),
  )

  for (const [id, change] of [
    ['oidcc-client-test-rp-init-logout', (state: string) => state],
    ['oidcc-client-test-rp-init-logout-other-state', (state: string) => `${state}_INVALID`],
    ['oidcc-client-test-rp-init-logout-no-state', () => undefined],
  ] as const) {
    test(
      `${id} (${responseType}, form_post)`,
      withFixture(options, async fixture => {
        const { agent, site, provider } = fixture
        await agent.visit(`${site.url}/claims`)
        const out = await agent.open(`${site.url}/logout?returnTo=/user`, { redirect: 'manual' })
        const target = new URL(out.hops[0]?.location ?? '')
        assert.equal(target.pathname, '/end_session')
        assert.equal(target.searchParams.get('post_logout_redirect_uri'), `${site.url}/logout/callback`)
        assert.equal(target.searchParams.get('id_token_hint')?.split('.').length, 3)
        const sent = target.searchParams.get('state') ?? ''
        const state = change(sent)
        const back = state === undefined ? '' : `?state=${encodeURIComponent(state)}`
        const page = await agent.click(`${site.url}/logout/callback${back}`, { from: provider.issuer })
        assert.equal(page.status, 200)
        assert.equal(page.url.endsWith('/user'), state === sent, 'only the state that was sent leads on')
        assert.equal(await isSignedIn(fixture), false)
      }),
    )
  }

  test(
    `oidcc-client-test-session-management (${responseType}, form_post)`,
    withFixture(
      {
        ...options,
        oidc: { responseType, routes: { checkSession: '/session-frame' } },
        provider: { sid: SID, metadata: { check_session_iframe: 'http://127.0.0.1:1/check_session' } },
      },
      async ({ agent, site, provider }) => {
        provider.break({ response: fields => [...fields, ['session_state', 'salted.hash']] })
        await agent.visit(`${site.url}/claims`)
        const frame = await agent.frame(`${site.url}/session-frame`)
        assert.equal(frame.status, 200)
        assert.match(
          frame.text,
          new RegExp(`src="http://127.0.0.1:1/check_session" data-question="${provider.clientId} salted.hash"`),
        )
        await agent.open(`${site.url}/logout?local=1`)
        assert.equal((await agent.frame(`${site.url}/session-frame`)).status, 204, 'nothing is watched any more')
      },
    ),
  )
}
