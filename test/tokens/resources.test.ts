import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { requiresScope } from '../../lib/index.js'
import { LIFE, startTokenFixture, type TokenFixture, type TokenFixtureOptions } from './token-fixture.js'

let fixture: TokenFixture

async function signedIn(options?: TokenFixtureOptions): Promise<TokenFixture> {
  fixture = await startTokenFixture(options)
  await fixture.signIn()
  return fixture
}

afterEach(() => fixture.close())

const orders = '?resource=https://orders.example.com'
const read = '?scope=openid'

test('a token for another API is got once, without asking the person, and kept beside the main one', async () => {
  const { token, refreshes } = await signedIn()
  const main = await token()
  const first = await token(orders)
  assert.notEqual(first.value, main.value)
  assert.deepEqual(await token(orders), first)
  assert.deepEqual(await token(), main)
  assert.deepEqual(
    refreshes().map(({ form }) => [form.resource, form.scope]),
    [['https://orders.example.com', undefined]],
  )
})

test('a token with less scope is another one than the main one, whatever the order of the words', async () => {
  const { token, refreshes, provider } = await signedIn()
  provider.break({ tokenResponse: ({ scope: _, ...body }) => body })
  const narrow = await token('?scope=profile%20openid')
  assert.equal(narrow.scope, 'profile openid')
  assert.deepEqual(await token('?scope=openid%20profile'), narrow)
  assert.equal(refreshes().length, 1)
  assert.equal((await token()).scope, 'openid profile offline_access')
})

test('tokens for one API with different scopes are two tokens', async () => {
  const { token, refreshes, provider } = await signedIn()
  provider.break({ tokenResponse: ({ scope: _, ...body }) => body })
  const scopes = ['openid', 'profile', 'openid%20profile']
  const values: unknown[] = []
  for (const scope of scopes) values.push((await token(`${orders}&scope=${scope}`)).value)
  values.push((await token('?scope=openid')).value, (await token('?scope=profile')).value, (await token(orders)).value)
  assert.equal(new Set(values).size, 6)
  assert.equal((await token(`${orders}&scope=profile`)).value, values[1])
  assert.equal((await token('?scope=profile')).value, values[4])
  assert.equal(refreshes().length, 6)
})

test('two tokens asked for at once are two tokens, and each is right', async () => {
  const { token, refreshes, provider } = await signedIn()
  provider.break({ tokenResponse: ({ scope: _, ...body }) => body })
  const [a, b] = await Promise.all([token(orders), token(read), token(orders), token(read)])
  assert.notEqual(a.value, b.value)
  assert.equal(b.scope, 'openid')
  assert.equal(refreshes().length, 2)
  assert.equal(provider.reusedRefreshTokens.length, 0)
})

test('each token is refreshed at its own time', async () => {
  const { token, refreshes, advance } = await signedIn()
  const main = await token()
  advance(150)
  const first = await token(orders)
  advance(100)
  assert.notEqual((await token()).value, main.value)
  assert.equal((await token(orders)).value, first.value)
  advance(150)
  assert.notEqual((await token(orders)).value, first.value)
  assert.equal(refreshes().length, 3)
})

test('a token for another API changes neither scope nor expiry of the sign-in', async () => {
  const { token, provider, agent, site } = await signedIn({ oidc: { routes: { user: '/whoami' } } })
  const before = (await agent.fetch(`${site.url}/whoami`, { headers: { 'x-csrf': '1' } })).text
  provider.break({ tokenResponse: body => ({ ...body, scope: 'orders', expires_in: 60 }) })
  assert.equal((await token(orders)).scope, 'orders')
  assert.equal((await agent.fetch(`${site.url}/whoami`, { headers: { 'x-csrf': '1' } })).text, before)
})

test('of many tokens the newest are kept', async () => {
  const { token, refreshes } = await signedIn()
  for (let at = 0; at < 12; at += 1) await token(`?resource=https://api-${at}.example.com`)
  await token('?resource=https://api-11.example.com')
  assert.equal(refreshes().length, 12)
  await token('?resource=https://api-0.example.com')
  assert.equal(refreshes().length, 13)
})

for (const error of ['invalid_target', 'invalid_scope', 'access_denied']) {
  test(`${error} is an error of this call: no pause, the session and the main token stay`, async () => {
    const { token, provider, advance } = await signedIn()
    const main = await token()
    provider.break({ token: { times: 1, status: 400, body: { error } } })
    const { status, code } = await token(orders)
    assert.deepEqual([status, code], [403, 'ERR_OIDC_TOKEN_DENIED'])
    assert.deepEqual(await token(), main)
    advance(LIFE)
    assert.equal((await token()).status, 200)
  })
}

test('requiresScope without ask: 403', async () => {
  const { agent, site } = await signedIn({
    routes: app => void app.get('/orders', requiresScope('orders.read'), (_req, res) => void res.json({})),
  })
  assert.equal((await agent.open(`${site.url}/orders`, { redirect: 'manual' })).status, 403)
})

const asking: TokenFixtureOptions = {
  routes(app) {
    app.get('/orders', requiresScope('orders.read', { ask: true }), (req, res) => {
      res.json({ cart: (req.session as { cart?: unknown }).cart })
    })
  },
}

test('requiresScope with ask: one trip to the provider, and back to the page, with the session as it was', async () => {
  const { agent, site, provider, token } = await signedIn(asking)
  await agent.fetch(`${site.url}/session?cart=full`, { method: 'POST' })
  const page = await agent.visit(`${site.url}/orders?id=7`)
  assert.deepEqual([page.status, page.url, page.json()], [200, `${site.url}/orders?id=7`, { cart: 'full' }])
  assert.equal(provider.requestsTo('authorize')[1]?.query.scope, 'openid profile offline_access orders.read')
  assert.equal((await token()).scope, 'openid profile offline_access orders.read')
  await agent.open(`${site.url}/orders`)
  assert.equal(provider.count('authorize'), 2)
})

test('the next authorization request asks for what was granted before as well', async () => {
  const { agent, site, provider } = await signedIn({
    routes(app) {
      asking.routes?.(app)
      app.get('/invoices', requiresScope('invoices.read', { ask: true }), (_req, res) => void res.json({}))
    },
  })
  await agent.visit(`${site.url}/orders`)
  await agent.visit(`${site.url}/invoices`)
  const { scope } = provider.requestsTo('authorize')[2]?.query ?? {}
  assert.deepEqual(scope?.split(' ').sort(), ['invoices.read', 'offline_access', 'openid', 'orders.read', 'profile'])
})

test('what was asked for and not granted is not asked for again: 403, no loop', async () => {
  const { agent, site, provider } = await signedIn(asking)
  provider.break({ tokenResponse: body => ({ ...body, scope: 'openid profile' }) })
  const page = await agent.visit(`${site.url}/orders`)
  assert.equal(page.status, 403)
  assert.equal((await agent.open(`${site.url}/orders`)).status, 403)
  assert.equal(provider.count('authorize'), 2)
})

test('a provider that does not name the scope has granted what was asked for', async () => {
  const { agent, site, provider, token } = await signedIn(asking)
  provider.break({ tokenResponse: ({ scope: _, ...body }) => body })
  assert.equal((await agent.visit(`${site.url}/orders`)).status, 200)
  assert.equal((await token()).scope, 'openid profile offline_access orders.read')
})

test('a script is not sent anywhere', async () => {
  const { agent, site } = await signedIn(asking)
  assert.equal((await agent.fetch(`${site.url}/orders`, { redirect: 'manual' })).status, 403)
})

test('who is not signed in at all is asked once, for everything', async () => {
  fixture = await startTokenFixture(asking)
  assert.equal((await fixture.agent.visit(`${fixture.site.url}/orders`)).status, 200)
  assert.equal(fixture.provider.count('authorize'), 1)
})

test('another user who comes back from the trip lands on the home page, and does not get the data of the first', async () => {
  const user = { sub: 'alice-0001' }
  const { agent, site } = await signedIn({ ...asking, provider: { user, idTokenClaims: {} } })
  await agent.fetch(`${site.url}/session?cart=full`, { method: 'POST' })
  user.sub = 'bob-0002'
  const page = await agent.visit(`${site.url}/orders`)
  assert.deepEqual([page.status, new URL(page.url).pathname], [200, '/'])
  assert.deepEqual((await agent.open(`${site.url}/session`)).json(), {})
})

test('a plain sign-in of the same user keeps the data of the site', async () => {
  const { agent, site } = await signedIn(asking)
  await agent.fetch(`${site.url}/session?cart=full`, { method: 'POST' })
  await agent.visit(`${site.url}/login`)
  assert.deepEqual((await agent.open(`${site.url}/session`)).json(), { cart: 'full' })
})
