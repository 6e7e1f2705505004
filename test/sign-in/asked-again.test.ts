import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Express } from 'express'
import { type LoginOptions, requiresAuth } from '../../lib/index.js'
import { startAttempt } from '../attacks/fixture.js'
import { withFixture } from '../support/handler-fixture.js'
import { secret } from '../support/secrets.js'
import { startSite } from '../support/site.js'

const asked: LoginOptions = {
  returnTo: '/user',
  scope: 'orders',
  acr: ['strong', 'stronger'],
  maxAge: 600,
  prompt: 'consent',
  loginHint: 'alice@example.com',
  resource: ['https://a.example', 'https://b.example'],
  uiLocales: ['de'],
  params: { display: 'page' },
}

const ask = (options: LoginOptions) => (app: Express) =>
  void app.get('/ask', (req, _res, next) => void req.oidc.login(options).catch(next))

/** What an authorization request asks for, without what is new each time. */
function wishesOf({ query }: { readonly query: Readonly<Record<string, string>> }) {
  const { state: _, nonce: __, code_challenge: ___, ...wishes } = query
  return wishes
}

describe('a sign-in that is started anew', () => {
  test('requests everything that was requested, when the response was late', async () => {
    let late = 0
    const now = () => new Date(Date.now() + late)
    await withFixture({ oidc: { now }, site: { routes: ask(asked) } }, async ({ agent, site, provider }) => {
      await startAttempt({ site }, agent, '/ask')
      late = 16 * 60_000
      await agent.submitForm()
      const [first, second] = provider.requestsTo('authorize').map(wishesOf)
      assert.deepEqual(second, first)
      assert.equal(first?.login_hint, 'alice@example.com')
      late = 0
    })()
  })

  test('asks for it as well when it is too long for state', async () => {
    let late = 0
    const now = () => new Date(Date.now() + late)
    const params = {
      claims: { userinfo: Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`claim_${i}`, null])) },
    }
    await withFixture({ oidc: { now }, site: { routes: ask({ returnTo: '/user', params }) } }, async fixture => {
      const { agent, site, provider } = fixture
      await agent.open(`${site.url}/ask`)
      await agent.submitForm()
      late = 16 * 60_000
      await agent.submitForm()
      await agent.submitForm()
      const [first, second] = provider.requestsTo('authorize').map(({ form }) => wishesOf({ query: form }))
      assert.deepEqual(second, first)
      assert.ok((first?.claims?.length ?? 0) > 900)
      late = 0
    })()
  })

  for (const [what, before, after] of [
    ['response type', { responseType: 'code' }, { responseType: 'code id_token' }],
    [
      'response mode',
      { responseType: 'code', responseMode: 'query' },
      { responseType: 'code', responseMode: 'form_post' },
    ],
    ['scope', { scope: 'openid' }, { scope: 'openid email' }],
  ] as const) {
    test(
      `lands on its page when the ${what} has changed at a deployment in between`,
      withFixture({}, async ({ agent, provider, site: unused }) => {
        const { issuer, clientId, clientSecret } = provider
        const oidc = { issuer, clientId, clientSecret, secret: secret('shared secret') }
        const old = await startSite({ oidc: { ...oidc, ...before } })
        const start = await agent.open(`${old.url}/user?x=1`, { redirect: 'manual' })
        assert.equal(start.status, 200)
        const away = await agent.open(`${old.url}/claims?x=1`, { redirect: 'manual' })
        const toProvider = away.hops[0]?.location ?? ''
        await old.close()
        const site = await startSite({ oidc: { ...oidc, ...after }, port: Number(new URL(old.url).port) })
        try {
          const page = await agent.visit(toProvider)
          assert.deepEqual([page.status, page.url], [200, `${site.url}/claims?x=1`], page.text)
          assert.equal(unused.errors.length, 0)
        } finally {
          await site.close()
        }
      }),
    )
  }
})

describe('a short max_age', () => {
  for (const maxAge of [0, 1, 30, 59]) {
    test(
      `of ${maxAge} asks for a new authentication, and one before the start is refused without a loop`,
      withFixture({ site: { routes: ask({ maxAge, returnTo: '/user' }) } }, async ({ agent, site, provider }) => {
        const page = await agent.visit(`${site.url}/ask`)
        assert.equal(page.url, `${site.url}/user`, page.text)
        const { prompt, max_age: sent } = provider.requestsTo('authorize')[0]?.query ?? {}
        assert.deepEqual([prompt, sent], ['login', '300'])
        const old = (claims: Readonly<Record<string, unknown>>) => ({
          ...claims,
          auth_time: Math.floor(Date.now() / 1000) - 95,
        })
        provider.break({ frontIdToken: old, backIdToken: old })
        await agent.visit(`${site.url}/ask`)
        assert.equal(site.lastCode(), 'ERR_OIDC_ID_TOKEN_AUTH_TIME')
        assert.equal(provider.count('authorize'), 2)
      }),
    )
  }

  test('counts from the start of the sign-in, however long the user takes', async () => {
    let late = 0
    const now = () => new Date(Date.now() + late)
    const provider = { now: () => Math.floor((Date.now() + late) / 1000) }
    await withFixture(
      { oidc: { now }, provider, site: { routes: ask({ maxAge: 5, returnTo: '/user' }) } },
      async fixture => {
        const { agent, site } = fixture
        await startAttempt({ site }, agent, '/ask')
        late = 4 * 60_000
        assert.equal((await agent.submitForm()).url, `${site.url}/user`, String(site.errors[0]))
      },
    )()
  })

  test(
    'prompt=login is compared with an auth_time where there is one',
    withFixture(
      { site: { routes: ask({ prompt: 'login', returnTo: '/user' }) } },
      async ({ agent, site, provider }) => {
        assert.equal((await agent.visit(`${site.url}/ask`)).url, `${site.url}/user`, 'the provider sends none')
        const old = (claims: Readonly<Record<string, unknown>>) => ({
          ...claims,
          auth_time: Math.floor(Date.now() / 1000) - 40,
        })
        provider.break({ frontIdToken: old, backIdToken: old })
        await agent.visit(`${site.url}/ask`)
        assert.equal(site.lastCode(), 'ERR_OIDC_ID_TOKEN_AUTH_TIME')
      },
    ),
  )
})

test('a step-up says who is expected; another user lands on the start page with a clean session, and the hook runs', async () => {
  const ended: unknown[] = []
  const hooks = { signOut: ({ reason, sub }: { reason: string; sub: string }) => void ended.push([reason, sub]) }
  const routes = (app: Express) =>
    void app.get('/strong', requiresAuth({ acr: 'strong' }), (req, res) => void res.json(req.oidc.user))
  await withFixture(
    { oidc: { hooks, session: { keep: ['cart'] } }, site: { routes } },
    async ({ agent, site, provider }) => {
      await agent.visit(`${site.url}/claims`)
      await agent.fetch(`${site.url}/session?cart=hers`, { method: 'POST' })
      const asBob = (claims: Readonly<Record<string, unknown>>) => ({ ...claims, sub: 'bob', acr: 'strong' })
      provider.break({ frontIdToken: asBob, backIdToken: asBob, userInfoClaims: claims => ({ ...claims, sub: 'bob' }) })
      const page = await agent.visit(`${site.url}/strong`)
      assert.equal(provider.requestsTo('authorize').at(-1)?.query.login_hint, 'alice@example.com')
      assert.equal(page.url, `${site.url}/`)
      assert.deepEqual(ended, [['replaced', 'alice-0001']])
      assert.deepEqual((await agent.fetch(`${site.url}/session`)).json(), {})
    },
  )()
})

describe('a max_age that is no time', () => {
  for (const value of ['', ' ', '0x10', '1e2', '-1', '1.5', 'soon', -1, 1.5, [], ['5'], {}]) {
    test(
      `${JSON.stringify(value)} sends no user to the provider, and does not count as 0`,
      withFixture({ site: { routes: ask({ params: { max_age: value } }) } }, async ({ agent, site, provider }) => {
        await agent.open(`${site.url}/ask`)
        assert.equal(site.lastCode(), 'ERR_OIDC_OPTIONS')
        assert.equal(provider.count('authorize'), 0)
      }),
    )

    test(
      `${JSON.stringify(value)} that the hook returns sends no user to the provider either`,
      withFixture(
        { oidc: { hooks: { authorizationParams: () => ({ max_age: value }) } } },
        async ({ agent, site, provider }) => {
          await agent.open(`${site.url}/claims`)
          assert.equal(site.lastCode(), 'ERR_OIDC_OPTIONS')
          assert.equal(provider.count('authorize'), 0)
        },
      ),
    )
  }
})
