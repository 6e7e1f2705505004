import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import type { Hooks, OidcOptions } from '../../lib/index.js'
import type { Claims } from '../support/hostile-provider.js'
import { answering, LIFE, startTokenFixture, type TokenFixture } from '../tokens/token-fixture.js'

let fixture: TokenFixture

async function signedIn(hooks: Hooks = {}, oidc: OidcOptions = {}): Promise<TokenFixture> {
  fixture = await startTokenFixture({
    oidc: { hooks, ...oidc },
    routes(app) {
      app.get(
        '/info',
        answering(req => req.oidc.userInfo()),
      )
      app.get(
        '/renew',
        answering(async req => {
          const info = await req.oidc.userInfo({ refresh: true })
          return { info, user: req.oidc.user }
        }),
      )
    },
  })
  await fixture.signIn()
  return fixture
}

afterEach(() => fixture.close())

async function claims(): Promise<Claims> {
  return (await fixture.agent.open(`${fixture.site.url}/claims`)).json<Claims>()
}

async function renew() {
  const page = await fixture.agent.fetch(`${fixture.site.url}/renew`)
  return { status: page.status, ...page.json<{ info?: Claims; user?: Claims; code?: string }>() }
}

test('userInfo without refresh leaves the claims as they are', async () => {
  const { agent, site, provider } = await signedIn()
  provider.break({ userInfoClaims: info => ({ ...info, name: 'New Name' }) })
  assert.equal((await agent.fetch(`${site.url}/info`)).json<Claims>().name, 'New Name')
  assert.equal((await claims()).name, 'Alice Adams')
})

test('userInfo with refresh updates the claims for this request and all later ones', async () => {
  const { provider } = await signedIn()
  provider.break({ userInfoClaims: info => ({ ...info, name: 'New Name', role: ['editor'] }) })
  const { info, user } = await renew()
  assert.deepEqual([info?.name, user?.name], ['New Name', 'New Name'])
  assert.deepEqual((await claims()).role, ['editor'])
})

test('a claim the provider does not send any more is gone', async () => {
  const { provider } = await signedIn()
  provider.break({ userInfoClaims: ({ role: _, ...info }) => info })
  await renew()
  assert.equal((await claims()).role, undefined)
  assert.equal((await claims()).sub, 'alice-0001')
})

test('userinfo of another user is refused, and changes nothing', async () => {
  const { provider } = await signedIn()
  provider.break({ userInfoClaims: info => ({ ...info, sub: 'mallory-0002', name: 'Mallory' }) })
  assert.equal((await renew()).code, 'ERR_OIDC_USER_INFO_SUBJECT')
  assert.equal((await claims()).name, 'Alice Adams')
})

test('an access token that has expired is refreshed first', async () => {
  const { refreshes, advance } = await signedIn()
  advance(LIFE)
  assert.equal((await renew()).status, 200)
  assert.equal(refreshes().length, 1)
})

test('a token that the provider has dropped is refreshed once, and userinfo asked once more', async () => {
  const { provider, refreshes } = await signedIn()
  provider.revokeAccessTokens()
  const before = provider.count('userinfo')
  const { status, info } = await renew()
  assert.deepEqual([status, info?.name], [200, 'Alice Adams'])
  assert.equal(refreshes().length, 1)
  assert.equal(provider.count('userinfo') - before, 2)
})

test('userinfo that refuses every token is asked twice, and the session stays', async () => {
  const { provider, refreshes } = await signedIn()
  const before = provider.count('userinfo')
  provider.break({ userinfo: { status: 401 } })
  assert.equal((await renew()).code, 'ERR_OIDC_USER_INFO_RESPONSE')
  assert.equal(refreshes().length, 1)
  assert.equal(provider.count('userinfo') - before, 2)
  assert.equal((await claims()).name, 'Alice Adams')
})

test('a dropped token and no refresh token: the error is the one of userinfo', async () => {
  const { provider, refreshes } = await signedIn({}, { scope: 'openid' })
  provider.revokeAccessTokens()
  assert.equal((await renew()).code, 'ERR_OIDC_USER_INFO_RESPONSE')
  assert.equal(refreshes().length, 0)
  assert.equal((await claims()).name, 'Alice Adams')
})

test('a dropped token and a refresh that is rejected: the session ends', async () => {
  const { provider, agent, site } = await signedIn()
  provider.revokeGrants()
  assert.equal((await renew()).code, 'ERR_OIDC_REFRESH_REJECTED')
  assert.equal((await agent.fetch(`${site.url}/user`)).json<{ isAuthenticated: boolean }>().isAuthenticated, false)
})

for (const [what, fault, code, requests] of [
  ['403', { status: 403 }, 'ERR_OIDC_USER_INFO_RESPONSE', 1],
  ['500', { status: 500 }, 'ERR_OIDC_PROVIDER_UNAVAILABLE', 1],
  // A read that is cut is made once more.
  ['a connection that breaks', { cut: 'before' }, 'ERR_OIDC_PROVIDER_UNAVAILABLE', 2],
] as const) {
  test(`userinfo that responds with ${what} does not cause a refresh, and the session stays`, async () => {
    const { provider, refreshes } = await signedIn()
    const before = provider.count('userinfo')
    provider.break({ userinfo: fault })
    assert.equal((await renew()).code, code)
    assert.equal(refreshes().length, 0)
    assert.equal(provider.count('userinfo') - before, requests)
    assert.equal((await claims()).name, 'Alice Adams')
  })
}

test('the refresh hook decides what is kept, and sees what was kept before', async () => {
  const { provider } = await signedIn({
    signIn: ({ claims: given }) => ({ ...given, localId: 7 }),
    refresh: ({ claims: given, kept, userInfo }) => ({ ...given, localId: kept.localId, seen: userInfo?.name }),
  })
  provider.break({ userInfoClaims: info => ({ ...info, name: 'New Name' }) })
  await renew()
  const { localId, seen, name } = await claims()
  assert.deepEqual([localId, seen, name], [7, 'New Name', 'New Name'])
})

test('a signIn hook without a refresh hook is an error: it is unknown what to keep', async () => {
  await signedIn({ signIn: ({ claims: given }) => ({ ...given, localId: 7 }) })
  assert.equal((await renew()).code, 'ERR_OIDC_OPTIONS')
  assert.equal((await claims()).localId, 7)
})

test('claims that are updated while tokens are refreshed: neither is lost', async () => {
  const { provider, agent, site, token, advance } = await signedIn()
  provider.break({ userInfoClaims: info => ({ ...info, name: 'New Name' }) })
  advance(LIFE - 59)
  const [renewed, fresh] = await Promise.all([renew(), token(), agent.fetch(`${site.url}/info`)])
  assert.equal(renewed.status, 200)
  assert.equal((await claims()).name, 'New Name')
  assert.deepEqual(await token(), fresh)
})
