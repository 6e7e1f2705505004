import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Express } from 'express'
import { type ClientAssertionOptions, type OidcOptions, requiresScope } from '../../lib/index.js'
import type { Agent } from '../support/agent.js'
import {
  duende,
  identityServer3,
  identityServer4,
  leaveProvider,
  openIddict,
  openIdentityServer,
  type Traits,
  visitSigningIn,
} from '../support/imitations/index.js'
import { startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { createSigningKey, exportPrivateJwk } from '../support/signing-keys.js'
import { startSite } from '../support/site.js'
import { type Fixture, isSignedIn, register, signIn, TOKEN_LIFE, withFixture } from './fixture.js'

const hybrid3 = identityServer3({ flow: 'Hybrid' })
const pkceOf = (traits: Traits): OidcOptions => (traits.pkce === 'ignored' ? { pkce: false } : {})
const all = [hybrid3, identityServer4(), openIdentityServer(), duende(), openIddict()]

function addNarrow(app: Express): void {
  app.get('/narrow', (req, res, next) => {
    req.oidc.accessToken({ scope: 'read' }).then(token => res.json(token), next)
  })
}

function addScoped(app: Express): void {
  app.get('/write', requiresScope('write'), (_req, res) => void res.send('written'))
  app.get('/read', requiresScope('read'), (_req, res) => void res.send('read'))
}

describe('a client with a private key', () => {
  const tokenEndpoint = { audience: 'token_endpoint' } as const
  const rows: readonly (readonly [Traits, Partial<ClientAssertionOptions>])[] = [
    [identityServer4(), tokenEndpoint],
    [openIdentityServer(), tokenEndpoint],
    [duende(), {}],
    [duende({ strictAudience: true }), {}],
    [openIddict(), {}],
  ]
  for (const [traits, assertion] of rows) {
    const how = 'audience' in assertion ? 'with the token endpoint as audience' : 'with the defaults'
    const strict = traits.clients.assertion.typ === 'required' ? ', which takes one typ alone,' : ''
    test(`signs in at ${traits.name}${strict} ${how}`, async () => {
      const key = await createSigningKey('ES256')
      const clientAuthentication = {
        method: 'private_key_jwt',
        key: exportPrivateJwk(key),
        algorithm: 'ES256',
        ...assertion,
      } as const
      const oidc = {
        clientAuthentication,
        ...pkceOf(traits),
      }
      await withFixture(traits, { oidc, imitation: { clientJwks: [key.publicJwk] } }, async fixture => {
        await signIn(fixture)
        const [request] = fixture.imitation.requestsTo('token')
        assert.ok(request?.form.client_assertion)
      })
    })
  }
})

for (const traits of all) {
  test(`${traits.name}: a secret that form encoding changes signs in, without an option`, () =>
    withFixture(
      traits,
      { oidc: pkceOf(traits), imitation: { clientSecret: 'a+secret/with=signs%' } },
      async fixture => {
        await signIn(fixture)
      },
    ))
}

for (const responseType of ['code id_token token', 'code token'] as const) {
  test(`IdentityServer3, ${responseType}: a scope that the user unticks is not granted`, () =>
    withFixture(hybrid3, { oidc: { responseType, pkce: false }, routes: addScoped }, async fixture => {
      const agent = await signIn(fixture, { refuses: ['write'] })
      const [read, write] = [
        await agent.open(`${fixture.site.url}/read`),
        await agent.open(`${fixture.site.url}/write`),
      ]
      assert.deepEqual([read.status, write.status], [200, 403])
    }))
}

for (const traits of all) {
  test(`${traits.name}: a user whose ID Token is long is signed out there as well`, () =>
    withFixture(traits, { oidc: pkceOf(traits), imitation: { longestTarget: 1800 } }, async fixture => {
      const agent = await signIn(fixture)
      const page = await agent.click(`${fixture.site.url}/logout`)
      const there = page.forms[0]?.isAutomatic ? await agent.submitForm() : page
      assert.match(there.text, /You are signed out/, fixture.imitation.log.join('\n'))
      const { back } = await leaveProvider(agent, there)
      assert.equal(back?.url, `${fixture.site.url}/`)
      assert.deepEqual([await isSignedIn(fixture, agent), fixture.imitation.isSignedIn('alice')], [false, false])
    }))
}

for (const traits of [identityServer4(), openIdentityServer(), duende()]) {
  test(`${traits.name}: a token for a narrower scope is refused, because the server ignores the scope of a refresh`, () =>
    withFixture(traits, { routes: addNarrow }, async fixture => {
      const agent = await signIn(fixture)
      const page = await agent.fetch(`${fixture.site.url}/narrow`, { from: `${fixture.site.url}/claims` })
      assert.equal(page.status, 403, page.text)
      assert.match(page.text, /ERR_OIDC_TOKEN_DENIED/)
      assert.equal(await isSignedIn(fixture, agent), true)
    }))
}

describe('a site that moves from Katana to this package at IdentityServer3', () => {
  test('is told to set pkce: false where it keeps the flow Hybrid and left the option out', () =>
    withFixture(hybrid3, {}, async fixture => {
      const page = await visitSigningIn(fixture.browser(), `${fixture.site.url}/claims`)
      assert.equal(page.status, 400)
      assert.equal(fixture.site.lastCode(), 'ERR_OIDC_CODE_REJECTED')
      assert.match(String(fixture.site.errors.at(-1)), /flows Hybrid and AuthorizationCode: set pkce: false/)
    }))

  test('signs no user in where the flow is HybridWithProofKey already and pkce: false is still set', () =>
    withFixture(identityServer3({ flow: 'HybridWithProofKey' }), { oidc: { pkce: false } }, async fixture => {
      const agent = fixture.browser()
      const page = await visitSigningIn(agent, `${fixture.site.url}/claims`)
      assert.ok(page.url.startsWith(fixture.imitation.issuer), page.url)
      assert.match(fixture.imitation.log.join('\n'), /code.challenge/i)
      assert.equal(await isSignedIn(fixture, agent), false)
    }))

  test('keeps the sessions that it has when the flow and the option change together', async () => {
    const redis = await startRedis()
    const shared = { redis: redis.url, secret: secret('shared secret') }
    try {
      await withFixture(hybrid3, { oidc: { pkce: false, ...shared } }, async before => {
        const agent = await signIn(before)
        const { issuer, clientId, clientSecret } = before.imitation
        const baseUrl = before.site.url
        await before.site.close()
        const oidc = { issuer, clientId, clientSecret, ...shared, baseUrl }
        const after = await startSite({ oidc, port: Number(new URL(baseUrl).port) })
        try {
          assert.equal(await isSignedIn({ ...before, site: after }, agent), true)
        } finally {
          await after.close()
        }
      })
    } finally {
      await redis.stop()
    }
  })
})

describe('OpenIddict answers invalid_grant for a scope that was not granted', () => {
  const ask = (app: Express) =>
    void app.get('/ask', (req, res, next) => {
      req.oidc.accessToken({ scope: String(req.query.scope) }).then(token => res.json(token), next)
    })
  const script = (fixture: Fixture, agent: Agent, path: string) =>
    agent.fetch(fixture.site.url + path, { from: `${fixture.site.url}/claims` })

  test('the caller is refused, once asked for; the session goes on, and its tokens are refreshed as before', () =>
    withFixture(openIddict(), { routes: ask }, async fixture => {
      const agent = await signIn(fixture)
      const earlier = fixture.imitation.requestsTo('token').length
      for (let call = 0; call < 5; call += 1) {
        const page = await script(fixture, agent, '/ask?scope=billing')
        assert.deepEqual([page.status, page.json<{ code: string }>().code], [403, 'ERR_OIDC_TOKEN_DENIED'])
      }
      assert.equal(fixture.imitation.requestsTo('token').length - earlier, 1)
      assert.match(fixture.site.log.join('\n'), /invalid_grant/)
      assert.equal((await script(fixture, agent, '/ask?scope=read')).status, 200)
      assert.equal(await isSignedIn(fixture, agent), true)
      fixture.advance(TOKEN_LIFE)
      assert.equal((await script(fixture, agent, '/token')).status, 200)
      assert.equal(await isSignedIn(fixture, agent), true)
    }))
})

test('a user who signs in as another one at the provider is that one here', () =>
  withFixture(identityServer4(), {}, async fixture => {
    const agent = await signIn(fixture, { user: 'bob' })
    assert.equal(agent.page?.json<{ sub: string }>().sub, '818727-bob')
    await visitSigningIn(agent, `${fixture.site.url}/claims`)
    fixture.advance(TOKEN_LIFE)
    assert.equal(await isSignedIn(fixture, agent), true)
  }))

for (const traits of [identityServer4(), openIdentityServer(), duende()]) {
  test(`${traits.name}: logout tokens by the default key end a session whose ID Tokens are ES256`, () =>
    withFixture(
      traits,
      { oidc: { idTokenAlgorithm: 'ES256' }, imitation: { idTokenAlgorithm: 'ES256' } },
      async fixture => {
        register(fixture, { backChannel: true })
        const agent = await signIn(fixture)
        assert.deepEqual(await fixture.imitation.endSessionsOf('alice'), [200], fixture.site.log.join('\n'))
        assert.equal(await isSignedIn(fixture, agent), false)
      },
    ))
}

for (const traits of all) {
  test(`${traits.name}: login({ maxAge: 0 }) shows the login page once, and ends`, () =>
    withFixture(
      traits,
      {
        oidc: pkceOf(traits),
        routes: app =>
          void app.get('/again', (req, _res, next) => {
            req.oidc.login({ maxAge: 0, returnTo: '/claims' }).catch(next)
          }),
      },
      async fixture => {
        const agent = await signIn(fixture)
        const logins = () => fixture.imitation.requestsTo('login').filter(({ method }) => method === 'POST').length
        const earlier = logins()
        const page = await visitSigningIn(agent, `${fixture.site.url}/again`)
        assert.equal(page.url, `${fixture.site.url}/claims`, `${page.status} ${fixture.imitation.log.join('\n')}`)
        assert.equal(logins() - earlier, 1)
      },
    ))

  test(`${traits.name}: the session of a user who was disabled ends with the next refresh, by one token request`, () =>
    withFixture(traits, { oidc: pkceOf(traits) }, async fixture => {
      const agent = await signIn(fixture)
      fixture.imitation.disable('alice')
      fixture.advance(TOKEN_LIFE)
      const earlier = fixture.imitation.requestsTo('token').length
      for (let call = 0; call < 5; call += 1)
        await agent.fetch(`${fixture.site.url}/token`, { from: `${fixture.site.url}/claims` })
      assert.equal(fixture.imitation.requestsTo('token').length - earlier, 1)
      assert.equal(await isSignedIn(fixture, agent), false)
    }))
}

test('Duende: the session whose scope was taken from the client ends with the next refresh, by one token request', () =>
  withFixture(duende(), {}, async fixture => {
    const agent = await signIn(fixture)
    fixture.imitation.takeScope('write')
    fixture.advance(TOKEN_LIFE)
    const call = () => agent.fetch(`${fixture.site.url}/token`, { from: `${fixture.site.url}/claims` })
    const earlier = fixture.imitation.requestsTo('token').length
    for (let count = 0; count < 5; count += 1) await call()
    assert.equal(fixture.imitation.requestsTo('token').length - earlier, 1)
    assert.match(fixture.site.log.join('\n'), /invalid_scope/)
  }))
