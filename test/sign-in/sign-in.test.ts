import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { describe, test } from 'node:test'
import { createAgent } from '../support/agent.js'
import { sessionCookieOf, withFixture } from '../support/handler-fixture.js'

const require = createRequire(import.meta.url)

const responseTypes = ['code', 'code id_token', 'code token', 'code id_token token', 'id_token'] as const

describe('a sign-in lands on the page asked for', () => {
  for (const responseType of responseTypes) {
    for (const responseMode of responseType === 'code' ? (['form_post', 'query'] as const) : (['form_post'] as const)) {
      test(
        `by ${responseType} and ${responseMode}`,
        withFixture({ oidc: { responseType, responseMode } }, async ({ agent, site, provider }) => {
          const page = await agent.visit(`${site.url}/claims?page=2#top`)
          assert.equal(page.status, 200, page.text)
          assert.equal(page.url, `${site.url}/claims?page=2`)
          const { sub, iss, nonce } = page.json<Record<string, unknown>>()
          assert.deepEqual({ sub, iss, nonce }, { sub: 'alice-0001', iss: undefined, nonce: undefined })
          assert.equal(provider.count('token'), responseType === 'id_token' ? 0 : 1)
          assert.deepEqual(provider.problems, [])
        }),
      )
    }
  }

  for (const express of [4, 5] as const) {
    test(
      `on Express ${express}, with a body parser before us`,
      withFixture({ site: { express, before: app => app.use(formParserOf(express)) } }, async ({ agent, site }) => {
        assert.equal((await agent.visit(`${site.url}/claims`)).status, 200)
      }),
    )
  }
})

describe('the authorization request', () => {
  test(
    'carries a fresh state, and a fresh nonce and S256 challenge of 43 URL-safe characters each',
    withFixture({}, async ({ site, provider }) => {
      const seen = new Set<string>()
      for (let i = 0; i < 20; i += 1) await createAgent().open(`${site.url}/claims`)
      for (const { query } of provider.requestsTo('authorize')) {
        for (const name of ['state', 'nonce', 'code_challenge']) {
          assert.match(query[name] ?? '', name === 'state' ? /^[\w-]{200,400}$/ : /^[\w-]{43}$/)
          seen.add(query[name] ?? '')
        }
        assert.equal(query.code_challenge_method, 'S256')
      }
      assert.equal(seen.size, 60)
    }),
  )

  test(
    'takes nothing from the sign-in address but returnTo',
    withFixture({}, async ({ agent, site, provider }) => {
      const planted =
        'scope=admin&prompt=none&redirect_uri=http://evil.example&response_type=token&client_id=x&max_age=1'
      await agent.open(`${site.url}/login?returnTo=/user&${planted}&token_endpoint=http://evil.example`)
      const [request] = provider.requestsTo('authorize')
      const { scope, prompt, redirect_uri, response_type, client_id, max_age } = request?.query ?? {}
      assert.deepEqual(
        { scope, prompt, redirect_uri, response_type, client_id, max_age },
        {
          scope: 'openid profile email',
          prompt: undefined,
          redirect_uri: `${site.url}/callback`,
          response_type: 'code id_token token',
          client_id: provider.clientId,
          max_age: undefined,
        },
      )
    }),
  )

  test(
    'ignores Host and X-Forwarded-*: baseUrl decides',
    withFixture({}, async ({ agent, site, provider }) => {
      const headers = {
        'x-forwarded-host': 'evil.example',
        'x-forwarded-proto': 'https',
        forwarded: 'host=evil.example',
      }
      await agent.open(`${site.url}/claims`, { headers })
      assert.equal(provider.requestsTo('authorize')[0]?.query.redirect_uri, `${site.url}/callback`)
    }),
  )

  test(
    'carries what req.oidc.login() and the hook ask for',
    withFixture(
      {
        oidc: { hooks: { authorizationParams: () => ({ login_hint: 'hook', ui_locales: 'en' }) } },
        site: {
          routes: app =>
            app.get('/step-up', (req, _res, next) => {
              const options = { prompt: 'login', maxAge: 60, acrValues: ['a', 'b'], uiLocales: ['de', 'en'] }
              req.oidc
                .login({
                  ...options,
                  scope: 'orders',
                  resource: ['https://a', 'https://b'],
                  params: { display: 'page' },
                })
                .catch(next)
            }),
        },
      },
      async ({ agent, site, provider }) => {
        await agent.open(`${site.url}/step-up`)
        const query = provider.requestsTo('authorize')[0]?.query ?? {}
        assert.equal(query.prompt, 'login')
        assert.equal(query.max_age, '60')
        assert.equal(query.acr_values, 'a b')
        assert.equal(query.ui_locales, 'de en')
        assert.equal(query.login_hint, 'hook')
        assert.equal(query.display, 'page')
        assert.equal(query.scope, 'openid profile email orders')
      },
    ),
  )
})

describe('a sign-in that cannot be asked for', () => {
  for (const [name, params] of [
    ['a protocol parameter', { state: 'mine' }],
    ['claims that are no JSON', { claims: '{' }],
    ['a max_age that is no number', { max_age: 'soon' }],
  ] as const) {
    test(
      `with ${name} is refused before the browser leaves`,
      withFixture(
        { site: { routes: app => app.get('/ask', (req, _res, next) => void req.oidc.login({ params }).catch(next)) } },
        async ({ agent, site, provider }) => {
          const page = await agent.open(`${site.url}/ask`)
          assert.deepEqual([page.status, site.lastCode()], [500, 'ERR_OIDC_OPTIONS'])
          assert.deepEqual(page.hops[0]?.setCookies, [])
          assert.equal(provider.count('authorize'), 0)
        },
      ),
    )
  }
})

describe('the back channel', () => {
  test(
    'waits for one round trip only: userinfo and token are under way at the same time',
    withFixture({}, async ({ agent, site, provider }) => {
      // Each answers only once the other one was asked; in sequence, neither ever would.
      const [tokenAsked, userInfoAsked] = [barrier(), barrier()]
      provider.break({
        token: { until: () => tokenAsked.reach(userInfoAsked) },
        userinfo: { until: () => userInfoAsked.reach(tokenAsked) },
      })
      assert.equal((await agent.visit(`${site.url}/claims`)).status, 200)
    }),
  )

  test(
    'asks userinfo after the code, with the newer token, where the site wants that order',
    withFixture({ oidc: { userInfo: { token: 'token-endpoint' } } }, async ({ agent, site, provider }) => {
      await agent.visit(`${site.url}/claims`)
      const order = provider.requests.map(({ path }) => path).filter(path => path === '/token' || path === '/userinfo')
      assert.deepEqual(order, ['/token', '/userinfo'])
    }),
  )

  test(
    'asks again with the newer token where the provider has dropped the one of the front channel',
    withFixture({ provider: { frontTokenDiesOnRedeem: true } }, async ({ agent, site, provider }) => {
      provider.break({ userinfo: { times: 1, status: 401, body: {} } })
      assert.equal((await agent.visit(`${site.url}/claims`)).status, 200)
      assert.equal(provider.count('userinfo'), 2)
      assert.equal(provider.count('token'), 1)
    }),
  )

  test(
    'leaves userinfo out where the site wants none',
    withFixture({ oidc: { userInfo: false } }, async ({ agent, site, provider }) => {
      const user = (await agent.visit(`${site.url}/claims`)).json<Record<string, unknown>>()
      assert.equal(provider.count('userinfo'), 0)
      assert.equal(user.sub, 'alice-0001')
      assert.equal(user.email, undefined)
    }),
  )

  test(
    'never requests userinfo before an ID Token was verified (code token)',
    withFixture({ oidc: { responseType: 'code token' } }, async ({ agent, site, provider }) => {
      provider.break({ backIdToken: { key: 'foreign' } })
      await agent.visit(`${site.url}/claims`)
      assert.equal(site.lastCode(), 'ERR_OIDC_ID_TOKEN_SIGNATURE')
      assert.equal(provider.count('userinfo'), 0)
    }),
  )
})

describe('the signIn hook', () => {
  test(
    'decides what is kept, after the last check',
    withFixture(
      { oidc: { hooks: { signIn: ({ claims }) => ({ sub: claims.sub, nick: `${claims.name}!` }) } } },
      async ({ agent, site }) => {
        const user = (await agent.visit(`${site.url}/claims`)).json()
        assert.deepEqual(user, { sub: 'alice-0001', nick: 'Alice Adams!' })
      },
    ),
  )

  test('does not run when a check fails', async () => {
    let runs = 0
    const signIn = () => {
      runs += 1
      return undefined
    }
    await withFixture({ oidc: { hooks: { signIn } } }, async ({ agent, site, provider }) => {
      provider.break({ userInfoClaims: claims => ({ ...claims, sub: 'bob' }) })
      await agent.visit(`${site.url}/claims`)
      assert.equal(site.lastCode(), 'ERR_OIDC_USER_INFO_SUBJECT')
    })()
    assert.equal(runs, 0)
  })

  test(
    'refuses a sign-in by throwing, and its error reaches the site as it is',
    withFixture(
      {
        oidc: {
          hooks: {
            signIn: () => {
              throw new RangeError('not you')
            },
          },
        },
      },
      async fixture => {
        const page = await fixture.agent.visit(`${fixture.site.url}/claims`)
        assert.equal(page.status, 500)
        assert.ok(fixture.site.errors[0] instanceof RangeError, String(fixture.site.errors[0]))
        assert.equal(sessionCookieOf(fixture), undefined)
      },
    ),
  )
})

function formParserOf(version: 4 | 5) {
  const express = version === 4 ? require('express4') : require('express')
  return express.urlencoded({ extended: true })
}

interface Barrier {
  readonly reached: Promise<void>
  /** Says that we are here, and waits for the other. */
  reach(other: Barrier): Promise<void>
}

function barrier(): Barrier {
  let open = () => {}
  const reached = new Promise<void>(resolve => {
    open = resolve
  })
  return {
    reached,
    reach(other) {
      open()
      return other.reached
    },
  }
}
