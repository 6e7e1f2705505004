import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { createAgent } from '../support/agent.js'
import { until } from '../support/redis.js'
import { answering, LIFE, startTokenFixture, type TokenFixture, type TokenFixtureOptions } from './token-fixture.js'

let fixture: TokenFixture

async function signedIn(options?: TokenFixtureOptions): Promise<TokenFixture> {
  fixture = await startTokenFixture(options)
  await fixture.signIn()
  return fixture
}

afterEach(() => fixture.close())

test('a token with enough life left is handed out as it is', async () => {
  const { token, provider, advance } = await signedIn()
  const first = await token()
  advance(LIFE - 100)
  assert.deepEqual(await token(), first)
  assert.equal(provider.count('token'), 1)
})

test('a token that has less than a minute left is refreshed first', async () => {
  const { token, refreshes, advance, now } = await signedIn()
  const first = await token()
  advance(LIFE - 59)
  const second = await token()
  assert.notEqual(second.value, first.value)
  assert.equal(second.expiresAt, now() + LIFE)
  assert.equal(refreshes().length, 1)
})

test('minValidity says how much life is enough', async () => {
  const { token, refreshes, advance } = await signedIn()
  advance(150)
  await token('?minValidity=120')
  assert.equal(refreshes().length, 0)
  await token('?minValidity=200')
  assert.equal(refreshes().length, 1)
})

test('forceRefresh refreshes a token that is still good', async () => {
  const { token, refreshes } = await signedIn()
  const first = await token()
  assert.notEqual((await token('?force')).value, first.value)
  assert.equal(refreshes().length, 1)
})

test('a token that is due soon is refreshed in the background, and no request waits for it', async () => {
  const { token, refreshes, provider, advance } = await signedIn()
  let release = () => {}
  provider.break({ token: { until: () => new Promise<void>(resolve => (release = resolve)) } })
  const first = await token()
  // The moment differs from session to session; at the end of the spread it has come for every one.
  advance(LIFE - 60)
  assert.equal((await token()).value, first.value)
  await until('the refresh is under way', () => refreshes().length === 1)
  assert.equal((await token()).value, first.value)
  release()
  await until('the new token is there', async () => (await token()).value !== first.value)
  assert.equal(refreshes().length, 1)
})

test('a session that was ended elsewhere while a request runs has no token for it any more', async () => {
  const { agent, site, provider } = await signedIn({
    routes: app =>
      void app.get(
        '/late',
        answering(async req => {
          await fixture.site.oidc.sessions.revoke({ sub: String(req.oidc.user?.sub) })
          return req.oidc.accessToken()
        }),
      ),
  })
  const page = await agent.fetch(`${site.url}/late`)
  assert.deepEqual([page.status, page.json<{ code: string }>().code], [401, 'ERR_OIDC_LOGIN_REQUIRED'])
  assert.equal(provider.count('token'), 1)
})

test('many requests of one process share one refresh', async () => {
  const { token, refreshes, advance } = await signedIn()
  advance(LIFE)
  const responses = await Promise.all(Array.from({ length: 50 }, () => token()))
  assert.equal(refreshes().length, 1)
  assert.equal(new Set(responses.map(({ value }) => value)).size, 1)
})

test('a refresh goes on, and is kept, when the browser has gone away', async () => {
  const { agent, site, token, refreshes, provider, advance } = await signedIn()
  advance(LIFE)
  let release = () => {}
  provider.break({ token: { until: () => new Promise<void>(resolve => (release = resolve)) } })
  const gone = new AbortController()
  const asked = agent.fetch(`${site.url}/fresh`, { signal: gone.signal }).catch(() => 'gone')
  await until('the refresh is under way', () => refreshes().length === 1)
  gone.abort()
  assert.equal(await asked, 'gone')
  release()
  await until('the new token is there', async () => (await token()).status === 200)
  assert.equal(refreshes().length, 1)
})

test('close waits for a refresh that is under way', async () => {
  const { site, token, refreshes, provider, advance } = await signedIn()
  advance(LIFE)
  let release = () => {}
  provider.break({ token: { until: () => new Promise<void>(resolve => (release = resolve)) } })
  const asked = token()
  await until('the refresh is under way', () => refreshes().length === 1)
  let isClosed = false
  const closing = site.oidc.close().then(() => {
    isClosed = true
  })
  await new Promise(setImmediate)
  assert.equal(isClosed, false)
  release()
  await closing
  assert.equal((await asked).status, 200)
})

test('without a refresh token a token is handed out until it expires, and then 401', async () => {
  const { agent, site, token, advance } = await signedIn({ oidc: { scope: 'openid profile' } })
  advance(LIFE - 10)
  assert.equal((await token()).status, 200)
  advance(10)
  assert.equal((await token()).code, 'ERR_OIDC_ACCESS_TOKEN_EXPIRED')
  assert.equal((await agent.open(`${site.url}/user`)).json<{ isAuthenticated: boolean }>().isAuthenticated, true)
})

test('without a user: 401', async () => {
  fixture = await startTokenFixture()
  assert.equal((await fixture.token()).code, 'ERR_OIDC_LOGIN_REQUIRED')
})

test('the scope and expiry a page sees are those of the refreshed token', async () => {
  const { agent, site, token, provider, advance } = await signedIn({ oidc: { routes: { user: '/whoami' } } })
  provider.break({ tokenResponse: body => ({ ...body, scope: 'openid' }) })
  advance(LIFE)
  assert.equal((await token()).scope, 'openid')
  const page = await agent.fetch(`${site.url}/whoami`, { headers: { 'x-csrf': '1' } })
  const { scope, accessTokenExpiresAt } = page.json<{ scope: string; accessTokenExpiresAt: number }>()
  assert.equal(scope, 'openid')
  assert.equal(accessTokenExpiresAt, fixture.now() + LIFE)
})

for (const [description, expiresIn] of [
  ['missing', undefined],
  ['null', null],
  ['0', 0],
  ['negative', -5],
  ['a text', 'soon'],
  ['absurd', 1e12],
] as const) {
  test(`an expiry that is ${description} makes no refresh loop`, async () => {
    const { token, refreshes, provider, advance } = await signedIn()
    provider.break({ tokenResponse: ({ expires_in: _, ...body }) => ({ ...body, expires_in: expiresIn }) })
    advance(LIFE)
    for (let at = 0; at < 5; at += 1) assert.equal((await token()).status, 200)
    advance(10 * LIFE)
    for (let at = 0; at < 5; at += 1) assert.equal((await token()).expiresAt, undefined)
    assert.equal(refreshes().length, 1)
  })
}

test('an expiry that is a number in a string counts', async () => {
  const { token, provider, advance, now } = await signedIn()
  provider.break({ tokenResponse: body => ({ ...body, expires_in: '300' }) })
  advance(LIFE)
  assert.equal((await token()).expiresAt, now() + 300)
})

test('tokens that live shorter than a minute are refreshed at half their life, not at every request', async () => {
  const { token, refreshes, advance } = await signedIn({ provider: { expiresIn: 30 } })
  for (let at = 0; at < 5; at += 1) await token()
  assert.equal(refreshes().length, 0)
  advance(16)
  for (let at = 0; at < 5; at += 1) await token()
  assert.equal(refreshes().length, 1)
})

test('a clock of the site that goes ahead an hour and back again costs one refresh and signs no user out', async () => {
  const { token, refreshes, advance, agent, site } = await signedIn()
  advance(3600)
  for (let at = 0; at < 5; at += 1) assert.equal((await token()).status, 200)
  assert.equal(refreshes().length, 1)
  advance(-3600)
  for (let at = 0; at < 5; at += 1) assert.equal((await token()).status, 200)
  assert.equal(refreshes().length, 1)
  assert.equal((await agent.open(`${site.url}/claims`)).status, 200)
  const other = createAgent()
  assert.equal((await other.visit(`${site.url}/claims`)).status, 200)
})

test('the clock of the site going back an hour refreshes nothing and ends nothing', async () => {
  const { token, refreshes, advance } = await signedIn()
  advance(-3600)
  assert.equal((await token()).status, 200)
  assert.equal(refreshes().length, 0)
})
