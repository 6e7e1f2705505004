import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { type AuthenticationRequirement, requiresAuth } from '../../lib/index.js'
import type { HostileProviderOptions } from '../support/hostile-provider.js'
import { startTokenFixture, type TokenFixture } from './token-fixture.js'

let fixture: TokenFixture

async function start(
  requirement: AuthenticationRequirement,
  provider: HostileProviderOptions = {},
): Promise<TokenFixture> {
  fixture = await startTokenFixture({
    provider,
    routes: app => void app.all('/vault', requiresAuth(requirement), (_req, res) => void res.json({ open: true })),
  })
  return fixture
}

afterEach(() => fixture.close())

test('a sign-in that is not strong enough: one trip with an essential acr, and back', async () => {
  const { agent, site, provider, signIn } = await start({ acr: 'strong' })
  await signIn()
  await agent.fetch(`${site.url}/session?cart=full`, { method: 'POST' })
  const page = await agent.visit(`${site.url}/vault?id=1`)
  assert.deepEqual([page.status, page.url], [200, `${site.url}/vault?id=1`])
  const { query } = provider.requestsTo('authorize')[1] ?? {}
  assert.equal(query?.acr_values, 'strong')
  assert.deepEqual(JSON.parse(query?.claims ?? ''), { id_token: { acr: { essential: true, values: ['strong'] } } })
  assert.deepEqual((await agent.open(`${site.url}/session`)).json(), { cart: 'full' })
  await agent.open(`${site.url}/vault`)
  assert.equal(provider.count('authorize'), 2)
})

test('one of several contexts is enough', async () => {
  const { agent, site, provider, signIn } = await start(
    { acr: ['strongest', 'strong'] },
    { idTokenClaims: { acr: 'strong' } },
  )
  await signIn()
  assert.equal((await agent.open(`${site.url}/vault`)).status, 200)
  assert.equal(provider.count('authorize'), 1)
})

test('a provider that does not deliver the context is an error, not a loop', async () => {
  const { agent, site, provider, signIn } = await start({ acr: 'strong' }, { idTokenClaims: { acr: 'weak' } })
  await signIn()
  const page = await agent.visit(`${site.url}/vault`)
  assert.equal(page.json<{ code: string }>().code, 'ERR_OIDC_ID_TOKEN_ACR')
  assert.equal(provider.count('authorize'), 2)
  assert.equal((await agent.open(`${site.url}/claims`)).status, 200)
})

test('a sign-in that is too long ago: one trip with max_age, and back', async () => {
  const { agent, site, provider, signIn, advance } = await start({ maxAge: 300 })
  await signIn()
  assert.equal((await agent.visit(`${site.url}/vault`)).status, 200)
  assert.equal(provider.requestsTo('authorize')[1]?.query.max_age, '300')
  // What clocks may differ comes on top.
  advance(300 + 30)
  assert.equal((await agent.open(`${site.url}/vault`)).status, 200)
  assert.equal(provider.count('authorize'), 2)
  advance(1)
  assert.equal((await agent.visit(`${site.url}/vault`)).status, 200)
  assert.equal(provider.count('authorize'), 3)
})

test('maxAge 0 asks for a new sign-in, which counts for the page it was made for', async () => {
  const { agent, site, provider, signIn, advance } = await start({ maxAge: 0 })
  await signIn()
  assert.equal((await agent.visit(`${site.url}/vault`)).status, 200)
  assert.equal(provider.requestsTo('authorize')[1]?.query.prompt, 'login')
  advance(30)
  assert.equal((await agent.open(`${site.url}/vault`)).status, 200)
  assert.equal(provider.count('authorize'), 2)
  advance(1)
  assert.equal((await agent.visit(`${site.url}/vault`)).status, 200)
  assert.equal(provider.count('authorize'), 3)
  advance(60)
  assert.equal((await agent.fetch(`${site.url}/vault`)).status, 401)
})

for (const maxAge of [0, 1, 30]) {
  for (const skew of [-25, 0, 25]) {
    const clock = skew === 0 ? 'is right' : skew < 0 ? 'is 25 seconds behind' : 'is 25 seconds ahead'
    test(`maxAge ${maxAge} is over after that time and what clocks may differ, at a provider whose clock ${clock}`, async () => {
      const { agent, site, provider, advance } = await start({ maxAge }, { now: () => fixture.now() + skew })
      assert.equal((await agent.visit(`${site.url}/vault`)).status, 200)
      advance(30)
      assert.equal((await agent.visit(`${site.url}/vault`)).status, 200)
      assert.equal(provider.count('authorize'), 1)
      advance(maxAge + 1)
      assert.equal((await agent.visit(`${site.url}/vault`)).status, 200)
      assert.equal(provider.count('authorize'), 2)
    })
  }
}

test('a user who takes five minutes for a consent page after the login page comes to the page, and makes no second trip', async () => {
  const { agent, site, provider, advance } = await start({ maxAge: 0 })
  let wait = 300
  const late = (claims: Record<string, unknown>) => {
    advance(wait)
    wait = 0
    return { ...claims, auth_time: fixture.now() - 299 }
  }
  provider.break({ frontIdToken: late, backIdToken: claims => ({ ...claims, auth_time: fixture.now() - 299 }) })
  assert.equal((await agent.visit(`${site.url}/vault`)).status, 200)
  assert.equal(provider.count('authorize'), 1)
  advance(31)
  assert.equal((await agent.fetch(`${site.url}/vault`)).status, 401)
})

test('a sign-in that was made for an older age is not fresh for a page that asks for less', async () => {
  const { agent, site, provider, advance } = await start({ maxAge: 0 })
  site.app.get('/older', requiresAuth({ maxAge: 3600 }), (_req, res) => void res.json({ open: true }))
  const old = (claims: Record<string, unknown>) => ({ ...claims, auth_time: fixture.now() - 100 })
  provider.break({ frontIdToken: old, backIdToken: old })
  assert.equal((await agent.visit(`${site.url}/older`)).status, 200)
  assert.equal((await agent.fetch(`${site.url}/vault`)).status, 401)
  provider.heal()
  advance(1)
  assert.equal((await agent.visit(`${site.url}/vault`)).status, 200)
  assert.equal(provider.count('authorize'), 2)
})

test('a clock that was set back makes no sign-in fresh', async () => {
  const { agent, site, provider, advance } = await start({ maxAge: 300 })
  await agent.visit(`${site.url}/vault`)
  advance(-3600)
  assert.equal((await agent.fetch(`${site.url}/vault`)).status, 401)
  assert.equal((await agent.visit(`${site.url}/vault`)).status, 200)
  assert.equal(provider.count('authorize'), 2)
})

test('who is not signed in at all makes one trip, for everything', async () => {
  const { agent, site, provider } = await start({ acr: 'strong', maxAge: 300 })
  assert.equal((await agent.visit(`${site.url}/vault`)).status, 200)
  assert.equal(provider.count('authorize'), 1)
  const { query } = provider.requestsTo('authorize')[0] ?? {}
  assert.deepEqual([query?.acr_values, query?.max_age], ['strong', '300'])
})

test('a script gets 401, and is told what is lacking', async () => {
  const { agent, site, signIn } = await start({ acr: ['strong', 'stronger'], maxAge: 300 })
  await signIn()
  const page = await agent.fetch(`${site.url}/vault`, { method: 'POST' })
  assert.equal(page.status, 401)
  assert.equal(page.json<{ code: string }>().code, 'ERR_OIDC_STEP_UP_REQUIRED')
  const challenge = String(page.headers['www-authenticate'])
  assert.match(challenge, /^OpenIdConnect login_url="\/login/)
  assert.match(
    challenge,
    /Bearer error="insufficient_user_authentication", acr_values="strong stronger", max_age="300"$/,
  )
})

test('a refresh is not a sign-in: acr and auth_time stay', async () => {
  const { agent, site, provider, signIn, token, advance } = await start({ acr: 'strong', maxAge: 300 })
  await signIn()
  provider.break({ refreshedIdToken: claims => ({ ...claims, acr: 'strong', auth_time: fixture.now() }) })
  advance(300)
  assert.equal((await token()).status, 200)
  assert.equal((await agent.fetch(`${site.url}/vault`)).status, 401)
})
