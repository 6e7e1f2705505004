import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Express, Request, RequestHandler, Response } from 'express'
import { startAttempt, whoIs } from '../attacks/fixture.js'
import { createGate } from '../sign-out/support.js'
import type { Page } from '../support/agent.js'
import { type Fixture, type FixtureOptions, withFixture } from '../support/handler-fixture.js'

/** Bob signs in at the provider from now on. */
const asBob = (claims: Readonly<Record<string, unknown>>) => ({ ...claims, sub: 'bob-0002', name: 'Bob' })
const bob = { frontIdToken: asBob, backIdToken: asBob, userInfoClaims: asBob }
const alice = 'alice-0001'

type Gate = ReturnType<typeof createGate>

/** A fixture with a route that waits until the test opens the gate, and then does `work`. */
function withSlowRoute(
  work: (req: Request, res: Response) => unknown,
  gate: Gate,
  options: FixtureOptions = {},
): FixtureOptions {
  const slow: RequestHandler = (req, res, next) => {
    gate
      .until()
      .then(() => work(req, res))
      .catch(next)
  }
  return { ...options, site: { routes: (app: Express) => void app.all('/slow', slow) } }
}

function end(req: Request, res: Response, method: 'destroy' | 'regenerate'): void {
  req.session[method](error => void res.json({ error: error ? String(error) : null }))
}

interface LateResponse {
  readonly name: string
  readonly work: (req: Request, res: Response) => unknown
  readonly status: number
  /** Whether the slow request ends the session that it came with. */
  readonly ends: boolean
}

const lateResponses: readonly LateResponse[] = [
  { name: 'destroy()', work: (req, res) => end(req, res, 'destroy'), status: 200, ends: true },
  { name: 'regenerate()', work: (req, res) => end(req, res, 'regenerate'), status: 200, ends: true },
  {
    name: 'regenerate() and a write to the new session',
    work: (req, res) =>
      void req.session.regenerate(() => {
        req.session.greeting = 'late'
        res.json({})
      }),
    status: 200,
    ends: true,
  },
  {
    name: 'a local sign-out',
    work: (req, res) => req.oidc.logout({ local: true }).then(() => void (res.headersSent || res.json({}))),
    status: 303,
    ends: true,
  },
  {
    name: 'a refresh that the provider refuses',
    work: async (req, res) => void res.json(await req.oidc.accessToken({ minValidity: 100_000 })),
    status: 401,
    ends: true,
  },
  {
    name: 'a write to req.session',
    work: (req, res) => {
      req.session.greeting = 'late'
      res.json({})
    },
    status: 200,
    ends: false,
  },
]

async function signInAs(fixture: Fixture, user: 'alice' | 'bob'): Promise<void> {
  const { agent, provider, site } = fixture
  if (user === 'bob') provider.break(bob)
  const page = await agent.tab().visit(`${site.url}/login?returnTo=/user`)
  assert.equal(page.status, 200, page.text)
  provider.heal()
}

test('no response of the user before touches the session or the cookie of the user who has signed in meanwhile', async t => {
  for (const { name, work, status } of lateResponses) {
    const gate = createGate()
    await t.test(
      `after ${name}: the other one stays signed in, and nothing of the earlier session lives`,
      withFixture(withSlowRoute(work, gate, { provider: { refreshTokens: 'always' } }), async fixture => {
        const { agent, provider, site } = fixture
        await signInAs(fixture, 'alice')
        const late = agent.fetch(`${site.url}/slow`, {
          method: 'POST',
          from: `${site.url}/`,
          redirect: 'manual',
        } as never)
        await gate.reached
        provider.revokeGrants()
        await signInAs(fixture, 'bob')
        gate.open()
        const page: Page = await late
        assert.ok(page.status === status || page.status === 401, `${page.status} ${page.text}`)
        assert.equal(await whoIs(fixture, agent), 'bob-0002')
        assert.deepEqual(await site.oidc.sessions.list({ sub: alice }), [])
        assert.equal((await site.oidc.sessions.list({ sub: 'bob-0002' })).length, 1)
        const data = (await agent.fetch(`${site.url}/session`)).json<{ greeting?: string }>()
        assert.equal(data.greeting, undefined, 'nothing of the late request')
      }),
    )
  }
})

describe('a response that comes when the same user has signed in anew', () => {
  for (const { name, work } of lateResponses.filter(({ name }) => !/sign-out/.test(name))) {
    const gate = createGate()
    test(
      `after ${name}: the user stays signed in`,
      withFixture(withSlowRoute(work, gate, { provider: { refreshTokens: 'always' } }), async fixture => {
        const { agent, provider, site } = fixture
        await signInAs(fixture, 'alice')
        const late = agent.fetch(`${site.url}/slow`, { method: 'POST', from: `${site.url}/` })
        await gate.reached
        provider.revokeGrants()
        await signInAs(fixture, 'alice')
        gate.open()
        // A refused refresh, too: the request goes on with the session that took the place of its own.
        assert.equal((await late).status, 200)
        assert.equal(await whoIs(fixture, agent), alice)
        assert.equal((await site.oidc.sessions.list({ sub: alice })).length, 1)
      }),
    )
  }
})

describe('a response without a user', () => {
  const gate = createGate()
  test(
    'an anonymous session that is begun while a sign-in ends does not take the place of the session of the user',
    withFixture(
      withSlowRoute((req, res) => {
        req.session.greeting = 'anonymous'
        res.json({})
      }, gate),
      async fixture => {
        const { agent, site } = fixture
        const late = agent.fetch(`${site.url}/slow`, { method: 'POST', from: `${site.url}/` })
        await gate.reached
        await signInAs(fixture, 'alice')
        gate.open()
        assert.equal((await late).status, 200)
        assert.equal(await whoIs(fixture, agent), alice)
        assert.equal(await whoIs(fixture, agent), alice, 'and the next page as well')
      },
    ),
  )
})

describe('what was begun without a user', () => {
  for (const responseMode of ['form_post', 'query'] as const) {
    test(
      `in another tab goes on with the user who signs in, by ${responseMode}: the keys of "keep", and no others`,
      withFixture(
        {
          oidc: {
            session: { keep: ['cart'] },
            responseMode,
            ...(responseMode === 'query' && { responseType: 'code' as const }),
          },
        },
        async fixture => {
          const { agent, site } = fixture
          const start = await agent.open(`${site.url}/claims`, { redirect: 'manual' })
          await agent.tab().fetch(`${site.url}/session?cart=apples&draft=x`, { method: 'POST', from: `${site.url}/` })
          const page = await agent.visit(start.hops[0]?.location ?? '')
          assert.equal(page.url, `${site.url}/claims`, page.text)
          assert.equal(await whoIs(fixture, agent), alice)
          const data = (await agent.fetch(`${site.url}/session`)).json()
          assert.deepEqual(data, { cart: 'apples' })
          const cookies = agent.cookies(site.url).map(({ name }) => name)
          assert.ok(!cookies.includes('sid.anonymous'), cookies.join())
        },
      ),
    )
  }
})

describe('a response that takes a cookie away before the site says how it may be cached', () => {
  const routes = (app: Express) => {
    app.get('/cached', (_req, res) => {
      res.set({ 'Cache-Control': 'public, max-age=600', 'CDN-Cache-Control': 'max-age=600' }).send('page')
    })
  }
  test(
    'is stored by no cache',
    withFixture({ site: { routes } }, async fixture => {
      const { agent, site } = fixture
      const start = await agent.open(`${site.url}/claims`, { redirect: 'manual' })
      await agent.tab().fetch(`${site.url}/session?cart=apples`, { method: 'POST', from: `${site.url}/` })
      // The sign-in lands on this page, which finds the anonymous session and ends it.
      await agent.open(start.hops[0]?.location ?? '')
      await agent.submitForm({}, { redirect: 'manual' })
      const page = await agent.open(`${site.url}/cached`)
      assert.match(page.hops[0]?.setCookies.join() ?? '', /^sid\.anonymous=;/)
      assert.equal(page.headers['cache-control'], 'no-store')
      assert.equal(page.headers['cdn-cache-control'], undefined)
    }),
  )
})

describe('two sign-ins of two users that overlap in one browser', () => {
  const hold = createGate()
  let under = 0
  const signIn = async () => {
    under += 1
    if (under === 2) hold.open()
    await hold.until()
    return undefined
  }
  test(
    'a sign-out ends both sessions of two sign-ins that overlapped, whichever cookie the browser has kept',
    withFixture({ oidc: { hooks: { signIn } } }, async fixture => {
      const { agent, provider, site } = fixture
      const [first, second] = [agent, agent.tab()]
      await startAttempt(fixture, first)
      provider.break(bob)
      await startAttempt(fixture, second)
      const ofBob = second.submitForm({}, { redirect: 'manual' })
      await hold.reached
      provider.heal()
      // Both requests have the cookies from before either response.
      const pages = await Promise.all([first.submitForm({}, { redirect: 'manual' }), ofBob])
      assert.deepEqual(
        pages.map(({ status }) => status),
        [303, 303],
      )
      const live = () =>
        Promise.all([alice, 'bob-0002'].map(async sub => (await site.oidc.sessions.list({ sub })).length))
      await agent.tab().post(`${site.url}/logout`, {}, { from: `${site.url}/` })
      assert.deepEqual(await live(), [0, 0])
    }),
  )
})

describe('a signIn hook that writes to req.session', () => {
  test(
    'writes to the session that begins, and the browser gets one cookie',
    withFixture(
      {
        oidc: {
          hooks: {
            signIn({ req }) {
              req.session.greeting = 'hello'
              return undefined
            },
          },
        },
      },
      async fixture => {
        const { agent, site } = fixture
        const page = await agent.visit(`${site.url}/claims`)
        assert.deepEqual([page.status, page.url], [200, `${site.url}/claims`])
        const sessionCookies = agent.cookies(site.url).filter(({ name }) => name.startsWith('sid'))
        assert.deepEqual(
          sessionCookies.map(({ name }) => name),
          ['sid'],
        )
        assert.equal((await agent.fetch(`${site.url}/session`)).json<{ greeting?: string }>().greeting, 'hello')
        await agent.visit(`${site.url}/login`)
        assert.equal(await whoIs(fixture, agent), alice)
      },
    ),
  )
})

describe('in one request', () => {
  test(
    'after a refresh that the provider refuses the user is signed out',
    withFixture(
      {
        provider: { refreshTokens: 'always' },
        site: {
          routes(app) {
            app.get('/refused', (req, res) => {
              req.oidc
                .accessToken({ forceRefresh: true })
                .catch((error: { code: string }) => error.code)
                .then(code =>
                  res.json({ code, isAuthenticated: req.oidc.isAuthenticated, user: req.oidc.user ?? null }),
                )
            })
          },
        },
      },
      async ({ agent, provider, site }) => {
        await agent.visit(`${site.url}/claims`)
        provider.revokeGrants()
        const page = await agent.open(`${site.url}/refused`)
        assert.deepEqual(page.json(), { code: 'ERR_OIDC_REFRESH_REJECTED', isAuthenticated: false, user: null })
      },
    ),
  )

  for (const method of ['destroy', 'regenerate'] as const) {
    test(
      `after req.session.${method}() the user is signed out, and the response must not be stored`,
      withFixture(
        {
          site: {
            routes(app) {
              app.post('/end', (req, res) => {
                req.session[method](() => {
                  res.json({ isAuthenticated: req.oidc.isAuthenticated, user: req.oidc.user ?? null })
                })
              })
            },
          },
        },
        async fixture => {
          const { agent, site } = fixture
          await agent.visit(`${site.url}/claims`)
          const page = await agent.fetch(`${site.url}/end`, { method: 'POST', from: `${site.url}/` })
          assert.deepEqual(page.json(), { isAuthenticated: false, user: null })
          assert.equal(page.headers['cache-control'], 'no-store')
          assert.equal(await whoIs(fixture, agent), undefined)
        },
      ),
    )
  }
})
