import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Express } from 'express'
import { createRecordStore } from '../../lib/store/store.js'
import { createAgent } from '../support/agent.js'
import type { HostileProvider } from '../support/hostile-provider.js'
import { delay } from '../support/loopback-server.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { startSite } from '../support/site.js'
import {
  assertObeyed,
  createGate,
  isSignedIn,
  postLogoutToken,
  signedInAgent,
  signIn,
  withLogoutFixture,
} from './support.js'

const alice = 'alice-0001'

describe('oidc.sessions', () => {
  test(
    'lists the sessions of a person, newest first, without anything one could sign in with',
    withLogoutFixture({}, async fixture => {
      const begin = Math.floor(Date.now() / 1000)
      await signedInAgent(fixture)
      await signIn(fixture, fixture.agent)
      const sessions = await fixture.site.oidc.sessions.list({ sub: alice })
      assert.equal(sessions.length, 2)
      for (const session of sessions) {
        const { handle, sub, sid, signedInAt, lastSeenAt, expiresAt, userAgent, deviceBound, ...rest } = session
        assert.deepEqual(rest, {})
        assert.match(handle, /^#[\w-]{43}$/)
        assert.deepEqual([sub, sid, userAgent, deviceBound], [alice, 'sid-1', undefined, false])
        assert.ok(signedInAt >= begin && lastSeenAt >= signedInAt, `${begin} ${signedInAt} ${lastSeenAt}`)
        assert.equal(expiresAt, signedInAt + 7 * 24 * 3600)
      }
      assert.deepEqual(await fixture.site.oidc.sessions.list({ sub: 'bob' }), [])
    }),
  )

  test(
    'tells the browser where the site wants it, cut to what can be printed',
    withLogoutFixture({ oidc: { rememberUserAgent: true } }, async fixture => {
      const headers = { 'user-agent': `Browser/1 ${'x'.repeat(500)}` }
      const page = await fixture.agent.open(`${fixture.site.url}/claims`, { headers })
      assert.equal(page.forms.length, 1)
      await fixture.agent.submitForm({}, { headers })
      const [session] = await fixture.site.oidc.sessions.list({ sub: alice })
      assert.equal(session?.userAgent, headers['user-agent'].slice(0, 256))
    }),
  )

  test(
    'knows when a session was last seen',
    (() => {
      let seconds = Math.floor(Date.now() / 1000)
      const clocks = { oidc: { now: () => new Date(seconds * 1000) }, provider: { now: () => seconds } }
      return withLogoutFixture(clocks, async fixture => {
        await signIn(fixture, fixture.agent)
        const signedInAt = seconds
        seconds += 1000
        await isSignedIn(fixture, fixture.agent)
        const [session] = await fixture.site.oidc.sessions.list({ sub: alice })
        assert.deepEqual([session?.signedInAt, session?.lastSeenAt], [signedInAt, seconds])
      })
    })(),
  )

  test(
    'ends one, all but this one, all, or those of a session at the provider, and says how many',
    withLogoutFixture({ site: { routes: addHandleRoute } }, async fixture => {
      const { sessions } = fixture.site.oidc
      const here = fixture.agent
      await signIn(fixture, here)
      const handle = await handleOf(fixture.site.url, here)
      const others = [await signedInAgent(fixture), await signedInAgent(fixture)] as const
      const theirs = await handleOf(fixture.site.url, others[0])
      assert.equal(await sessions.revoke({ handle: theirs, sub: 'bob' }), 0, 'not of that person')
      assert.equal(await sessions.revoke({ handle: theirs, sub: alice }), 1)
      assert.deepEqual(await signedIn(fixture, here, ...others), [true, false, true])
      assert.equal(await sessions.revoke({ sub: alice, except: handle }), 1)
      assert.deepEqual(await signedIn(fixture, here, ...others), [true, false, false])
      assert.equal((await sessions.list({ sub: alice })).length, 1, 'the one that stays is still found')
      assert.equal(await sessions.revoke({ sub: 'bob' }), 0)
      assert.equal(await sessions.revoke({ sid: 'sid-1' }), 1)
      assert.equal(await sessions.revoke({ handle }), 0)
      assert.equal(await isSignedIn(fixture, here), false)
      assert.deepEqual(
        fixture.signedOut.map(({ reason, sub }) => [reason, sub]),
        Array.from({ length: 3 }, () => ['revoked', alice]),
      )
    }),
  )

  test(
    'lets the person sign in again at once',
    withLogoutFixture({ oidc: { now: () => new Date(1.9e12) }, provider: { now: () => 1.9e9 } }, async fixture => {
      await signIn(fixture, fixture.agent)
      await fixture.site.oidc.sessions.revoke({ sub: alice })
      await signIn(fixture, fixture.agent)
      assert.equal(await isSignedIn(fixture, fixture.agent), true)
    }),
  )

  test(
    'ends a sign-in that is under way',
    withLogoutFixture({}, async fixture => {
      const gate = createGate()
      fixture.provider.break({ token: { until: gate.until } })
      const page = fixture.agent.visit(`${fixture.site.url}/claims`)
      await gate.reached
      assert.equal(await fixture.site.oidc.sessions.revoke({ sub: alice }), 0)
      gate.open()
      assert.equal((await page).status, 400)
      assert.equal(fixture.site.lastCode(), 'ERR_OIDC_SIGN_IN_ENDED')
      assert.equal(await isSignedIn(fixture, fixture.agent), false)
    }),
  )

  test(
    'does not accept a session id as a handle, or undefined as a user',
    withLogoutFixture({}, async fixture => {
      const { sessions } = fixture.site.oidc
      await signIn(fixture, fixture.agent)
      const id =
        fixture.agent
          .cookies(fixture.site.url)
          .find(({ name }) => name === 'sid')
          ?.value.split('.')[0] ?? ''
      for (const handle of [
        id,
        '#',
        `#${id}x`,
        `x${'a'.repeat(43)}`,
        '#../../../../../../../../../../../../../../../',
      ]) {
        assert.equal(await sessions.revoke({ handle }), 0)
      }
      for (const target of [{ sub: undefined }, { sub: '' }, { sid: 7 }, { handle: null }, {}]) {
        await assert.rejects(() => sessions.revoke(target as never), { code: 'ERR_OIDC_OPTIONS' })
      }
      await assert.rejects(() => sessions.list({} as never), { code: 'ERR_OIDC_OPTIONS' })
      assert.equal(await isSignedIn(fixture, fixture.agent), true)
    }),
  )

  test('works from another process, and reports a store that is away', async () => {
    const redis = await startRedis()
    const shared = { redis: redis.url, secret: secret('session secret'), timeouts: { redis: 300 } }
    try {
      await withLogoutFixture({ oidc: shared }, async fixture => {
        await signIn(fixture, fixture.agent)
        const { issuer, clientId, clientSecret } = fixture.provider
        const office = await startSite({ oidc: { ...shared, issuer, clientId, clientSecret } })
        assert.equal((await office.oidc.sessions.list({ sub: alice })).length, 1)
        redis.pause()
        await assert.rejects(office.oidc.sessions.revoke({ sub: alice }), { code: 'ERR_OIDC_STORE_UNAVAILABLE' })
        redis.resume()
        assert.equal(await office.oidc.sessions.revoke({ sub: alice }), 1)
        assert.equal(await isSignedIn(fixture, fixture.agent), false)
        await office.close()
      })()
    } finally {
      redis.resume()
      await redis.stop()
    }
  })
})

describe('10,000 sessions of one person', () => {
  const count = 10_000
  let redis: RedisServer
  before(async () => {
    redis = await startRedis()
  })
  after(() => redis.stop())

  /** Sign-ins without the provider, which is not what this is about. */
  async function fill({ issuer, clientId }: HostileProvider, sessionSecret: string): Promise<void> {
    const settings = { idle: 86_400, absolute: 604_800, timeout: 5000, now: () => new Date(), log: () => {} }
    const realm = JSON.stringify([issuer, clientId])
    const store = createRecordStore({ ...settings, realm, redis: redis.url, secrets: [sessionSecret] })
    const time = Math.floor(Date.now() / 1000)
    for (let done = 0; done < count; done += 200) {
      const batch = Array.from({ length: 200 }, (_, at) =>
        store.signIn({
          ticket: {
            issuer,
            subject: alice,
            sid: `device-${done + at}`,
            claims: { sub: alice },
            scope: 'openid',
            signedInAt: time - 60,
            expiresAt: time + 600_000,
          },
          tokens: { scope: 'openid' },
          previous: [],
          keep: [],
          time: { startedAt: (time - 61) * 1_000_000, grantedAt: time - 60 },
        }),
      )
      await Promise.all(batch)
    }
    await store.close()
  }

  for (const way of ['oidc.sessions.revoke', 'a logout token with sub alone'] as const) {
    test(`end by ${way}, and other requests are served meanwhile`, async t => {
      const sessionSecret = secret('session secret')
      await withLogoutFixture({ oidc: { redis: redis.url, secret: sessionSecret } }, async fixture => {
        const { site, provider, agent, signedOut } = fixture
        await fill(provider, sessionSecret)
        await signIn(fixture, agent)
        let served = 0
        let isOver = false
        const visitors = async () => {
          const stranger = createAgent()
          while (!isOver) {
            assert.equal((await stranger.fetch(`${site.url}/user`)).status, 200)
            served += 1
            await delay(5)
          }
        }
        const visiting = visitors()
        visiting.catch(() => {})
        const begin = performance.now()
        const cpu = process.cpuUsage()
        if (way === 'oidc.sessions.revoke') assert.equal(await site.oidc.sessions.revoke({ sub: alice }), count + 1)
        else await assertObeyed(postLogoutToken(site.url, await provider.createLogoutToken({ sid: undefined })))
        const milliseconds = Math.round(performance.now() - begin)
        const { user, system } = process.cpuUsage(cpu)
        const busy = Math.round((user + system) / 1000)
        isOver = true
        await visiting
        t.diagnostic(
          `${count + 1} sessions ended by ${way} in ${milliseconds} ms (${busy} ms of CPU), ${served} other requests meanwhile`,
        )
        assert.equal(signedOut.length, count + 1)
        assert.ok(served >= 20, `${served} requests were served meanwhile`)
        assert.deepEqual(await site.oidc.sessions.list({ sub: alice }), [])
        assert.equal(await isSignedIn(fixture, agent), false)
        const left = (await redis.command('KEYS', '*')) as string[]
        assert.deepEqual(
          left.filter(key => !/^oidc:[olb]:/.test(key)),
          [],
          'nothing but marks and the notes of browsers is left',
        )
      })()
    })
  }
})

function addHandleRoute(app: Express): void {
  app.get('/handle', (req, res) => void res.json({ handle: req.oidc.handle ?? null }))
}

async function handleOf(url: string, agent: ReturnType<typeof createAgent>): Promise<string> {
  const page = await agent.fetch(`${url}/handle`, { from: `${url}/` })
  return page.json<{ handle: string }>().handle
}

async function signedIn(
  fixture: Parameters<typeof isSignedIn>[0],
  ...agents: ReturnType<typeof createAgent>[]
): Promise<boolean[]> {
  return Promise.all(agents.map(agent => isSignedIn(fixture, agent)))
}
