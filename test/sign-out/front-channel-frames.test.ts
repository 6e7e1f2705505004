import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sessionCookie, sessionCookieOf } from '../support/handler-fixture.js'
import { send } from '../support/http-client.js'
import { isSignedIn, signIn, withLogoutFixture } from './support.js'

for (const destination of ['document', 'image', 'script', 'style', 'empty', 'object', 'embed'])
  test(
    `a front-channel logout that is loaded as ${destination} ends nothing`,
    withLogoutFixture({}, async fixture => {
      const { site, provider, agent } = fixture
      await signIn(fixture, agent)
      const query = new URLSearchParams({ iss: provider.issuer, sid: 'sid-1' })
      const headers = { 'sec-fetch-dest': destination }
      assert.equal((await send({ url: `${site.url}/logout/frontchannel?${query}`, headers })).status, 400)
      assert.equal(await isSignedIn(fixture, agent), true)
    }),
  )

for (const headers of [{ 'sec-fetch-dest': 'document' }, { 'sec-fetch-dest': 'image' }])
  test(
    `where the provider names no session, only a frame can end that of the browser (${JSON.stringify(headers)})`,
    withLogoutFixture({ provider: { sid: null } }, async fixture => {
      const { site, agent } = fixture
      await signIn(fixture, agent)
      const cookie = `${sessionCookie}=${sessionCookieOf(fixture)}`
      const url = `${site.url}/logout/frontchannel`
      assert.equal((await send({ url, headers: { ...headers, cookie } })).status, 400)
      assert.equal(await isSignedIn(fixture, agent), true)
      assert.equal((await send({ url, headers: { 'sec-fetch-dest': 'iframe', cookie } })).status, 200)
      assert.equal(await isSignedIn(fixture, agent), false)
    }),
  )

for (const query of ['iss=ISS&amp;sid=sid-1', 'x=1&amp;iss=ISS&amp;sid=sid-1', 'sid=sid-1&amp;iss=ISS'])
  test(
    `an address that was escaped twice (${query}) ends the session it names`,
    withLogoutFixture({}, async fixture => {
      await signIn(fixture, fixture.agent)
      const text = query.replace('ISS', encodeURIComponent(fixture.provider.issuer))
      assert.equal((await send({ url: `${fixture.site.url}/logout/frontchannel?${text}` })).status, 200)
      assert.equal(await isSignedIn(fixture, fixture.agent), false)
    }),
  )
