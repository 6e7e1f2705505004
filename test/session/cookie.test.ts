import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { describe, test } from 'node:test'
import type { Express } from 'express'
import type { OidcOptions } from '../../lib/index.js'
import type { Config, SessionPolicy } from '../../lib/options/config.js'
import { createSessionCookie } from '../../lib/session/session-cookie.js'
import { createSealer } from '../../lib/store/seal.js'
import { sessionCookieOf, withFixture } from '../support/handler-fixture.js'
import { secret } from '../support/secrets.js'
import { startSite } from '../support/site.js'

const baseUrl = 'https://www.example.com'
const offline: OidcOptions = {
  issuer: 'https://op.example',
  clientId: 'client',
  clientSecret: 'not a real secret',
  baseUrl,
}

describe('behind a proxy that ends TLS, the session cookie', () => {
  test('is __Host-, Secure, HttpOnly, Lax and of no domain, whatever the proxy says or does not say', async () => {
    for (const headers of [{}, { 'x-forwarded-proto': 'http' }, { 'x-forwarded-proto': 'https' }]) {
      const site = await startSite({ oidc: offline })
      const response = await fetch(`${site.url}/session?a=1`, { method: 'POST', headers })
      assert.match(
        response.headers.getSetCookie()[0] ?? '',
        /^__Host-sid\.anonymous=[\w-]{43}\.[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
      )
      await site.close()
    }
  })

  test('lives as long as a sign-in where the site wants it to outlive the browser', async () => {
    const site = await startSite({ oidc: { ...offline, session: { persistent: true, absolute: 1234 } } })
    const response = await fetch(`${site.url}/session?a=1`, { method: 'POST' })
    assert.match(response.headers.getSetCookie()[0] ?? '', /; Max-Age=1234;/)
    await site.close()
  })

  test('may have the name of express-session, and is what req.session.cookie shows', async () => {
    const routes = (app: Express) =>
      void app.get('/cookie', (req, res) => {
        const { originalMaxAge, secure, httpOnly, sameSite, path } = req.session.cookie
        res.json({ originalMaxAge, secure, httpOnly, sameSite, path })
      })
    for (const persistent of [true, false]) {
      const session = { name: 'connect.sid', persistent, absolute: 1234 }
      const site = await startSite({ oidc: { ...offline, session }, routes })
      const response = await fetch(`${site.url}/session?a=1`, { method: 'POST' })
      const [cookie = ''] = response.headers.getSetCookie()
      assert.match(cookie, /^__Host-connect\.sid\.anonymous=/)
      const headers = { cookie: cookie.split(';')[0] ?? '' }
      assert.deepEqual(await (await fetch(`${site.url}/session`, { headers })).json(), { a: '1' })
      const shown = async () => (await fetch(`${site.url}/cookie`, { headers })).json()
      const attributes = { secure: true, httpOnly: true, sameSite: 'lax', path: '/' }
      assert.deepEqual(await shown(), { originalMaxAge: persistent ? 1_234_000 : null, ...attributes })
      assert.deepEqual(
        site.log.filter(line => line.includes('req.session.cookie')),
        [],
      )
      await site.close()
    }
  })

  test('is removed with the attributes it was set with', async () => {
    const site = await startSite({ oidc: offline })
    const set = await fetch(`${site.url}/session?a=1`, { method: 'POST' })
    const cookie = set.headers.getSetCookie()[0]?.split(';')[0] ?? ''
    const removed = await fetch(`${site.url}/session`, { method: 'DELETE', headers: { cookie } })
    assert.deepEqual(removed.headers.getSetCookie(), [
      '__Host-sid.anonymous=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax',
    ])
    assert.equal(removed.headers.get('cache-control'), 'no-store')
    await site.close()
  })

  test('is not accepted under an encoded name, and the first of two wins', async () => {
    const site = await startSite({ oidc: offline })
    const [one, two] = await Promise.all(
      ['one', 'two'].map(async name => {
        const response = await fetch(`${site.url}/session?who=${name}`, { method: 'POST' })
        return response.headers.getSetCookie()[0]?.split(';')[0] ?? ''
      }),
    )
    const look = async (cookie: string) => (await fetch(`${site.url}/session`, { headers: { cookie } })).json()
    const encoded = two?.replace('__Host-', '__%48ost-')
    assert.deepEqual(await look(`${encoded}; ${one}`), { who: 'one' })
    assert.deepEqual(await look(`${encoded}`), {})
    assert.deepEqual(await look(`${one}; ${two}`), { who: 'one' })
    await site.close()
  })
})

describe('the life of a session', () => {
  const day = 24 * 3600
  let ahead = 0
  const now = () => new Date(Date.now() + ahead * 1000)
  const isSignedIn = async ({ agent, site }: Parameters<Parameters<typeof withFixture>[1]>[0]) =>
    (await agent.fetch(`${site.url}/user`)).json<{ isAuthenticated: boolean }>().isAuthenticated

  test('ends a day after the last request', () => {
    ahead = 0
    return withFixture({ oidc: { now } }, async fixture => {
      await fixture.agent.visit(`${fixture.site.url}/claims`)
      for (const hours of [20, 40, 60]) {
        ahead = hours * 3600
        assert.equal(await isSignedIn(fixture), true, `${hours} h, used every 20 h`)
      }
      ahead = 60 * 3600 + day + 1
      assert.equal(await isSignedIn(fixture), false)
    })()
  })

  test('ends a week after the sign-in, however busy it was', () => {
    ahead = 0
    return withFixture({ oidc: { now } }, async fixture => {
      await fixture.agent.visit(`${fixture.site.url}/claims`)
      for (ahead = 0; ahead < 7 * day - 3600; ahead += day / 2)
        assert.equal(await isSignedIn(fixture), true, `${ahead} s`)
      ahead = 7 * day + 1
      assert.equal(await isSignedIn(fixture), false)
    })()
  })

  test('is not extended by requests the site calls polling', () => {
    ahead = 0
    const isPolling = ({ url }: { url?: string | undefined }) => url === '/user'
    return withFixture({ oidc: { now, session: { isPolling } } }, async fixture => {
      await fixture.agent.visit(`${fixture.site.url}/claims`)
      for (const hours of [10, 20, 23]) {
        ahead = hours * 3600
        assert.equal(await isSignedIn(fixture), true)
      }
      ahead = day + 60
      assert.equal(await isSignedIn(fixture), false)
    })()
  })

  test('survives a new secret as long as the old one is listed, and not longer', async () => {
    const [old, fresh] = ['old-secret-old-secret-old-secret-0123', 'new-secret-new-secret-new-secret-0123']
    const { startRedis } = await import('../support/redis.js')
    const redis = await startRedis()
    const port = 0
    try {
      let [cookie, issuer] = ['', '']
      await withFixture({ oidc: { secret: old, redis: redis.url } }, async fixture => {
        await fixture.agent.visit(`${fixture.site.url}/claims`)
        cookie = `sid=${sessionCookieOf(fixture)}`
        issuer = fixture.provider.issuer
      })()
      for (const [secret, expected] of [
        [[fresh, old], true],
        [[fresh], false],
      ] as const) {
        await withFixture({ oidc: { issuer, secret, redis: redis.url }, site: { port } }, async ({ site }) => {
          const response = await fetch(`${site.url}/user`, { headers: { cookie } })
          const { isAuthenticated } = (await response.json()) as { isAuthenticated: boolean }
          assert.equal(isAuthenticated, expected)
        })()
      }
    } finally {
      await redis.stop()
    }
  })
})

test('what a request says is read again where another instance asks, or the header is another one by then', () => {
  const sealer = createSealer([secret('sealing secret')])
  const cookieNamed = (cookieName: string) =>
    createSessionCookie(
      { secure: true, lifetime: 60, routes: { keptForm: false } } as Config,
      { cookieName } as SessionPolicy,
      sealer,
    )
  const [one, other] = [cookieNamed('sid'), cookieNamed('other')]
  const headers = { cookie: `__Host-sid=${sealer.signId('a')}; __Host-other.anonymous=${sealer.signId('b')}` }
  const req = { headers } as IncomingMessage
  const ofOne = [{ id: 'a', kind: 'user' }]
  assert.deepEqual(one.read(req), ofOne)
  assert.equal(one.read(req), one.read(req))
  assert.deepEqual(other.read(req), [{ id: 'b', kind: 'anonymous' }])
  assert.deepEqual(one.read(req), ofOne)
  headers.cookie = `__Host-sid=${sealer.signId('c')}`
  assert.deepEqual(one.read(req), [{ id: 'c', kind: 'user' }])
  assert.deepEqual(other.read(req), [])
  Reflect.deleteProperty(headers, 'cookie')
  assert.deepEqual(one.read(req), [])
})
