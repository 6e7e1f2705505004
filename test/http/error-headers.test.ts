import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Express, NextFunction, Request, RequestHandler, Response } from 'express'
import { OidcError } from '../../lib/index.js'
import { type Fixture, withFixture } from '../support/handler-fixture.js'

/** Calls that a site makes in a route of its own. */
const calls: Readonly<Record<string, (req: Request) => Promise<unknown>>> = {
  accessToken: req => req.oidc.accessToken({ forceRefresh: true }),
  fetch: req => req.oidc.fetch('https://api.example/'),
  exchange: req => req.oidc.exchange({ audience: 'orders' }),
  userInfo: req => req.oidc.userInfo({ refresh: true }),
  idToken: req => req.oidc.idToken(),
  revokeTokens: req => req.oidc.revokeTokens(),
}

function addCalls(app: Express): void {
  for (const [name, call] of Object.entries(calls)) {
    const handler: RequestHandler = (req, res, next) => {
      call(req)
        .then(() => res.json({}))
        .catch(next)
    }
    app.get(`/call/${name}`, handler)
  }
}

/** A handler of the site that knows errors of the kind of `http-errors`, and nothing of this package. */
function addOrdinaryHandler(app: Express): void {
  app.use(
    (
      error: { status?: number; headers?: Record<string, string> },
      _req: Request,
      res: Response,
      _next: NextFunction,
    ) => {
      res
        .status(error.status ?? 500)
        .set(error.headers ?? {})
        .send('the page of the site')
    },
  )
}

async function headersOf({ agent, site }: Fixture, path: string) {
  const page = await agent.open(site.url + path)
  assert.equal(page.text, 'the page of the site')
  return page
}

const withHandler = {
  handlesErrors: false,
  routes(app: Express) {
    addCalls(app)
    addOrdinaryHandler(app)
  },
} as const

describe('an error that a route of the site meets has the headers of its status', () => {
  for (const name of Object.keys(calls)) {
    test(
      `${name}, when no user is signed in: 401 says where to sign in`,
      withFixture({ site: withHandler, oidc: { apis: ['https://api.example'] } }, async fixture => {
        const page = await headersOf(fixture, `/call/${name}`)
        assert.equal(page.status, 401)
        const challenge = String(page.headers['www-authenticate'])
        assert.equal(challenge, `OpenIdConnect login_url="/login?returnTo=%2Fcall%2F${name}"`)
      }),
    )
  }

  for (const [header, expected] of [
    [undefined, 5],
    ['17', 17],
    ['86400', 60],
    ['0', 1],
    ['soon', 5],
  ] as const) {
    test(
      `a provider that is away and says Retry-After ${header}: 503 says ${expected} seconds`,
      withFixture({ site: withHandler, provider: { refreshTokens: 'always' } }, async fixture => {
        const { agent, provider, site } = fixture
        await agent.visit(`${site.url}/claims`)
        const headers = header === undefined ? {} : { 'retry-after': header }
        provider.break({ token: { status: 503, headers, body: {} } })
        const page = await headersOf(fixture, '/call/accessToken')
        assert.deepEqual([page.status, page.headers['retry-after']], [503, String(expected)])
        // While the provider is not asked, the time that is left is told, with what chance has added: a tenth at most.
        const later = await headersOf(fixture, '/call/accessToken')
        assert.equal(later.status, 503)
        const left = Number(later.headers['retry-after'])
        assert.ok(left >= 1 && left <= Math.ceil(Math.max(expected, 5) * 1.1) + 1, `${left} s`)
      }),
    )
  }

  test('405 names the methods that are allowed, and other errors have no headers of their own', () => {
    const cause = { allow: 'POST' }
    assert.deepEqual(new OidcError('ERR_OIDC_REQUEST_METHOD', 'no', { cause }).headers, { Allow: 'POST' })
    assert.deepEqual(new OidcError('ERR_OIDC_REQUEST_METHOD', 'no').headers, { Allow: 'GET, POST' })
    assert.deepEqual(new OidcError('ERR_OIDC_CLAIM_REQUIRED', 'no').headers, {})
    assert.deepEqual(new OidcError('ERR_OIDC_STORE_UNAVAILABLE', 'no').headers, { 'Retry-After': '5' })
  })

  test(
    'a site without an error handler gets them by way of Express itself',
    withFixture(
      {
        site: {
          handlesErrors: false,
          routes: app =>
            void app.get('/bare', (_req, _res, next) => next(new OidcError('ERR_OIDC_API_BUSY', 'too much'))),
        },
      },
      async ({ agent, site }) => {
        site.app.set('env', 'test')
        const page = await agent.open(`${site.url}/bare`)
        assert.deepEqual([page.status, page.headers['retry-after']], [503, '5'])
      },
    ),
  )
})
