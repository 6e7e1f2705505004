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
import { isSignedIn, type Place, register, signIn, TOKEN_LIFE, withPlace } from './place.js'

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
      await withPlace(traits, { oidc, imitation: { clientJwks: [key.publicJwk] } }, async place => {
        await signIn(place)
        const [request] = place.imitation.requestsTo('token')
        assert.ok(request?.form.client_assertion)
      })
    })
  }
})

for (const traits of all) {
  test(`${traits.name}: a secret that form encoding changes signs in, without an option`, () =>
    withPlace(traits, { oidc: pkceOf(traits), imitation: { clientSecret: 'a+secret/with=signs%' } }, async place => {
      await signIn(place)
    }))
}

for (const responseType of ['code id_token token', 'code token'] as const) {
  test(`IdentityServer3, ${responseType}: a scope that the user unticks is not granted`, () =>
    withPlace(hybrid3, { oidc: { responseType, pkce: false }, routes: addScoped }, async place => {
      const agent = await signIn(place, { refuses: ['write'] })
      const [read, write] = [await agent.open(`${place.site.url}/read`), await agent.open(`${place.site.url}/write`)]
      assert.deepEqual([read.status, write.status], [200, 403])
    }))
}

for (const traits of all) {
  test(`${traits.name}: a user whose ID Token is long is signed out there as well`, () =>
    withPlace(traits, { oidc: pkceOf(traits), imitation: { longestTarget: 1800 } }, async place => {
      const agent = await signIn(place)
      const page = await agent.click(`${place.site.url}/logout`)
      const there = page.forms[0]?.isAutomatic ? await agent.submitForm() : page
      assert.match(there.text, /You are signed out/, place.imitation.log.join('\n'))
      const { back } = await leaveProvider(agent, there)
      assert.equal(back?.url, `${place.site.url}/`)
      assert.deepEqual([await isSignedIn(place, agent), place.imitation.isSignedIn('alice')], [false, false])
    }))
}

for (const traits of [identityServer4(), openIdentityServer(), duende()]) {
  test(`${traits.name}: a token for a narrower scope is refused, because the server ignores the scope of a refresh`, () =>
    withPlace(traits, { routes: addNarrow }, async place => {
      const agent = await signIn(place)
      const page = await agent.fetch(`${place.site.url}/narrow`, { from: `${place.site.url}/claims` })
      assert.equal(page.status, 403, page.text)
      assert.match(page.text, /ERR_OIDC_TOKEN_DENIED/)
      assert.equal(await isSignedIn(place, agent), true)
    }))
}

describe('a site that moves from Katana to this package at IdentityServer3', () => {
  test('is told to set pkce: false where it keeps the flow Hybrid and left the option out', () =>
    withPlace(hybrid3, {}, async place => {
      const page = await visitSigningIn(place.browser(), `${place.site.url}/claims`)
      assert.equal(page.status, 400)
      assert.equal(place.site.lastCode(), 'ERR_OIDC_CODE_REJECTED')
      assert.match(String(place.site.errors.at(-1)), /flows Hybrid and AuthorizationCode: set pkce: false/)
    }))

  test('signs no user in where the flow is HybridWithProofKey already and pkce: false is still set', () =>
    withPlace(identityServer3({ flow: 'HybridWithProofKey' }), { oidc: { pkce: false } }, async place => {
      const agent = place.browser()
      const page = await visitSigningIn(agent, `${place.site.url}/claims`)
      assert.ok(page.url.startsWith(place.imitation.issuer), page.url)
      assert.match(place.imitation.log.join('\n'), /code.challenge/i)
      assert.equal(await isSignedIn(place, agent), false)
    }))

  test('keeps the sessions that it has when the flow and the option change together', async () => {
    const redis = await startRedis()
    const shared = { redis: redis.url, secret: secret('shared secret') }
    try {
      await withPlace(hybrid3, { oidc: { pkce: false, ...shared } }, async before => {
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
  const script = (place: Place, agent: Agent, path: string) =>
    agent.fetch(place.site.url + path, { from: `${place.site.url}/claims` })

  test('the caller is refused, once asked for; the session goes on, and its tokens are refreshed as before', () =>
    withPlace(openIddict(), { routes: ask }, async place => {
      const agent = await signIn(place)
      const earlier = place.imitation.requestsTo('token').length
      for (let call = 0; call < 5; call += 1) {
        const page = await script(place, agent, '/ask?scope=billing')
        assert.deepEqual([page.status, page.json<{ code: string }>().code], [403, 'ERR_OIDC_TOKEN_DENIED'])
      }
      assert.equal(place.imitation.requestsTo('token').length - earlier, 1)
      assert.match(place.site.log.join('\n'), /invalid_grant/)
      assert.equal((await script(place, agent, '/ask?scope=read')).status, 200)
      assert.equal(await isSignedIn(place, agent), true)
      place.advance(TOKEN_LIFE)
      assert.equal((await script(place, agent, '/token')).status, 200)
      assert.equal(await isSignedIn(place, agent), true)
    }))
})

test('a user who signs in as another one at the provider is that one here', () =>
  withPlace(identityServer4(), {}, async place => {
    const agent = await signIn(place, { user: 'bob' })
    assert.equal(agent.page?.json<{ sub: string }>().sub, '818727-bob')
    await visitSigningIn(agent, `${place.site.url}/claims`)
    place.advance(TOKEN_LIFE)
    assert.equal(await isSignedIn(place, agent), true)
  }))

for (const traits of [identityServer4(), openIdentityServer(), duende()]) {
  test(`${traits.name}: logout tokens by the default key end a session whose ID Tokens are ES256`, () =>
    withPlace(
      traits,
      { oidc: { idTokenAlgorithm: 'ES256' }, imitation: { idTokenAlgorithm: 'ES256' } },
      async place => {
        register(place, { backChannel: true })
        const agent = await signIn(place)
        assert.deepEqual(await place.imitation.endSessionsOf('alice'), [200], place.site.log.join('\n'))
        assert.equal(await isSignedIn(place, agent), false)
      },
    ))
}

for (const traits of all) {
  test(`${traits.name}: login({ maxAge: 0 }) shows the login page once, and ends`, () =>
    withPlace(
      traits,
      {
        oidc: pkceOf(traits),
        routes: app =>
          void app.get('/again', (req, _res, next) => {
            req.oidc.login({ maxAge: 0, returnTo: '/claims' }).catch(next)
          }),
      },
      async place => {
        const agent = await signIn(place)
        const logins = () => place.imitation.requestsTo('login').filter(({ method }) => method === 'POST').length
        const earlier = logins()
        const page = await visitSigningIn(agent, `${place.site.url}/again`)
        assert.equal(page.url, `${place.site.url}/claims`, `${page.status} ${place.imitation.log.join('\n')}`)
        assert.equal(logins() - earlier, 1)
      },
    ))

  test(`${traits.name}: the session of a user who was disabled ends with the next refresh, by one token request`, () =>
    withPlace(traits, { oidc: pkceOf(traits) }, async place => {
      const agent = await signIn(place)
      place.imitation.disable('alice')
      place.advance(TOKEN_LIFE)
      const earlier = place.imitation.requestsTo('token').length
      for (let call = 0; call < 5; call += 1)
        await agent.fetch(`${place.site.url}/token`, { from: `${place.site.url}/claims` })
      assert.equal(place.imitation.requestsTo('token').length - earlier, 1)
      assert.equal(await isSignedIn(place, agent), false)
    }))
}

test('Duende: the session whose scope was taken from the client ends with the next refresh, by one token request', () =>
  withPlace(duende(), {}, async place => {
    const agent = await signIn(place)
    place.imitation.takeScope('write')
    place.advance(TOKEN_LIFE)
    const call = () => agent.fetch(`${place.site.url}/token`, { from: `${place.site.url}/claims` })
    const earlier = place.imitation.requestsTo('token').length
    for (let count = 0; count < 5; count += 1) await call()
    assert.equal(place.imitation.requestsTo('token').length - earlier, 1)
    assert.match(place.site.log.join('\n'), /invalid_scope/)
  }))
