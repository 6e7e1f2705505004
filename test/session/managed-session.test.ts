import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Express } from 'express'
import { sessionCookieOf, withFixture } from '../support/handler-fixture.js'
import { startRedis } from '../support/redis.js'

declare module 'express-session' {
  interface SessionData {
    greeting: string
    visits: number
  }
}

describe('req.session', () => {
  test(
    'that is never accessed costs no cookie and no header',
    withFixture({}, async ({ agent, site }) => {
      const page = await agent.open(`${site.url}/`)
      assert.deepEqual(page.hops[0]?.setCookies, [])
      assert.equal(page.headers.vary, undefined)
      assert.equal(page.headers['cache-control'], undefined)
    }),
  )

  test(
    'that is only read costs no cookie',
    withFixture({}, async ({ agent, site }) => {
      const page = await agent.open(`${site.url}/session`)
      assert.deepEqual(page.hops[0]?.setCookies, [])
      assert.equal(page.headers.vary, 'Cookie')
    }),
  )

  test(
    'that is written to gets an opaque cookie, and the response must not be stored',
    withFixture({}, async fixture => {
      const page = await fixture.agent.fetch(`${fixture.site.url}/session?cart=apples`, { method: 'POST' })
      const cookies = page.hops[0]?.setCookies ?? []
      assert.equal(cookies.length, 1)
      assert.match(cookies[0] ?? '', /^sid\.anonymous=[\w-]{43}\.[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax$/)
      assert.equal(page.headers['cache-control'], 'no-store')
      assert.deepEqual((await fixture.agent.open(`${fixture.site.url}/session`)).json(), { cart: 'apples' })
    }),
  )

  test(
    'keeps its cookie on later writes: none is sent again',
    withFixture({}, async ({ agent, site }) => {
      await agent.fetch(`${site.url}/session?a=1`, { method: 'POST' })
      const page = await agent.fetch(`${site.url}/session?b=2`, { method: 'POST' })
      assert.deepEqual(page.hops[0]?.setCookies, [])
      assert.deepEqual(page.json(), { a: '1', b: '2' })
    }),
  )

  test(
    'is saved before a redirect leaves, so that the next page never comes too early',
    withFixture({ site: { routes: addRoutes } }, async ({ agent, site }) => {
      for (let i = 1; i <= 20; i += 1) {
        const page = await agent.open(`${site.url}/count`)
        assert.deepEqual(page.json(), { visits: i })
      }
    }),
  )

  test(
    'written to while the response streams keeps its data and its cookie',
    withFixture({ site: { routes: addRoutes } }, async fixture => {
      const page = await fixture.agent.open(`${fixture.site.url}/stream`)
      assert.equal(page.text, 'onetwo')
      assert.notEqual(sessionCookieOf(fixture), undefined)
      assert.deepEqual((await fixture.agent.open(`${fixture.site.url}/session`)).json(), { greeting: 'streamed' })
    }),
  )

  test(
    'first written to after the headers left is an error, not a silent loss',
    withFixture({ site: { routes: addRoutes } }, async ({ agent, site }) => {
      await agent.open(`${site.url}/too-late`).catch(() => undefined)
      assert.equal(site.lastCode(), 'ERR_OIDC_SESSION_TOO_LATE')
    }),
  )

  test(
    'regenerate() gives a new id and ends the old one',
    withFixture({ site: { routes: addRoutes } }, async fixture => {
      await fixture.agent.fetch(`${fixture.site.url}/session?cart=apples`, { method: 'POST' })
      const before = sessionCookieOf(fixture)
      await fixture.agent.open(`${fixture.site.url}/regenerate`)
      assert.notEqual(sessionCookieOf(fixture), before)
      assert.deepEqual((await fixture.agent.open(`${fixture.site.url}/session`)).json(), { greeting: 'new' })
    }),
  )

  test(
    'destroy() ends the sign-in too and takes the cookie away',
    withFixture({}, async fixture => {
      await fixture.agent.visit(`${fixture.site.url}/claims`)
      await fixture.agent.fetch(`${fixture.site.url}/session`, { method: 'DELETE' })
      assert.equal(sessionCookieOf(fixture), undefined)
      const user = await fixture.agent.fetch(`${fixture.site.url}/user`)
      assert.equal(user.json<{ isAuthenticated: boolean }>().isAuthenticated, false)
    }),
  )

  test(
    'with a forged cookie begins anew under another id',
    withFixture({}, async fixture => {
      const forged = { cookie: `sid=${'x'.repeat(43)}.${'y'.repeat(43)}` }
      const page = await fixture.agent.fetch(`${fixture.site.url}/session?a=1`, { method: 'POST', headers: forged })
      assert.match(page.hops[0]?.setCookies[0] ?? '', /^sid\.anonymous=(?!x{43})/)
    }),
  )

  test('whose record is gone is not recreated under the id of the cookie', async () => {
    const redis = await startRedis()
    try {
      await withFixture({ oidc: { redis: redis.url } }, async fixture => {
        await fixture.agent.fetch(`${fixture.site.url}/session?a=1`, { method: 'POST' })
        const before = sessionCookieOf(fixture)
        await redis.command('flushall')
        await fixture.agent.fetch(`${fixture.site.url}/session?b=2`, { method: 'POST' })
        assert.notEqual(sessionCookieOf(fixture), before)
        assert.deepEqual((await fixture.agent.open(`${fixture.site.url}/session`)).json(), { b: '2' })
      })()
    } finally {
      await redis.stop()
    }
  })
})

describe('Redis in trouble', () => {
  for (const [name, trouble] of [
    ['hangs', redis => redis.pause()],
    ['is gone', redis => redis.kill()],
  ] as [string, (redis: Awaited<ReturnType<typeof startRedis>>) => unknown][]) {
    test(`that ${name}: 503 with Retry-After, the cookie kept, and the same cookie works afterwards`, async () => {
      const redis = await startRedis()
      try {
        await withFixture({ oidc: { redis: redis.url }, site: { handlesErrors: false } }, async fixture => {
          await fixture.agent.visit(`${fixture.site.url}/claims`)
          const cookie = sessionCookieOf(fixture)
          await trouble(redis)
          for (const path of ['/claims', '/user', '/session']) {
            const page = await fixture.agent.open(fixture.site.url + path)
            assert.equal(page.status, 503, path)
            assert.equal(page.headers['retry-after'], '5')
            assert.deepEqual(page.hops[0]?.setCookies, [])
          }
          assert.equal((await fixture.site.oidc.health()).ok, false)
          assert.equal(sessionCookieOf(fixture), cookie)
          if (name === 'hangs') {
            redis.resume()
            await recovered(fixture.site.oidc.ready)
            assert.equal((await fixture.agent.open(`${fixture.site.url}/claims`)).status, 200)
          } else {
            await redis.restart()
            await recovered(fixture.site.oidc.ready)
            assert.equal((await fixture.agent.visit(`${fixture.site.url}/claims`)).status, 200)
          }
        })()
      } finally {
        await redis.stop()
      }
    })
  }

  test('that takes no writes: no half sign-in, an honest page for a changed session', async () => {
    const redis = await startRedis()
    try {
      await withFixture({ oidc: { redis: redis.url }, site: { handlesErrors: false } }, async fixture => {
        await fixture.agent.open(`${fixture.site.url}/claims`)
        await redis.config('maxmemory', '1')
        const page = await fixture.agent.submitForm()
        assert.equal(page.status, 503)
        assert.equal(sessionCookieOf(fixture), undefined)
        const changed = await fixture.agent.fetch(`${fixture.site.url}/session?a=1`, { method: 'POST' })
        assert.equal(changed.status, 503)
        assert.equal(changed.json<{ error: string }>().error, 'ERR_OIDC_STORE_UNAVAILABLE')
        assert.deepEqual(changed.hops[0]?.setCookies, [])
        await redis.config('maxmemory', '0')
        assert.equal((await fixture.agent.visit(`${fixture.site.url}/claims`)).status, 200)
      })()
    } finally {
      await redis.stop()
    }
  })
})

async function recovered(ready: () => Promise<void>): Promise<void> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const isReady = await ready().then(
      () => true,
      () => false,
    )
    if (isReady) return
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  assert.fail('not ready after 50 attempts')
}

function addRoutes(app: Express): void {
  app.get('/count', (req, res) => {
    req.session.visits = (req.session.visits ?? 0) + 1
    res.redirect('/session')
  })
  app.get('/stream', (req, res) => {
    req.session.greeting = 'streamed'
    res.write('one')
    setImmediate(() => res.end('two'))
  })
  app.get('/too-late', (req, res) => {
    res.write('one')
    setImmediate(() => {
      req.session.greeting = 'late'
      res.end('two')
    })
  })
  app.get('/regenerate', (req, res, next) => {
    req.session.regenerate(error => {
      if (error) return next(error)
      req.session.greeting = 'new'
      return res.send('done')
    })
  })
}
