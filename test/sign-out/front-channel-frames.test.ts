import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sessionCookie, sessionCookieOf } from '../support/handler-fixture.js'
import { send } from '../support/http-client.js'
import { inLogoutScene, isSignedIn, signIn } from './support.js'

for (const destination of ['document', 'image', 'script', 'style', 'empty', 'object', 'embed'])
  test(
    `a front-channel logout that is loaded as ${destination} ends nothing`,
    inLogoutScene({}, async scene => {
      const { site, provider, agent } = scene
      await signIn(scene, agent)
      const query = new URLSearchParams({ iss: provider.issuer, sid: 'sid-1' })
      const headers = { 'sec-fetch-dest': destination }
      assert.equal((await send({ url: `${site.url}/logout/frontchannel?${query}`, headers })).status, 400)
      assert.equal(await isSignedIn(scene, agent), true)
    }),
  )

for (const headers of [{ 'sec-fetch-dest': 'document' }, { 'sec-fetch-dest': 'image' }])
  test(
    `where the provider names no session, only a frame can end that of the browser (${JSON.stringify(headers)})`,
    inLogoutScene({ provider: { sid: null } }, async scene => {
      const { site, agent } = scene
      await signIn(scene, agent)
      const cookie = `${sessionCookie}=${sessionCookieOf(scene)}`
      const url = `${site.url}/logout/frontchannel`
      assert.equal((await send({ url, headers: { ...headers, cookie } })).status, 400)
      assert.equal(await isSignedIn(scene, agent), true)
      assert.equal((await send({ url, headers: { 'sec-fetch-dest': 'iframe', cookie } })).status, 200)
      assert.equal(await isSignedIn(scene, agent), false)
    }),
  )

for (const query of ['iss=ISS&amp;sid=sid-1', 'x=1&amp;iss=ISS&amp;sid=sid-1', 'sid=sid-1&amp;iss=ISS'])
  test(
    `an address that was escaped twice (${query}) ends the session it names`,
    inLogoutScene({}, async scene => {
      await signIn(scene, scene.agent)
      const text = query.replace('ISS', encodeURIComponent(scene.provider.issuer))
      assert.equal((await send({ url: `${scene.site.url}/logout/frontchannel?${text}` })).status, 200)
      assert.equal(await isSignedIn(scene, scene.agent), false)
    }),
  )
