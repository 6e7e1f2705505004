import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createAgent } from '../support/agent.js'
import { send } from '../support/http-client.js'
import { createSigningKey } from '../support/signing-keys.js'
import { startTokenFixture } from '../tokens/token-fixture.js'
import { attack, cookieHeader, whoIs } from './fixture.js'

const now = () => Math.floor(Date.now() / 1000)

describe('a sign-out', () => {
  attack(
    'CVE-2026-34454 CVE-2025-55162: every way to sign out ends the session on the server and takes the cookie away with the attributes it was set with',
    {},
    async ({ site }) => {
      for (const [what, path] of [
        ['at the provider', '/logout'],
        ['here only', '/logout?local=1'],
        ['without a return', '/logout?returnTo=//evil.example'],
      ] as const) {
        const agent = createAgent()
        const page = await agent.visit(`${site.url}/claims`)
        const set = page.hops.flatMap(hop => hop.setCookies).find(cookie => cookie.startsWith('sid='))
        const attributes = (cookie: string | undefined) =>
          cookie
            ?.split('; ')
            .slice(1)
            .filter(part => !part.startsWith('Max-Age'))
            .sort()
        const copied = cookieHeader({ site }, agent)
        const out = await agent.open(site.url + path, { redirect: 'manual' })
        const taken = out.hops[0]?.setCookies.find(cookie => cookie.startsWith('sid=;'))
        assert.match(taken ?? '', /Max-Age=0/, what)
        assert.deepEqual(attributes(taken), attributes(set), what)
        const { text } = await send({ url: `${site.url}/user`, headers: { cookie: copied } })
        assert.equal((JSON.parse(text) as { isAuthenticated: boolean }).isAuthenticated, false, what)
      }
    },
  )

  attack('the page "you are signed out" is never shown to a user who is signed in', {}, async ({ site, victim }) => {
    for (const path of [
      '/logout/callback',
      '/logout/callback?state=x',
      '/logout/callback?state=x&returnTo=//evil.example',
    ]) {
      const page = await victim.click(site.url + path, { from: 'http://evil.example/', redirect: 'manual' })
      assert.equal(page.status, 303, path)
      assert.equal(page.hops[0]?.location, `${site.url}/`)
    }
    assert.equal(await whoIs({ site }, victim), 'alice-0001')
  })

  attack(
    'another site cannot sign a user out: not by a link, a form, an image, a frame or a script',
    {},
    async ({ site, victim, evil, provider }) => {
      const from = `${evil.url}/`
      for (const path of ['/logout', '/logout?local=1', '/logout?returnTo=/x&local=1']) {
        const pages = [
          await victim.click(site.url + path, { from, redirect: 'manual' }),
          await victim.post(site.url + path, 'a=b', { from, redirect: 'manual' }),
          await victim.frame(site.url + path, { from, redirect: 'manual' }),
          await victim.fetch(site.url + path, { from, credentials: 'include', redirect: 'manual' }),
          await victim.fetch(site.url + path, {
            from,
            credentials: 'include',
            method: 'POST',
            body: 'x',
            redirect: 'manual',
          }),
          await victim.fetch(site.url + path, {
            from,
            credentials: 'include',
            headers: { 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' },
            redirect: 'manual',
          }),
        ]
        for (const page of pages) assert.deepEqual([page.status, page.hops[0]?.setCookies], [200, []], path)
        assert.equal(await whoIs({ site }, victim), 'alice-0001', path)
      }
      const issuer = encodeURIComponent(provider.issuer)
      for (const path of ['/logout/frontchannel', `/logout/frontchannel?iss=${issuer}&sid=guessed`]) {
        for (const page of [
          await victim.click(site.url + path, { from, redirect: 'manual' }),
          await victim.post(site.url + path, 'a=b', { from, redirect: 'manual' }),
          await victim.frame(site.url + path, { from, redirect: 'manual' }),
          await victim.fetch(site.url + path, { from, credentials: 'include', redirect: 'manual' }),
          await victim.fetch(site.url + path, {
            from,
            credentials: 'include',
            headers: { 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' },
            redirect: 'manual',
          }),
        ]) {
          assert.deepEqual(page.hops[0]?.setCookies, [], `${path} ${page.status}`)
          assert.equal(await whoIs({ site }, victim), 'alice-0001', `${path} ${page.status}`)
        }
      }
    },
  )

  attack(
    'CVE-2019-10157 CVE-2026-18569: a forged logout token ends no session, and no time in it prevents a later sign-in',
    {},
    async ({ site, provider, victim }) => {
      const own = await createSigningKey()
      const user = { sub: 'alice-0001', sid: 'sid-1' }
      for (const [what, token] of Object.entries({
        'another key': await provider.createLogoutToken(user, { key: 'foreign' }),
        'its own key': await provider.createLogoutToken(user, {
          key: own.privateKey,
          header: header => ({ ...header, jwk: own.publicJwk }),
        }),
        'no signature': await provider.createLogoutToken(user, { signature: () => Buffer.alloc(0) }),
        'alg none': await provider.createLogoutToken(user, { alg: 'none' }),
        'the client secret': await provider.createLogoutToken(user, { alg: 'HS256', key: provider.clientSecret }),
        'another algorithm': await provider.createLogoutToken(user, { alg: 'RS512' }),
        'another issuer': await provider.createLogoutToken({ ...user, iss: 'https://evil.example' }),
        'another client': await provider.createLogoutToken({ ...user, aud: 'other' }),
        'no events': await provider.createLogoutToken({ ...user, events: undefined }),
        'events of another kind': await provider.createLogoutToken({ ...user, events: { x: {} } }),
        'a list of events': await provider.createLogoutToken({
          ...user,
          events: ['http://schemas.openid.net/event/backchannel-logout'],
        }),
        'a nonce': await provider.createLogoutToken({ ...user, nonce: 'x' }),
        'no jti': await provider.createLogoutToken({ ...user, jti: undefined }),
        'no iat': await provider.createLogoutToken({ ...user, iat: undefined }),
        'iat ahead': await provider.createLogoutToken({ ...user, iat: now() + 3600 }),
        'iat long ago': await provider.createLogoutToken({ ...user, iat: now() - 3600 }),
        over: await provider.createLogoutToken({ ...user, exp: now() - 3600 }),
        'no user': await provider.createLogoutToken({ sub: undefined, sid: undefined }),
        'an ID Token': await provider.keys.sign({
          ...user,
          iss: provider.issuer,
          aud: provider.clientId,
          iat: now(),
          exp: now() + 60,
          nonce: 'x',
        }),
        rubbish: 'x.y.z',
      })) {
        const headers = { 'content-type': 'application/x-www-form-urlencoded' }
        const body = new URLSearchParams({ logout_token: token }).toString()
        const response = await send({ url: `${site.url}/logout/backchannel`, method: 'POST', headers, body })
        assert.equal(response.status, 400, what)
        assert.equal(response.headers['cache-control'], 'no-store')
        assert.deepEqual(response.setCookies, [])
        assert.equal(await whoIs({ site }, victim), 'alice-0001', what)
      }
      const agent = createAgent()
      await agent.visit(`${site.url}/claims`)
      assert.equal(await whoIs({ site }, agent), 'alice-0001', 'the user can sign in afterwards')
    },
  )

  attack(
    'a front-channel request with a guessed sid or another issuer ends no session and sends no request to the provider',
    {},
    async ({ site, provider }) => {
      const before = provider.requests.length
      for (const query of [
        'sid=sid-10',
        `iss=${encodeURIComponent('https://evil.example')}&sid=sid-1`,
        `iss=${encodeURIComponent(`${provider.issuer}/`)}&sid=sid-1`,
        `iss=${encodeURIComponent(provider.issuer)}`,
        `iss=${encodeURIComponent(provider.issuer)}&sid=`,
        `iss=${encodeURIComponent(provider.issuer)}&sid=sid-10`,
        `iss=${encodeURIComponent(provider.issuer)}&sid=*`,
        `iss=${encodeURIComponent(provider.issuer)}&sid[]=sid-1`,
        `iss[]=x&sid=sid-10`,
      ]) {
        const { status } = await send({ url: `${site.url}/logout/frontchannel?${query}` })
        assert.ok(status === 200 || status === 400, `${query}: ${status}`)
      }
      assert.equal(provider.requests.length, before)
    },
  )
})

describe('a session that lives on', () => {
  test('CVE-2021-41230: after a refresh the claims of the user are the new ones: a role that was removed is gone', async () => {
    const fixture = await startTokenFixture({
      routes: app =>
        void app.get(
          '/renew',
          (req, res, next) => void req.oidc.userInfo({ refresh: true }).then(() => res.json(req.oidc.user), next),
        ),
    })
    try {
      const { agent, provider, site } = fixture
      await fixture.signIn()
      assert.equal((await agent.open(`${site.url}/editors`)).status, 200)
      provider.break({ userInfoClaims: claims => ({ ...(claims as object), role: ['reader'], email: undefined }) })
      fixture.advance(400)
      const user = (await agent.fetch(`${site.url}/renew`)).json<{ role: string[]; email?: string }>()
      assert.deepEqual(user.role, ['reader'])
      assert.equal(user.email, undefined)
      assert.equal(fixture.refreshes().length, 1)
      assert.equal((await agent.open(`${site.url}/editors`)).status, 403)
    } finally {
      await fixture.close()
    }
  })

  test('GHSA-3rw9-wmc8-8948: a session whose refresh token the provider has taken back ends, and one without a refresh token ends at its own limit', async () => {
    const fixture = await startTokenFixture({ oidc: { session: { absolute: 3600 } } })
    try {
      const { agent, provider, site } = fixture
      await fixture.signIn()
      provider.revokeGrants()
      fixture.advance(400)
      assert.equal((await fixture.token()).status, 401)
      assert.equal(await whoIs({ site }, agent), undefined)
    } finally {
      await fixture.close()
    }
    const other = await startTokenFixture({ oidc: { session: { absolute: 3600 }, scope: 'openid' } })
    try {
      await other.signIn()
      assert.equal(await whoIs({ site: other.site }, other.agent), 'alice-0001')
      other.advance(3601)
      assert.equal(await whoIs({ site: other.site }, other.agent), undefined)
    } finally {
      await other.close()
    }
  })

  test('a refreshed ID Token that is forged or about another user is refused, and the tokens of that response are never returned', async () => {
    for (const [what, refreshedIdToken] of Object.entries({
      'another key': { key: 'foreign' },
      'alg none': { alg: 'none' },
      'another sub': (claims: object) => ({ ...claims, sub: 'bob' }),
      'another iss': (claims: object) => ({ ...claims, iss: 'https://evil.example' }),
      'another aud': (claims: object) => ({ ...claims, aud: 'other' }),
      'another nonce': (claims: object) => ({ ...claims, nonce: 'x' }),
      over: (claims: object) => ({ ...claims, exp: 1 }),
    } as const)) {
      const fixture = await startTokenFixture()
      try {
        await fixture.signIn()
        const before = (await fixture.token()).value
        fixture.advance(400)
        fixture.provider.break({ refreshedIdToken })
        const response = await fixture.token()
        assert.ok(response.status >= 400, what)
        assert.equal(response.value, undefined, what)
        assert.equal(fixture.refreshes().length, 1, what)
        assert.ok(before, 'no token before')
        assert.notEqual(await whoIs({ site: fixture.site }, fixture.agent), 'bob', what)
      } finally {
        await fixture.close()
      }
    }
  })
})
