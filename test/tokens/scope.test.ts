import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { requiresScope } from '../../lib/index.js'
import { type Claims, extra } from '../support/hostile-provider.js'
import { answering, LIFE, startTokenFixture, type TokenFixture, type TokenFixtureOptions } from './token-fixture.js'

let fixture: TokenFixture

async function start(scope: string, options: TokenFixtureOptions = {}): Promise<TokenFixture> {
  fixture = await startTokenFixture({ ...options, oidc: { scope, ...options.oidc } })
  return fixture
}

afterEach(() => fixture.close())

const withoutScope = ({ scope: _, ...body }: Claims) => body

const guarded: TokenFixtureOptions = {
  routes(app) {
    app.get('/write', requiresScope('write'), (_req, res) => void res.json({}))
    app.get('/read', requiresScope('read'), (_req, res) => void res.json({}))
  },
}

test('a scope the authorization response leaves out was not granted, where the token response names none', async () => {
  const { provider, site, agent, signIn, token, advance } = await start('openid read write offline_access', guarded)
  provider.break({ tokenResponse: withoutScope, response: extra('scope', 'openid read offline_access') })
  await signIn()
  assert.equal((await token()).scope, 'openid read offline_access')
  assert.equal((await agent.open(`${site.url}/write`)).status, 403)
  assert.equal((await agent.open(`${site.url}/read`)).status, 200)
  advance(LIFE)
  assert.equal((await token()).scope, 'openid read offline_access')
})

for (const [front, granted] of [
  ['openid read write admin', 'openid read'],
  ['admin', ''],
  ['é', 'openid read'],
  ['x'.repeat(5000), 'openid read'],
] as const) {
  test(`an authorization response with the scope "${front.slice(0, 30)}" does not widen "openid read"`, async () => {
    const { provider, signIn, token } = await start('openid read')
    provider.break({ tokenResponse: withoutScope, response: extra('scope', front) })
    await signIn()
    assert.equal((await token()).scope, granted)
  })
}

test('the token response and the authorization response together: the scope is what both name', async () => {
  const { provider, signIn, token } = await start('openid read write')
  provider.break({
    tokenResponse: body => ({ ...body, scope: 'openid write more' }),
    response: extra('scope', 'openid read write'),
  })
  await signIn()
  assert.equal((await token()).scope, 'openid write')
})

test('a token response whose scope is a list signs in with that scope', async () => {
  const { provider, signIn, token } = await start('openid read write')
  provider.break({ tokenResponse: body => ({ ...body, scope: ['openid', 'read'] }) })
  await signIn()
  assert.equal((await token()).scope, 'openid read')
})

test('an empty refresh token in a response is none: the sign-in works, and a refresh keeps the token it has', async () => {
  const { provider, signIn, token, advance, refreshes } = await start('openid offline_access', {
    provider: { rotatesRefreshTokens: false },
  })
  await signIn()
  provider.break({ tokenResponse: body => ({ ...body, refresh_token: '' }) })
  for (let round = 1; round <= 2; round += 1) {
    advance(LIFE)
    assert.equal((await token()).status, 200)
    assert.equal(refreshes().length, round)
  }
})

for (const [what, response] of [
  ['without the scope', () => 'openid offline_access'],
  ['with an empty scope', () => ''],
  ['with another scope', () => 'openid admin'],
  ['with more than the scope', () => 'openid orders admin offline_access'],
] as const) {
  test(`a token ${what} that was asked for is refused, is not kept, and the new refresh token is`, async () => {
    const { provider, signIn, token, advance } = await start('openid orders admin offline_access')
    await signIn()
    const main = await token()
    provider.break({ tokenResponse: body => ({ ...body, scope: response() }) })
    assert.equal((await token('?scope=orders')).code, 'ERR_OIDC_TOKEN_DENIED')
    assert.deepEqual(await token(), main)
    provider.heal()
    advance(LIFE)
    assert.equal((await token()).status, 200)
    provider.break({ tokenResponse: body => ({ ...body, scope: 'orders' }) })
    assert.equal((await token('?scope=orders')).scope, 'orders')
    assert.deepEqual(provider.reusedRefreshTokens, [])
  })
}

test('a response without a scope does not grant what the sign-in was refused', async () => {
  const { provider, signIn, token } = await start('openid read write offline_access')
  provider.break({ tokenResponse: withoutScope, response: extra('scope', 'openid read offline_access') })
  await signIn()
  assert.equal((await token('?scope=write')).code, 'ERR_OIDC_TOKEN_DENIED')
  assert.equal((await token('?scope=read')).scope, 'read')
})

test('scopes about the user that a provider adds to every token do no harm', async () => {
  const { provider, signIn, token } = await start('openid orders admin offline_access')
  await signIn()
  provider.break({ tokenResponse: body => ({ ...body, scope: 'openid profile email orders' }) })
  assert.equal((await token('?scope=orders')).scope, 'openid profile email orders')
})

test('the proxy does not hand on a token that can do more than its scope', async () => {
  const { provider, site, agent, signIn } = await start('openid orders admin offline_access', {
    routes: app => void app.use((req, res, next) => proxy(req, res, next)),
  })
  const proxy = site.oidc.proxy('/api', { target: 'http://127.0.0.1:9/', scope: 'orders' })
  await signIn()
  provider.break({ tokenResponse: body => ({ ...body, scope: 'openid orders admin' }) })
  const page = await agent.fetch(`${site.url}/api/x`, { headers: { 'x-csrf': '1' } })
  assert.deepEqual([page.status, page.json<{ code: string }>().code], [403, 'ERR_OIDC_TOKEN_DENIED'])
})

const exchanging: TokenFixtureOptions = {
  routes(app) {
    app.get(
      '/exchange',
      answering(req => req.oidc.exchange({ audience: 'billing', scope: 'invoices' })),
    )
  },
}

test('an exchanged token without the scope that was asked for is refused, and asked for again next time', async () => {
  const { provider, site, agent, signIn } = await start('openid', exchanging)
  await signIn()
  let scope = 'other'
  provider.break({
    token: {
      respond: () => ({ status: 200, headers: { 'content-type': 'application/json' }, body: exchanged(scope) }),
    },
  })
  const ask = () => agent.fetch(`${site.url}/exchange`)
  assert.equal((await ask()).json<{ code: string }>().code, 'ERR_OIDC_TOKEN_DENIED')
  scope = 'invoices other'
  assert.equal((await ask()).json<{ scope: string }>().scope, 'invoices other')
})

function exchanged(scope: string): string {
  return JSON.stringify({ access_token: 'exchanged', token_type: 'Bearer', expires_in: 300, scope })
}

test('a token for the site itself without the scope that was asked for is refused', async () => {
  const { provider, site } = await start('openid')
  provider.break({ tokenResponse: body => ({ ...body, scope: 'other' }) })
  await assert.rejects(site.oidc.clientCredentials({ scope: 'jobs' }), { code: 'ERR_OIDC_TOKEN_DENIED' })
  assert.equal((await site.oidc.clientCredentials()).scope, 'other')
})
