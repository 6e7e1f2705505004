import assert from 'node:assert/strict'
import { after, before, describe, mock, test } from 'node:test'
import { createAgent } from '../support/agent.js'
import type { RequestContext } from '../support/cookie-jar.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { isSignedIn, type LogoutFixture, signIn, withLogoutFixture } from './support.js'

let redis: RedisServer
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

const typed: RequestContext = { method: 'GET', isTopLevel: true, initiator: undefined }

/** Another browser with the cookies that this one has now. */
function copyOf({ agent, site }: LogoutFixture) {
  const copy = createAgent()
  for (const pair of agent.jar.header(`${site.url}/`, typed)?.split('; ') ?? []) {
    // As a late response sets them again.
    const attributes = pair.startsWith('__Host-oidc.') ? 'Path=/; Secure; SameSite=None' : 'Path=/; SameSite=Lax'
    copy.jar.set(`${site.url}/`, `${pair}; HttpOnly; ${attributes}`, typed)
  }
  return copy
}

const signOut = ({ site }: LogoutFixture, agent: ReturnType<typeof createAgent>) =>
  agent.post(`${site.url}/logout?local=1`, {}, { from: `${site.url}/` })

describe('cookies from before a sign-out, which were copied or come back with a late response', () => {
  test('lead to no session that the browser gets after it', () =>
    withLogoutFixture({ oidc: { redis: redis.url } }, async fixture => {
      const { agent, site, provider } = fixture
      await signIn(fixture, agent)
      const copy = copyOf(fixture)
      assert.equal(await isSignedIn(fixture, copy), true)
      await signOut(fixture, agent)
      await signIn(fixture, agent)
      assert.equal(await isSignedIn(fixture, copy), false)
      provider.break({ authorize: { status: 503 } })
      await copy.visit(`${site.url}/claims`)
      assert.equal(await isSignedIn(fixture, copy), false)
      assert.equal(await isSignedIn(fixture, agent), true)
      await signOut(fixture, agent)
    })())

  test('sign out what the browser has got since, and its sign-ins that are under way', () =>
    withLogoutFixture({ oidc: { redis: redis.url } }, async fixture => {
      const { agent, site } = fixture
      await signIn(fixture, agent)
      const copy = copyOf(fixture)
      await signOut(fixture, agent)
      await signIn(fixture, agent)
      assert.equal((await site.oidc.sessions.list({ sub: 'alice-0001' })).length, 1)
      const other = agent.tab()
      await other.open(`${site.url}/login?returnTo=/claims`)
      const fields = other.page?.forms[0]?.fields ?? []
      fixture.signedOut.length = 0
      await signOut(fixture, copy)
      assert.deepEqual(
        fixture.signedOut.map(({ reason, sub, sid }) => [reason, sub, sid]),
        [['logout', 'alice-0001', 'sid-1']],
        'the request came without the cookie of the session that it ended',
      )
      assert.equal(await isSignedIn(fixture, agent), false)
      assert.deepEqual(await site.oidc.sessions.list({ sub: 'alice-0001' }), [])
      const late = await other.post(`${site.url}/callback`, fields, { from: fixture.provider.issuer })
      assert.deepEqual([late.status, site.lastCode()], [400, 'ERR_OIDC_SIGN_IN_ENDED'])
      await signIn(fixture, copy)
      assert.equal(await isSignedIn(fixture, copy), true)
      await signOut(fixture, copy)
    })())

  for (const { seconds, ends } of [
    { seconds: 61, ends: true },
    { seconds: 30, ends: false },
  ]) {
    const end = ends ? 'is ended by' : 'may still be on its way at'
    test(`a session whose cookie the late response of a sign-out has removed ${end} a sign-in ${seconds} s later`, () =>
      // Without Redis: the clock of the store is that of this process.
      withLogoutFixture({}, async fixture => {
        const { agent, site } = fixture
        await signIn(fixture, agent)
        const earlier = copyOf(fixture)
        await signOut(fixture, agent)
        // In another tab, before the response of the sign-out is there.
        await signIn(fixture, earlier)
        const real = performance.now.bind(performance)
        const clock = mock.method(performance, 'now', () => real() + seconds * 1000)
        try {
          await signIn(fixture, agent)
          assert.equal(await isSignedIn(fixture, earlier), !ends)
          assert.equal((await site.oidc.sessions.list({ sub: 'alice-0001' })).length, ends ? 1 : 2)
          assert.equal(await isSignedIn(fixture, agent), true)
          const reasons = fixture.signedOut.map(({ reason, sub }) => [reason, sub])
          assert.deepEqual(reasons, Array(ends ? 2 : 1).fill(['logout', 'alice-0001']))
        } finally {
          clock.mock.restore()
        }
      })())
  }
})
