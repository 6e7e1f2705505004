import assert from 'node:assert/strict'
import { test } from 'node:test'
import { send } from '../support/http-client.js'
import { startRedis } from '../support/redis.js'
import { assertObeyed, isSignedIn, type LogoutFixture, postLogoutToken, signIn, withLogoutFixture } from './support.js'

const ways: Readonly<Record<string, (fixture: LogoutFixture) => Promise<unknown>>> = {
  'a logout token with sub and sid': async ({ site, provider }) =>
    assertObeyed(postLogoutToken(site.url, await provider.createLogoutToken())),
  'a logout token with sub alone': async ({ site, provider }) =>
    assertObeyed(postLogoutToken(site.url, await provider.createLogoutToken({ sid: undefined }))),
  'sessions.revoke by sub': async ({ site }) => assert.equal(await site.oidc.sessions.revoke({ sub: 'alice-0001' }), 1),
  'sessions.revoke by sid': async ({ site }) => assert.equal(await site.oidc.sessions.revoke({ sid: 'sid-1' }), 1),
  'a front-channel logout': async ({ site, provider }) => {
    const query = new URLSearchParams({ iss: provider.issuer, sid: 'sid-1' })
    assert.equal((await send({ url: `${site.url}/logout/frontchannel?${query}` })).status, 200)
  },
}

for (const [name, end] of Object.entries(ways)) {
  test(`${name} ends the session although Redis is full`, async () => {
    const redis = await startRedis()
    try {
      await withLogoutFixture({ oidc: { redis: redis.url } }, async fixture => {
        await signIn(fixture, fixture.agent)
        await redis.config('maxmemory-policy', 'noeviction')
        await redis.config('maxmemory', 1)
        await end(fixture)
        await redis.config('maxmemory', 0)
        assert.equal(await isSignedIn(fixture, fixture.agent), false)
        assert.equal(fixture.signedOut.length, 1)
        await signIn(fixture, fixture.agent)
      })()
    } finally {
      await redis.stop()
    }
  })
}
