import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Express } from 'express'
import session from 'express-session'
import type { OidcOptions } from '../../lib/index.js'
import { whoIs } from '../attacks/fixture.js'
import { createGate } from '../sign-out/support.js'
import type { Page } from '../support/agent.js'
import { type Fixture, type FixtureOptions, withFixture } from '../support/handler-fixture.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'

const alice = 'alice-0001'

async function eventually(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    if (await condition()) return
    await wait(50)
  }
  assert.fail(what)
}

async function assertFirstOneStays(fixture: Fixture): Promise<void> {
  const { agent, site } = fixture
  await eventually(async () => (await agent.fetch(`${site.url}/user`)).status === 200, 'Redis is back')
  assert.equal(await whoIs(fixture, agent), alice)
  assert.equal((await agent.fetch(`${site.url}/session`)).json<{ cart?: string }>().cart, 'apples')
}

interface Trouble {
  begin(redis: RedisServer): unknown
  end(redis: RedisServer): unknown
}

const troubles: Readonly<Record<string, Trouble>> = {
  'is full': {
    begin: redis => redis.config('maxmemory', '1'),
    end: redis => redis.config('maxmemory', '0'),
  },
  hangs: { begin: redis => redis.pause(), end: redis => redis.resume() },
}

describe('a second sign-in whose code was redeemed, when Redis', () => {
  for (const [name, trouble] of Object.entries(troubles)) {
    for (const own of [true, false]) {
      const whose = own ? 'the session of this package' : "the site's own express-session"
      test(`${name}: an honest 503, and the first one stays, with ${whose}`, async () => {
        const redis = await startRedis()
        let isArmed = false
        const hooks: OidcOptions['hooks'] = {
          async signIn() {
            if (isArmed) await trouble.begin(redis)
            return undefined
          },
        }
        const options = { secret: secret('secret of the site'), resave: false, saveUninitialized: false }
        const fixtureOptions: FixtureOptions = {
          oidc: { redis: redis.url, hooks, ...(own ? {} : { session: false }) },
          site: { before: (app: Express) => void (own || app.use(session(options))) },
        }
        try {
          await withFixture(fixtureOptions, async fixture => {
            const { agent, site } = fixture
            await agent.visit(`${site.url}/claims`)
            await agent.fetch(`${site.url}/session?cart=apples`, { method: 'POST' })
            await agent.open(`${site.url}/login`)
            isArmed = true
            const page: Page = await agent.submitForm()
            assert.equal(page.status, 503, page.text)
            await trouble.end(redis)
            await assertFirstOneStays(fixture)
          })()
        } finally {
          redis.resume()
          await redis.stop()
        }
      })
    }
  }
})

describe('the tokens of a sign-in that was refused after the code was redeemed', () => {
  for (const name of ['the hook refuses the user', 'userinfo is of another user'] as const) {
    let isArmed = false
    const hooks: OidcOptions['hooks'] = {
      signIn() {
        if (isArmed) throw new Error('not on the list')
        return undefined
      },
    }
    test(
      `are revoked where ${name}`,
      withFixture({ oidc: { hooks }, provider: { refreshTokens: 'always' } }, async fixture => {
        const { agent, provider, site } = fixture
        isArmed = name === 'the hook refuses the user'
        if (!isArmed) provider.break({ userInfoClaims: claims => ({ ...claims, sub: 'mallory' }) })
        const page = await agent.visit(`${site.url}/claims`)
        assert.ok(page.status >= 400, `${page.status}`)
        await eventually(() => provider.count('revocation') > 0, 'a revocation request')
        assert.equal(await whoIs(fixture, agent), undefined)
      }),
    )
  }
})

describe('a slow request that writes to req.session while the same user signs in anew', () => {
  const gate = createGate()
  test(
    'finds its change in the session that goes on',
    withFixture(
      {
        site: {
          routes(app) {
            app.post('/slow', (req, res, next) => {
              const { session: own } = req
              gate
                .until()
                .then(() => {
                  own.greeting = 'written slowly'
                  res.json({})
                })
                .catch(next)
            })
          },
        },
      },
      async fixture => {
        const { agent, site } = fixture
        await agent.visit(`${site.url}/claims`)
        await agent.fetch(`${site.url}/session?cart=apples`, { method: 'POST' })
        const slow = agent.fetch(`${site.url}/slow`, { method: 'POST', from: `${site.url}/` })
        await gate.reached
        await agent.tab().visit(`${site.url}/login`)
        gate.open()
        assert.equal((await slow).status, 200)
        const data = (await agent.fetch(`${site.url}/session`)).json()
        assert.deepEqual(data, { cart: 'apples', greeting: 'written slowly' })
      },
    ),
  )
})

describe('req.session.destroy() that fails', () => {
  test('leaves the cookie, and the user is signed in when Redis is back', async () => {
    const redis = await startRedis()
    const routes = (app: Express) => {
      app.delete('/hanging', (req, res, next) => {
        // The request has its session by now.
        redis.pause()
        req.session.destroy(error => (error ? next(error) : void res.json({})))
      })
    }
    try {
      await withFixture({ oidc: { redis: redis.url }, site: { routes } }, async fixture => {
        const { agent, site } = fixture
        await agent.visit(`${site.url}/claims`)
        await agent.fetch(`${site.url}/session?cart=apples`, { method: 'POST' })
        const page = await agent.fetch(`${site.url}/hanging`, { method: 'DELETE', from: `${site.url}/` })
        assert.equal(page.status, 503)
        assert.deepEqual(page.hops[0]?.setCookies, [])
        redis.resume()
        await eventually(async () => (await agent.fetch(`${site.url}/user`)).status === 200, 'Redis is back')
      })()
    } finally {
      redis.resume()
      await redis.stop()
    }
  })
})
