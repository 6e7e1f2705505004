import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Express } from 'express'
import type { Page } from '../support/agent.js'
import { sessionCookie, sessionCookieOf } from '../support/handler-fixture.js'
import { send } from '../support/http-client.js'
import { beginLogout } from '../support/logout-cookie.js'
import { startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { startSite } from '../support/site.js'
import { createGate, isSignedIn, type LogoutFixture, linesOf, signIn, withLogoutFixture } from './support.js'

const siteSecret = secret('session secret')

/** The last request of the browser to the provider's sign-out. */
function endSessionQuery({ provider }: LogoutFixture): Readonly<Record<string, string>> | undefined {
  return provider.requestsTo('endSession').at(-1)?.query
}

function idTokenOf(page: Page, name: string): string | undefined {
  const body = page.hops.find(hop => hop.method === 'POST' && hop.url.endsWith('/callback'))?.requestBody
  return new URLSearchParams(body).get(name) ?? undefined
}

describe('a sign-out that the person asks for', () => {
  test(
    'ends the session here first, then at the provider, and comes back',
    withLogoutFixture({}, async fixture => {
      const { agent, site, provider, signedOut } = fixture
      await signIn(fixture, agent)
      const old = sessionCookieOf(fixture)
      const page = await agent.post(`${site.url}/logout?returnTo=/session%3Fx%3D1`, {})
      assert.equal(page.url, `${site.url}/session?x=1`)
      assert.deepEqual(
        page.hops.map(({ url, status }) => [new URL(url).pathname, status]),
        [
          ['/logout', 200],
          ['/end_session', 303],
          ['/logout/callback', 303],
          ['/session', 200],
        ],
      )
      assert.equal(sessionCookieOf(fixture), undefined)
      assert.equal(provider.count('revocation') <= 1, true)
      const replayed = await send({ url: `${site.url}/user`, headers: { cookie: `${sessionCookie}=${old}` } })
      assert.equal(JSON.parse(replayed.text).isAuthenticated, false)
      assert.deepEqual(
        signedOut.map(({ reason, sub, sid, issuer }) => ({ reason, sub, sid, issuer })),
        [{ reason: 'logout', sub: 'alice-0001', sid: 'sid-1', issuer: provider.issuer }],
      )
      assert.deepEqual(linesOf(fixture), [])
    }),
  )

  for (const responseType of ['code', 'code id_token', 'code token', 'code id_token token', 'id_token']) {
    test(
      `sends id_token_hint (byte by byte), client_id, post_logout_redirect_uri, state and ui_locales for ${responseType}`,
      withLogoutFixture({ oidc: { responseType, scope: 'openid' } }, async fixture => {
        const { agent, site, provider } = fixture
        let idToken: string | undefined
        provider.break({
          tokenResponse: body => {
            idToken = String(body.id_token)
            return body
          },
        })
        const page = await signIn(fixture, agent)
        await agent.post(`${site.url}/logout?ui_locales=de-CH%20en`, {})
        const { state, id_token_hint, ...query } = endSessionQuery(fixture) ?? {}
        assert.equal(id_token_hint, idToken ?? idTokenOf(page, 'id_token'))
        assert.match(state ?? '', /^[\w-]{43}$/)
        assert.deepEqual(query, {
          client_id: provider.clientId,
          post_logout_redirect_uri: `${site.url}/logout/callback`,
          ui_locales: 'de-CH en',
        })
      }),
    )
  }

  test(
    'takes the languages from the site where the sign-out names none, and from nowhere else',
    withLogoutFixture({ oidc: { authorizationParams: { ui_locales: 'fr' } } }, async fixture => {
      await signIn(fixture, fixture.agent)
      await fixture.agent.post(`${fixture.site.url}/logout?ui_locales=%3Cscript%3E`, {})
      assert.equal(endSessionQuery(fixture)?.ui_locales, 'fr')
    }),
  )

  test(
    'is local when asked to be: the provider hears nothing of it',
    withLogoutFixture({}, async fixture => {
      for (const query of ['local=1', 'local', 'local=true']) {
        await signIn(fixture, fixture.agent)
        const page = await fixture.agent.post(`${fixture.site.url}/logout?${query}&returnTo=/user`, {})
        assert.equal(page.url, `${fixture.site.url}/user`)
        assert.equal(await isSignedIn(fixture, fixture.agent), false)
      }
      assert.equal(fixture.provider.count('endSession'), 0)
      await fixture.agent.post(`${fixture.site.url}/logout?local=0`, {})
      assert.equal(fixture.provider.count('endSession'), 1)
    }),
  )

  test('works the same by req.oidc.logout()', async () => {
    const site = {
      routes: (app: { get(path: string, handler: (req: never) => unknown): unknown }) => {
        app.get('/bye', ({ oidc }: { oidc: { logout(options: object): Promise<void> } }) =>
          oidc.logout({ returnTo: '/user', uiLocales: ['it'] }),
        )
      },
    }
    await withLogoutFixture({ site: site as object }, async fixture => {
      await signIn(fixture, fixture.agent)
      const page = await fixture.agent.open(`${fixture.site.url}/bye`)
      assert.equal(page.url, `${fixture.site.url}/user`)
      assert.equal(page.json<{ isAuthenticated: boolean }>().isAuthenticated, false)
      assert.equal(endSessionQuery(fixture)?.ui_locales, 'it')
    })()
  })

  test(
    'lands at the start page where returnTo is not a place on this site',
    withLogoutFixture({}, async fixture => {
      for (const returnTo of ['https://evil.example/', '//evil.example', '/\\evil.example', 'javascript:alert(1)']) {
        const page = await fixture.agent.post(`${fixture.site.url}/logout?${new URLSearchParams({ returnTo })}`, {})
        assert.equal(page.url, `${fixture.site.url}/`)
      }
    }),
  )
})

describe('whatever state things are in, a sign-out signs out and is no 5xx', () => {
  test(
    'the provider has no sign-out',
    withLogoutFixture({ provider: { metadata: { end_session_endpoint: undefined } } }, async fixture => {
      await signIn(fixture, fixture.agent)
      const page = await fixture.agent.post(`${fixture.site.url}/logout?returnTo=/user`, {})
      assert.deepEqual([page.status, page.url], [200, `${fixture.site.url}/user`])
      assert.equal(await isSignedIn(fixture, fixture.agent), false)
    }),
  )

  test(
    'the provider is down: the browser is sent there, and the session is gone already',
    withLogoutFixture({}, async fixture => {
      await signIn(fixture, fixture.agent)
      await fixture.provider.stop()
      const page = await fixture.agent.post(`${fixture.site.url}/logout`, {}, { redirect: 'manual' })
      assert.ok(page.leadsTo?.startsWith(fixture.provider.issuer), page.text)
      assert.equal(sessionCookieOf(fixture), undefined)
      assert.equal(await isSignedIn(fixture, fixture.agent), false)
    }),
  )

  for (const [name, fault] of [
    ['is away', { status: 503 }],
    ['hangs', { hang: 'before' }],
    ['answers nonsense', { body: 'not metadata' }],
  ] as const) {
    test(`the provider was never reached and ${name}: a local sign-out, soon`, async () => {
      const redis = await startRedis()
      try {
        await withLogoutFixture({ oidc: { redis: redis.url, secret: siteSecret } }, async first => {
          await signIn(first, first.agent)
          const { issuer, clientId, clientSecret } = first.provider
          first.provider.break({ discovery: fault })
          // Another process of the same site, started while the provider is in trouble.
          const second = await startSite({
            oidc: {
              issuer,
              clientId,
              clientSecret,
              redis: redis.url,
              secret: siteSecret,
              timeouts: { provider: 600_000 },
              revokeTokens: false,
            },
          })
          const cookie = `${sessionCookie}=${sessionCookieOf(first)}`
          const response = await send({ url: `${second.url}/logout`, method: 'POST', headers: { cookie } })
          assert.deepEqual([response.status, response.headers.location], [303, '/'])
          assert.equal(await isSignedIn(first, first.agent), false)
          await second.close()
        })()
      } finally {
        await redis.stop()
      }
    })
  }

  test(
    'the session has expired: the provider is asked to end its own',
    withLogoutFixture({}, async fixture => {
      await signIn(fixture, fixture.agent)
      const cookie = `${sessionCookie}=${sessionCookieOf(fixture)}`
      await fixture.site.oidc.sessions.revoke({ sub: 'alice-0001' })
      fixture.signedOut.length = 0
      const response = await send({ url: `${fixture.site.url}/logout`, method: 'POST', headers: { cookie } })
      assert.equal(response.status, 303)
      const { searchParams } = new URL(response.headers.location ?? '')
      assert.deepEqual([...searchParams.keys()], ['client_id', 'post_logout_redirect_uri', 'state'])
      assert.ok(
        response.setCookies.some(text => text.startsWith(`${sessionCookie}=;`)),
        'the cookie is not taken away',
      )
      assert.deepEqual(fixture.signedOut, [])
    }),
  )

  test(
    'the cookie cannot be read: it is taken away',
    withLogoutFixture({}, async ({ site }) => {
      for (const value of ['garbage', 'a.b', '%00', 'x'.repeat(3000)]) {
        const headers = { cookie: `${sessionCookie}=${value}` }
        const response = await send({ url: `${site.url}/logout`, method: 'POST', headers })
        assert.equal(response.status, 303, value)
        assert.ok(
          response.setCookies.some(text => text.startsWith(`${sessionCookie}=;`) && text.includes('Max-Age=0')),
          value,
        )
      }
    }),
  )

  test(
    'a double click: both get a response, the session ends once, and both lead to the provider',
    withLogoutFixture({}, async fixture => {
      await signIn(fixture, fixture.agent)
      const headers = { cookie: `${sessionCookie}=${sessionCookieOf(fixture)}` }
      const click = () => send({ url: `${fixture.site.url}/logout`, method: 'POST', headers })
      const responses = await Promise.all([click(), click(), click()])
      for (const { status, headers } of responses) {
        assert.equal(status, 303)
        assert.equal(new URL(headers.location ?? '').pathname, '/end_session')
      }
      assert.equal(fixture.signedOut.length, 1)
      assert.equal(await isSignedIn(fixture, fixture.agent), false)
    }),
  )

  test('two sign-outs that both found the session alive: the hook hears of one', async () => {
    let arrived = 0
    const both = createGate()
    const routes = (app: Express) => {
      app.post('/leave', (req, _res, next) => {
        arrived += 1
        if (req.oidc.isAuthenticated && arrived === 2) both.open()
        both
          .until()
          .then(() => req.oidc.logout())
          .catch(next)
      })
    }
    await withLogoutFixture({ site: { routes } }, async fixture => {
      await signIn(fixture, fixture.agent)
      const headers = { cookie: `${sessionCookie}=${sessionCookieOf(fixture)}` }
      const leave = () => send({ url: `${fixture.site.url}/leave`, method: 'POST', headers })
      const responses = await Promise.all([leave(), leave()])
      assert.deepEqual(
        responses.map(({ status }) => status),
        [303, 303],
      )
      assert.equal(fixture.signedOut.length, 1)
    })()
  })

  test('a hook that throws changes nothing', async () => {
    const hooks = {
      signOut: () => {
        throw new TypeError('a secret of the site')
      },
    }
    await withLogoutFixture({ oidc: { hooks } }, async fixture => {
      await signIn(fixture, fixture.agent)
      const page = await fixture.agent.post(`${fixture.site.url}/logout`, {})
      assert.equal(page.status, 200)
      assert.equal(await isSignedIn(fixture, fixture.agent), false)
      assert.match(fixture.site.log.join(), /signOut failed: TypeError$/)
    })()
  })

  test('the store is away: an honest 503, and the same click works afterwards', async () => {
    const redis = await startRedis()
    try {
      await withLogoutFixture({ oidc: { redis: redis.url, timeouts: { redis: 300 } } }, async fixture => {
        await signIn(fixture, fixture.agent)
        redis.pause()
        const failed = await fixture.agent.post(`${fixture.site.url}/logout`, {})
        assert.deepEqual([failed.status, fixture.site.lastCode()], [503, 'ERR_OIDC_STORE_UNAVAILABLE'])
        assert.equal(fixture.provider.count('endSession'), 0)
        redis.resume()
        assert.equal(await isSignedIn(fixture, fixture.agent), true)
        await fixture.agent.post(`${fixture.site.url}/logout`, {})
        assert.equal(await isSignedIn(fixture, fixture.agent), false)
      })()
    } finally {
      redis.resume()
      await redis.stop()
    }
  })
})

describe('the return from the provider', () => {
  for (const [name, change] of [
    ['another state', (state: string) => `${state}_INVALID`],
    ['no state', () => undefined],
    ['the state twice', (state: string) => `${state}&state=${state}`],
  ] as const) {
    test(
      `with ${name}: signed out, a safe page, and a line in the log`,
      withLogoutFixture({}, async fixture => {
        const { agent, site } = fixture
        await signIn(fixture, agent)
        const left = await agent.post(`${site.url}/logout?returnTo=/session`, {}, { redirect: 'manual' })
        const state = new URL(left.leadsTo ?? '').searchParams.get('state') ?? ''
        const changed = change(state)
        const page = await agent.open(`${site.url}/logout/callback${changed === undefined ? '' : `?state=${changed}`}`)
        assert.deepEqual([page.status, page.url.split('?')[0]], [200, `${site.url}/logout/callback`])
        assert.match(page.text, /You are signed out/)
        assert.equal(page.headers['cache-control'], 'no-store')
        assert.match(String(page.headers['content-security-policy']), /^default-src 'none'.*frame-ancestors 'none'$/)
        assert.equal(await isSignedIn(fixture, agent), false)
        assert.equal(linesOf(fixture).length, 1)
        const right = await agent.open(`${site.url}/logout/callback?state=${state}`)
        assert.equal(right.url, `${site.url}/session`, 'the right state still works')
        const again = await agent.open(`${site.url}/logout/callback?state=${state}`)
        assert.match(again.text, /You are signed out/, 'once')
      }),
    )
  }

  test(
    'without a sign-out before it redirects to the start page, and a user who is signed in stays so',
    withLogoutFixture({}, async fixture => {
      await signIn(fixture, fixture.agent)
      const page = await fixture.agent.open(`${fixture.site.url}/logout/callback?state=x`)
      assert.equal(page.url, `${fixture.site.url}/`)
      assert.equal(await isSignedIn(fixture, fixture.agent), true)
    }),
  )

  test(
    'with a cookie that was made up, damaged or taken from another place is like one without',
    withLogoutFixture({}, async fixture => {
      const { site, agent } = fixture
      await signIn(fixture, agent)
      const { name, value, state } = await beginLogout(site.url, '/user')
      const binding =
        agent.cookies(site.url).find(cookie => cookie.name.includes('oidc.'))?.value ?? assert.fail('none')
      const returnWith = (cookie: string) =>
        send({ url: `${site.url}/logout/callback?state=${state}`, headers: { cookie } })
      for (const other of ['AAAA', '', '%', 'null', '{}', value.slice(1), value.slice(0, -1), `A${value}`, binding]) {
        const response = await returnWith(`${name}=${other}`)
        assert.equal(response.status, 200, other)
        assert.match(response.text, /You are signed out/)
        assert.deepEqual(response.setCookies, [], other)
      }
      const elsewhere = await returnWith(`${name}x=${value}`)
      assert.match(elsewhere.text, /You are signed out/, 'the cookie of another site')
      const right = await returnWith(`${name}=${value}`)
      assert.deepEqual([right.status, right.headers.location], [303, '/user'])
      assert.match(right.setCookies.join(), new RegExp(`^${name.replaceAll('.', '\\.')}=; Max-Age=0`))
    }),
  )
})

describe('another party cannot sign users out', () => {
  const evil = 'https://evil.example/page'
  const signOuts = {
    link: (fixture: LogoutFixture) => fixture.agent.click(`${fixture.site.url}/logout?returnTo=/bye`, { from: evil }),
    form: (fixture: LogoutFixture) =>
      fixture.agent.post(`${fixture.site.url}/logout?returnTo=/bye`, {}, { from: evil }),
  }
  for (const [name, visit] of Object.entries(signOuts)) {
    test(
      `a ${name} of another site gets a page that asks, and its form signs out`,
      withLogoutFixture({}, async fixture => {
        await signIn(fixture, fixture.agent)
        const page = await visit(fixture)
        assert.equal(page.status, 200)
        assert.match(page.text, /Sign out\?/)
        assert.deepEqual(page.hops[0]?.setCookies, [])
        assert.equal(await isSignedIn(fixture, fixture.agent), true)
        const done = await fixture.agent.submitForm()
        assert.equal(done.url, `${fixture.site.url}/bye`)
        assert.equal(await isSignedIn(fixture, fixture.agent), false)
        assert.equal(fixture.provider.count('endSession'), 1)
      }),
    )
  }

  test(
    'the page that asks cannot be framed and sends its form to this site and to the provider only',
    withLogoutFixture({}, async fixture => {
      const { headers } = await signOuts.link(fixture)
      const policy = String(headers['content-security-policy'])
      assert.match(policy, /frame-ancestors 'none'/)
      const origin = new URL(fixture.provider.issuer).origin
      assert.match(policy, new RegExp(`form-action 'self' ${origin.replaceAll('.', '\\.')};`))
      assert.equal(headers['referrer-policy'], 'same-origin')
      assert.equal(headers['x-frame-options'], 'DENY')
    }),
  )

  const harmless: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    ['an image of another site', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }],
    ['an image planted in a page of ours', { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'no-cors' }],
    ['a browser without Fetch Metadata, from another site', { referer: 'https://evil.example/' }],
    ['a request that says nothing about itself', {}],
  ]
  for (const [name, headers] of harmless) {
    test(
      `GET by ${name} ends nothing`,
      withLogoutFixture({}, async fixture => {
        await signIn(fixture, fixture.agent)
        const cookie = `${sessionCookie}=${sessionCookieOf(fixture)}`
        const response = await send({ url: `${fixture.site.url}/logout`, headers: { cookie, ...headers } })
        assert.equal(response.status, 200)
        assert.equal(await isSignedIn(fixture, fixture.agent), true)
      }),
    )
  }

  for (const site of ['same-origin', 'same-site', 'none']) {
    test(
      `GET with Sec-Fetch-Site: ${site} signs out`,
      withLogoutFixture({}, async fixture => {
        await signIn(fixture, fixture.agent)
        const headers = { cookie: `${sessionCookie}=${sessionCookieOf(fixture)}`, 'sec-fetch-site': site }
        assert.equal((await send({ url: `${fixture.site.url}/logout`, headers })).status, 303)
        assert.equal(await isSignedIn(fixture, fixture.agent), false)
      }),
    )
  }

  const posts: readonly (readonly [string, Readonly<Record<string, string>>, boolean])[] = [
    ['says nothing about itself', {}, true],
    ['has our Origin', { origin: 'http://SITE' }, true],
    ['has another Origin', { origin: 'https://evil.example' }, false],
    ['has Origin: null', { origin: 'null' }, false],
    ['is cross-site', { 'sec-fetch-site': 'cross-site' }, false],
  ]
  for (const [name, headers, isDone] of posts) {
    test(
      `a POST that ${name} ${isDone ? 'signs out' : 'gets the page that asks'}`,
      withLogoutFixture({}, async fixture => {
        await signIn(fixture, fixture.agent)
        const { host } = new URL(fixture.site.url)
        const given = Object.fromEntries(
          Object.entries(headers).map(([key, text]) => [key, text.replace('SITE', host)]),
        )
        const all = { cookie: `${sessionCookie}=${sessionCookieOf(fixture)}`, ...given }
        const response = await send({ url: `${fixture.site.url}/logout`, method: 'POST', headers: all })
        assert.equal(response.status, isDone ? 303 : 200)
        assert.equal(await isSignedIn(fixture, fixture.agent), !isDone)
      }),
    )
  }

  test(
    'other methods are refused',
    withLogoutFixture({}, async ({ site }) => {
      for (const method of ['PUT', 'DELETE', 'OPTIONS']) {
        assert.equal((await send({ url: `${site.url}/logout`, method })).status, 405, method)
      }
    }),
  )
})
