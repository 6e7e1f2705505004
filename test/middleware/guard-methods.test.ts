import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Express, RequestHandler } from 'express'
import { requiresAuth, requiresClaim, requiresScope } from '../../lib/index.js'
import { type Fixture, openFixture, sessionCookie, sessionCookieOf } from '../support/handler-fixture.js'
import { parseRefresh } from '../support/html-form.js'
import { type RawResponse, send } from '../support/http-client.js'

/** A browser says it with Fetch Metadata, an old one and many programs with `Accept`. */
const navigations = {
  'the headers of a browser': { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
  'only Accept: text/html': { accept: 'text/html,*/*' },
}

const navigating = ['GET', 'POST']
const others = ['HEAD', 'OPTIONS', 'TRACE', 'PUT', 'PATCH', 'DELETE', 'QUERY', 'PROPFIND', 'LOCK', 'REPORT']

function addRoutes(app: Express): void {
  const welcome: RequestHandler = (_req, res) => void res.send('welcome')
  app.all('/out/auth', requiresAuth(), welcome)
  app.all('/out/claim', requiresClaim('role', 'editor'), welcome)
  app.all('/out/scope', requiresScope('openid', { ask: true }), welcome)
  // Express answers HEAD by the route for GET.
  app.get('/out/get', requiresAuth(), welcome)
  app.use('/out/mounted', requiresAuth({ maxAge: 60 }), welcome)
  app.all('/in/strong', requiresAuth({ acr: 'mfa' }), welcome)
  app.all('/in/scope', requiresScope('orders.read', { ask: true }), welcome)
  const override: RequestHandler = (req, _res, next) => {
    Object.assign(req, { originalMethod: req.method, method: 'DELETE' })
    next()
  }
  app.use('/out/overridden', override, requiresAuth(), welcome)
}

/** Asks for a guarded page; fails unless the guard kept it. */
async function ask(
  fixture: Fixture,
  path: string,
  method: string,
  headers: Record<string, string>,
): Promise<RawResponse> {
  const isSignedIn = path.startsWith('/in/')
  const cookie = isSignedIn ? { cookie: `${sessionCookie}=${sessionCookieOf(fixture)}` } : {}
  const response = await send({ url: fixture.site.url + path, method, headers: { ...headers, ...cookie } })
  assert.ok(!response.text.includes('welcome'), `${method} ${path}`)
  return response
}

for (const handlesErrors of [true, false]) {
  describe(`a guard of a site ${handlesErrors ? 'with' : 'without'} an error handler`, () => {
    let fixture: Fixture

    before(async () => {
      fixture = await openFixture({ site: { handlesErrors, routes: addRoutes } })
      assert.equal((await fixture.agent.visit(`${fixture.site.url}/claims`)).status, 200)
    })
    after(() => fixture?.close())

    const paths = ['/out/auth', '/out/claim', '/out/scope', '/out/get', '/out/mounted', '/in/strong', '/in/scope']

    for (const [what, headers] of Object.entries(navigations)) {
      test(`starts a sign-in for GET and for a posted form with ${what}`, async () => {
        for (const path of paths) {
          for (const method of path === '/out/get' ? ['GET'] : navigating) {
            const response = await ask(fixture, path, method, headers)
            // A browser applies `form-action` to a redirect after a submitted form: a page leads on in its place.
            const isForm = method === 'POST' && 'sec-fetch-mode' in headers
            assert.equal(response.status, isForm ? 200 : 303, `${method} ${path}`)
            const target = isForm ? parseRefresh(response.text, fixture.site.url) : response.headers.location
            assert.ok(target?.startsWith(fixture.provider.issuer), `${method} ${path}`)
          }
        }
      })

      test(`starts no sign-in and sets no cookie for any other method with ${what}`, async () => {
        for (const path of paths) {
          for (const method of path === '/out/get' ? ['HEAD'] : others) {
            const response = await ask(fixture, path, method, headers)
            assert.equal(response.status, path === '/in/scope' ? 403 : 401, `${method} ${path}`)
            assert.deepEqual(response.setCookies, [], `${method} ${path}`)
            assert.equal(response.headers.location, undefined, `${method} ${path}`)
            if (response.status === 401)
              assert.match(String(response.headers['www-authenticate']), /^OpenIdConnect login_url=/)
          }
        }
      })
    }

    test('names the sign-in URL in the response to HEAD, and puts no text of the request into it', async () => {
      const response = await ask(fixture, '/out/auth?tab=2', 'HEAD', navigations['the headers of a browser'])
      const [address] = String(response.headers['www-authenticate']).split(', ')
      assert.equal(address, 'OpenIdConnect login_url="/login?returnTo=%2F"')
    })

    test('starts a sign-in for a posted form that the site handles as DELETE', async () => {
      const headers = navigations['the headers of a browser']
      const { status, text } = await ask(fixture, '/out/overridden', 'POST', headers)
      assert.equal(status, 200)
      assert.ok(parseRefresh(text, fixture.site.url)?.startsWith(fixture.provider.issuer), text)
      assert.equal((await ask(fixture, '/out/overridden', 'HEAD', headers)).status, 401)
    })
  })
}
