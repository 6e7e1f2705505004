import assert from 'node:assert/strict'
import { after, before, describe, mock, test } from 'node:test'
import { createAgent } from '../support/agent.js'
import type { RequestContext } from '../support/cookie-jar.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { inLogoutScene, isSignedIn, type LogoutScene, signIn } from './support.js'

let redis: RedisServer
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

const typed: RequestContext = { method: 'GET', isTopLevel: true, initiator: undefined }

/** Another browser with the cookies that this one has now. */
function copyOf({ agent, site }: LogoutScene) {
  const copy = createAgent()
  for (const pair of agent.jar.header(`${site.url}/`, typed)?.split('; ') ?? []) {
    // As a late response sets them again.
    const attributes = pair.startsWith('__Host-oidc.') ? 'Path=/; Secure; SameSite=None' : 'Path=/; SameSite=Lax'
    copy.jar.set(`${site.url}/`, `${pair}; HttpOnly; ${attributes}`, typed)
  }
  return copy
}

const signOut = ({ site }: LogoutScene, agent: ReturnType<typeof createAgent>) =>
  agent.post(`${site.url}/logout?local=1`, {}, { from: `${site.url}/` })

describe('cookies from before a sign-out, which were copied or come back with a late response', () => {
  test('lead to no session that the browser gets after it', () =>
    inLogoutScene({ oidc: { redis: redis.url } }, async scene => {
      const { agent, site, provider } = scene
      await signIn(scene, agent)
      const copy = copyOf(scene)
      assert.equal(await isSignedIn(scene, copy), true)
      await signOut(scene, agent)
      await signIn(scene, agent)
      assert.equal(await isSignedIn(scene, copy), false)
      provider.break({ authorize: { status: 503 } })
      await copy.visit(`${site.url}/claims`)
      assert.equal(await isSignedIn(scene, copy), false)
      assert.equal(await isSignedIn(scene, agent), true)
      await signOut(scene, agent)
    })())

  test('sign out what the browser has got since, and its sign-ins that are under way', () =>
    inLogoutScene({ oidc: { redis: redis.url } }, async scene => {
      const { agent, site } = scene
      await signIn(scene, agent)
      const copy = copyOf(scene)
      await signOut(scene, agent)
      await signIn(scene, agent)
      assert.equal((await site.oidc.sessions.list({ sub: 'alice-0001' })).length, 1)
      const other = agent.tab()
      await other.open(`${site.url}/login?returnTo=/claims`)
      const fields = other.page?.forms[0]?.fields ?? []
      await signOut(scene, copy)
      assert.equal(await isSignedIn(scene, agent), false)
      assert.deepEqual(await site.oidc.sessions.list({ sub: 'alice-0001' }), [])
      const late = await other.post(`${site.url}/callback`, fields, { from: scene.provider.issuer })
      assert.deepEqual([late.status, site.lastCode()], [400, 'ERR_OIDC_SIGN_IN_ENDED'])
      await signIn(scene, copy)
      assert.equal(await isSignedIn(scene, copy), true)
      await signOut(scene, copy)
    })())

  for (const { seconds, ends } of [
    { seconds: 61, ends: true },
    { seconds: 30, ends: false },
  ]) {
    const end = ends ? 'is ended by' : 'may still be on its way at'
    test(`a session whose cookie the late response of a sign-out has removed ${end} a sign-in ${seconds} s later`, () =>
      // Without Redis: the clock of the store is that of this process.
      inLogoutScene({}, async scene => {
        const { agent, site } = scene
        await signIn(scene, agent)
        const earlier = copyOf(scene)
        await signOut(scene, agent)
        // In another tab, before the response of the sign-out is there.
        await signIn(scene, earlier)
        const real = performance.now.bind(performance)
        const clock = mock.method(performance, 'now', () => real() + seconds * 1000)
        try {
          await signIn(scene, agent)
          assert.equal(await isSignedIn(scene, earlier), !ends)
          assert.equal((await site.oidc.sessions.list({ sub: 'alice-0001' })).length, ends ? 1 : 2)
          assert.equal(await isSignedIn(scene, agent), true)
        } finally {
          clock.mock.restore()
        }
      })())
  }
})
