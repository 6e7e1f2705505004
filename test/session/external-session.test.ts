import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Express } from 'express'
import session from 'express-session'
import { requiresAuth } from '../../lib/index.js'
import { type FixtureOptions, withFixture } from '../support/handler-fixture.js'
import { startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'

/** A site that mounts express-session itself, with the store express-session brings along. */
function withOwnSession(oidc: FixtureOptions['oidc'] = {}): FixtureOptions {
  return {
    oidc: { ...oidc, session: false },
    site: {
      before: app =>
        app.use(
          session({ secret: secret('secret of the site'), name: 'site', resave: false, saveUninitialized: false }),
        ),
      routes: app => app.get('/strong', requiresAuth({ acr: 'strong' }), (_req, res) => void res.json({})),
    },
  }
}

describe("over the site's own express-session", () => {
  for (const [responseType, responseMode] of [
    ['code id_token token', 'form_post'],
    ['code', 'query'],
  ] as const) {
    test(
      `a sign-in by ${responseType} lands on the page asked for, under a new session id`,
      withFixture(withOwnSession({ responseType, responseMode }), async ({ agent, site }) => {
        await agent.open(`${site.url}/`)
        await agent.fetch(`${site.url}/session?cart=apples`, { method: 'POST' })
        const before = agent.cookies(site.url).find(({ name }) => name === 'site')?.value
        const page = await agent.visit(`${site.url}/claims?x=1`)
        assert.deepEqual([page.status, page.url], [200, `${site.url}/claims?x=1`], page.text)
        const after = agent.cookies(site.url).find(({ name }) => name === 'site')?.value
        assert.notEqual(before, after)
        assert.equal(
          agent.cookies(site.url).find(({ name }) => name === 'sid'),
          undefined,
          'no cookie of ours',
        )
      }),
    )
  }

  test('the ticket lives in Redis, whatever store the site uses, and sign-out ends both', async () => {
    const redis = await startRedis()
    try {
      await withFixture(withOwnSession({ redis: redis.url }), async ({ agent, site }) => {
        await agent.visit(`${site.url}/claims`)
        assert.equal((await records(redis)).length, 1)
        await agent.post(`${site.url}/logout`, {})
        assert.equal((await records(redis)).length, 0)
        const user = await agent.fetch(`${site.url}/user`)
        assert.equal(user.json<{ isAuthenticated: boolean }>().isAuthenticated, false)
      })()
    } finally {
      await redis.stop()
    }
  })

  test(
    'a step-up and another sign-in of the same user keep what the site remembered, and the sign-in of another user does not',
    withFixture(withOwnSession(), async ({ agent, site, provider }) => {
      const asBob = (claims: Readonly<Record<string, unknown>>) => ({ ...claims, sub: 'bob' })
      const cart = async () => (await agent.fetch(`${site.url}/session`)).json<{ cart?: string }>().cart
      await agent.visit(`${site.url}/claims`)
      await agent.fetch(`${site.url}/session?cart=apples`, { method: 'POST' })
      const page = await agent.visit(`${site.url}/strong`)
      assert.deepEqual([page.status, page.url], [200, `${site.url}/strong`], page.text)
      assert.equal(await cart(), 'apples')
      await agent.visit(`${site.url}/login`)
      assert.equal(await cart(), 'apples')
      provider.break({ frontIdToken: asBob, backIdToken: asBob, userInfoClaims: asBob })
      await agent.visit(`${site.url}/login`)
      assert.equal(await cart(), undefined)
    }),
  )

  test(
    'a step-up does not get the data of another user who signed in meanwhile',
    withFixture(
      withOwnSession({ responseType: 'code', responseMode: 'query', userInfo: false }),
      async ({ agent, site, provider }) => {
        await agent.visit(`${site.url}/claims`)
        const away = await agent.open(`${site.url}/strong`, { redirect: 'manual' })
        provider.break({ backIdToken: claims => ({ ...claims, sub: 'bob' }) })
        await agent.visit(`${site.url}/login`)
        await agent.fetch(`${site.url}/session?cart=of-bob`, { method: 'POST' })
        assert.equal((await agent.fetch(`${site.url}/user`)).json<{ user: { sub: string } }>().user.sub, 'bob')
        provider.heal()
        const page = await agent.open(String(away.headers.location))
        assert.deepEqual([page.status, page.url], [200, `${site.url}/strong`], page.text)
        assert.notEqual((await agent.fetch(`${site.url}/user`)).json<{ user: { sub: string } }>().user.sub, 'bob')
        assert.equal((await agent.fetch(`${site.url}/session`)).json<{ cart?: string }>().cart, undefined)
      },
    ),
  )

  test(
    'a slow save of the site cannot revive a sign-in that was ended',
    withFixture(withOwnSession(), async ({ agent, site }) => {
      await agent.visit(`${site.url}/claims`)
      const cookie = agent
        .cookies(site.url)
        .map(({ name, value }) => `${name}=${value}`)
        .join('; ')
      await agent.post(`${site.url}/logout`, {})
      await agent.fetch(`${site.url}/session?late=1`, { method: 'POST', headers: { cookie } })
      const user = await agent.fetch(`${site.url}/user`, { headers: { cookie } })
      assert.equal(user.json<{ isAuthenticated: boolean }>().isAuthenticated, false)
    }),
  )

  test(
    'without express-session before us: an error that says so',
    withFixture({ oidc: { session: false } }, async ({ agent, site }) => {
      assert.equal((await agent.open(`${site.url}/claims`)).status, 500)
      assert.equal(site.lastCode(), 'ERR_OIDC_NOT_MOUNTED')
    }),
  )
})

async function records(redis: Awaited<ReturnType<typeof startRedis>>): Promise<string[]> {
  const keys = (await redis.command('keys', '*')) as string[]
  return keys.filter(key => /^oidc:[\w-]{43}$/.test(key))
}

describe('express-session before this middleware without session: false', () => {
  const foreign = (line: string) => line.startsWith('ERR_OIDC_OPTIONS: another middleware before this one')

  for (const express of [4, 5] as const) {
    test(
      `is replaced, and the log says so once, with what to do (Express ${express})`,
      withFixture({ site: { ...withOwnSession().site, express } }, async ({ agent, site }) => {
        await agent.visit(`${site.url}/claims`)
        await agent.fetch(`${site.url}/session?cart=apples`, { method: 'POST' })
        assert.deepEqual((await agent.fetch(`${site.url}/session`)).json(), { cart: 'apples' })
        assert.match(site.log.filter(foreign).join('\n'), /^[^\n]*two cookies[^\n]*set session: false$/)
      }),
    )
  }

  test(
    'a session that is no store of express-session is noticed without being read',
    withFixture(
      {
        site: {
          before: app =>
            app.use((req, _res, next) => {
              const get = () => assert.fail('the session was read')
              Object.defineProperty(req, 'session', { configurable: true, enumerable: true, get })
              next()
            }),
        },
      },
      async ({ agent, site }) => {
        await agent.open(`${site.url}/user`)
        assert.equal(site.log.filter(foreign).length, 1)
      },
    ),
  )

  test('nothing is said with session: false, with no other session, and where this middleware is passed twice', async () => {
    for (const options of [
      withOwnSession(),
      {
        site: {
          routes: (app: Express) => void app.use((req, _res, next) => (req.session.id === '' ? undefined : next())),
        },
      },
    ]) {
      await withFixture(options, async ({ agent, site }) => {
        site.app.use('/again', site.oidc, (req, res) => void res.json(typeof req.session))
        await agent.visit(`${site.url}/claims`)
        assert.equal((await agent.open(`${site.url}/again`)).json(), 'object')
        assert.deepEqual(site.log.filter(foreign), [])
      })()
    }
  })
})
