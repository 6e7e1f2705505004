import assert from 'node:assert/strict'
import type { RequestListener } from 'node:http'
import { createRequire } from 'node:module'
import { after, describe, test } from 'node:test'
import express5, { type ErrorRequestHandler, type Express, type Request, type RequestHandler } from 'express'
import { OidcError, type OpenIdConnect, requiresAuth } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import { openFixture, withFixture } from '../support/handler-fixture.js'
import { startLoopbackServer } from '../support/loopback-server.js'
import { startRedis } from '../support/redis.js'
import { startSite } from '../support/site.js'

const express4 = createRequire(import.meta.url)('express4') as typeof express5

const rejected: unknown[] = []
const note = (reason: unknown) => void rejected.push(reason)
process.on('unhandledRejection', note)
after(() => void process.off('unhandledRejection', note))

/** As error reporters do it: it looks at the error and hands it on. */
const reportTo =
  (reported: unknown[]): ErrorRequestHandler =>
  (error, _req, _res, next) => {
    reported.push(error instanceof OidcError ? error.code : String(error))
    next(error)
  }

const program = { accept: 'application/json' }

for (const [version, express] of [
  [4, express4],
  [5, express5],
] as const) {
  describe(`an async handler (Express ${version})`, () => {
    for (const handlesErrors of [true, false]) {
      const answerer = handlesErrors ? "the site's error handler" : 'our page'

      test(`that waits for login() while the provider is away: ${answerer}, and the promise is fulfilled`, async () => {
        const ends: string[] = []
        const site = await startSite({
          oidc: { issuer: 'http://127.0.0.1:9', clientId: 'client', clientSecret: 'a secret of the client' },
          express: version,
          handlesErrors,
          routes: app => void app.get('/in', async (req, _res) => void ends.push(String(await req.oidc.login()))),
        })
        try {
          const response = await fetch(`${site.url}/in`, { headers: program })
          assert.equal(response.status, 503)
          const { code, error } = (await response.json()) as Record<string, string>
          assert.equal(code ?? error, 'ERR_OIDC_PROVIDER_UNAVAILABLE')
          const shown = await createAgent().open(`${site.url}/in`)
          assert.equal(shown.status, 503)
          if (!handlesErrors) assert.match(shown.text, /That did not work/)
          assert.deepEqual([ends, rejected], [['undefined', 'undefined'], []])
        } finally {
          await site.close()
        }
      })

      test(`that waits for logout() while Redis is away: ${answerer}, and the promise is fulfilled`, async () => {
        const redis = await startRedis()
        const ends: string[] = []
        const fixture = await openFixture({
          oidc: { redis: redis.url },
          site: {
            express: version,
            handlesErrors,
            routes: app =>
              void app.post('/out', async (req, _res) => {
                await redis.kill()
                ends.push(String(await req.oidc.logout()))
              }),
          },
        })
        try {
          await fixture.agent.visit(`${fixture.site.url}/claims`)
          const response = await fixture.agent.fetch(`${fixture.site.url}/out`, { method: 'POST' })
          assert.equal(response.status, 503, response.text)
          const { code, error } = response.json<Record<string, string>>()
          assert.equal(code ?? error, 'ERR_OIDC_STORE_UNAVAILABLE')
          assert.deepEqual([ends, rejected], [['undefined'], []])
        } finally {
          await fixture.close()
          await redis.stop()
        }
      })
    }

    test(
      'that gives login() and logout() what they do not understand gets the error',
      withFixture(
        {
          site: {
            express: version,
            routes: app => {
              const caught =
                (run: (req: Request) => Promise<void>): RequestHandler =>
                (req, res) =>
                  void run(req).catch(error => res.json(error.code))
              app.get(
                '/in',
                caught(req => req.oidc.login({ maxAge: 'soon' as never })),
              )
              app.get(
                '/out',
                caught(req => req.oidc.logout({ returnTo: 1 as never })),
              )
            },
          },
        },
        async ({ agent, site }) => {
          for (const path of ['/in', '/out'])
            assert.equal((await agent.open(site.url + path)).json(), 'ERR_OIDC_OPTIONS')
        },
      ),
    )
  })

  describe(`a handler that only reports errors (Express ${version})`, () => {
    const mounts: Record<string, (app: Express, reporter: ErrorRequestHandler) => void> = {
      'on the app': (app, reporter) => void app.use(reporter),
      'on a router': (app, reporter) => void app.use(express.Router().use(reporter)),
      'below a path': (app, reporter) => void app.use('/claims', reporter),
      twice: (app, reporter) => void app.use(reporter, reporter),
    }
    for (const [place, mount] of Object.entries(mounts)) {
      test(`${place}: a script gets JSON and a user a page, and neither the stack of Express`, async () => {
        const reported: unknown[] = []
        await withFixture(
          {
            site: {
              express: version,
              handlesErrors: false,
              routes: app => mount(app.set('env', 'test'), reportTo(reported)),
            },
          },
          async ({ agent, site }) => {
            const response = await agent.fetch(`${site.url}/claims`, { headers: program })
            assert.equal(response.status, 401)
            assert.equal(response.json<{ error: string }>().error, 'ERR_OIDC_LOGIN_REQUIRED')
            assert.match(String(response.headers['www-authenticate']), /^OpenIdConnect login_url=/)
            const shown = await agent.open(`${site.url}/callback`)
            assert.equal(shown.status, 405)
            assert.match(shown.text, /That did not work/)
            assert.doesNotMatch(shown.text, /<pre>|node_modules/)
            assert.equal(shown.headers.allow, 'POST')
            // Express calls no router with an error.
            assert.equal(reported.includes('ERR_OIDC_LOGIN_REQUIRED'), place !== 'on a router', String(reported))
          },
        )()
      })
    }

    test('an error of the site keeps its page, and what a later handler answers is not replaced', async () => {
      const reported: unknown[] = []
      await withFixture(
        {
          site: {
            express: version,
            routes: app => {
              app.get('/broken', () => {
                throw new Error('of the site')
              })
              app.use(reportTo(reported))
            },
          },
        },
        async ({ agent, site }) => {
          assert.deepEqual((await agent.fetch(`${site.url}/claims`)).json(), { code: 'ERR_OIDC_LOGIN_REQUIRED' })
          assert.deepEqual((await agent.open(`${site.url}/broken`)).json(), { code: 'Error: of the site' })
          assert.deepEqual(reported, ['ERR_OIDC_LOGIN_REQUIRED', 'Error: of the site'])
        },
      )()
    })

    test('with oidc.errorHandler() behind it, also errors that a route hands on get our page; those of the site do not', async () => {
      const reported: unknown[] = []
      const late: { oidc?: OpenIdConnect } = {}
      await withFixture(
        {
          site: {
            express: version,
            handlesErrors: false,
            routes: app => {
              app.set('env', 'test')
              app.get('/token', (req, _res, next) => void req.oidc.idToken().then(() => next(), next))
              app.get('/broken', (_req, _res, next) => next(new Error('of the site')))
              app.use(reportTo(reported))
              app.use(((...args) => late.oidc?.errorHandler()(...args)) as ErrorRequestHandler)
            },
          },
        },
        async ({ agent, site }) => {
          late.oidc = site.oidc
          const response = await agent.fetch(`${site.url}/token`)
          assert.equal(response.status, 401)
          assert.equal(response.json<{ error: string }>().error, 'ERR_OIDC_LOGIN_REQUIRED')
          assert.equal((await agent.open(`${site.url}/broken`)).status, 500)
          assert.deepEqual(reported, ['ERR_OIDC_LOGIN_REQUIRED', 'Error: of the site'])
        },
      )()
    })
  })

  describe(`a mounted app (Express ${version})`, () => {
    const nestings: Record<string, (app: Express, routes: (inner: Express) => void) => void> = {
      'an app below a path': (app, routes) => {
        const inner = express()
        routes(inner)
        app.use('/inner', inner)
      },
      'an app in an app': (app, routes) => {
        const [middle, inner] = [express(), express()]
        routes(inner)
        middle.use('/deep', inner)
        app.use('/inner', middle)
      },
      'an app below a router': (app, routes) => {
        const inner = express()
        routes(inner)
        app.use('/inner', express.Router().use(inner))
      },
    }
    for (const [name, nest] of Object.entries(nestings)) {
      test(
        `${name}: the error handler of the app around it answers, and knows who is signed in`,
        withFixture(
          {
            site: {
              express: version,
              handlesErrors: false,
              routes: app => {
                nest(app, inner => inner.get('/secret', requiresAuth({ acr: 'strong' }), (_req, res) => void res.end()))
                app.use(((error, req, res, _next) => {
                  res.status(error.status).json({ code: error.code, sub: req.oidc.user?.sub ?? null })
                }) as ErrorRequestHandler)
              },
            },
          },
          async ({ agent, site }) => {
            const path = name === 'an app in an app' ? '/inner/deep/secret' : '/inner/secret'
            const signedOut = await agent.fetch(site.url + path)
            assert.deepEqual(signedOut.json(), { code: 'ERR_OIDC_LOGIN_REQUIRED', sub: null })
            await agent.visit(`${site.url}/claims`)
            const signedIn = await agent.fetch(site.url + path)
            assert.deepEqual(signedIn.json(), { code: 'ERR_OIDC_STEP_UP_REQUIRED', sub: 'alice-0001' })
          },
        ),
      )
    }
  })

  test(
    `the middleware in a mounted app: the error handler of the app around it answers (Express ${version})`,
    withFixture({ site: { express: version, handlesErrors: false } }, async ({ site }) => {
      const outer = express()
      outer.use('/inner', site.app)
      outer.use(((error, _req, res, _next) => void res.status(418).json(error.code)) as ErrorRequestHandler)
      const server = await startLoopbackServer(outer as unknown as RequestListener)
      try {
        const response = await fetch(`http://localhost:${server.port}/inner/claims`, { headers: program })
        assert.deepEqual([response.status, await response.json()], [418, 'ERR_OIDC_LOGIN_REQUIRED'])
      } finally {
        await server.stop()
      }
    }),
  )

  test(`while Redis is away, an error handler has req.oidc of a user who is not known, and req.session does not throw (Express ${version})`, async () => {
    const redis = await startRedis()
    const seen: unknown[] = []
    const fixture = await openFixture({
      oidc: { redis: redis.url },
      site: {
        express: version,
        handlesErrors: false,
        routes: app =>
          void app.use((async (error, req, res, _next) => {
            const token = await req.oidc.accessToken().catch((thrown: OidcError) => thrown.code)
            seen.push([error.code, req.oidc.isAuthenticated, req.oidc.user, typeof req.session, token])
            res.status(error.status).json({})
          }) as ErrorRequestHandler),
      },
    })
    try {
      await fixture.agent.visit(`${fixture.site.url}/claims`)
      await redis.kill()
      assert.equal((await fixture.agent.open(`${fixture.site.url}/claims`)).status, 503)
      const code = 'ERR_OIDC_STORE_UNAVAILABLE'
      assert.deepEqual([seen, rejected], [[[code, false, undefined, 'undefined', code]], []])
    } finally {
      await fixture.close()
      await redis.stop()
    }
  })
}
