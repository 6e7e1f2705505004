import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import type { FetchOptions } from '../support/agent.js'
import { LIFE, startTokenFixture, type TokenFixture } from '../tokens/token-fixture.js'

let fixture: TokenFixture

async function start(routes: object = { user: '/me', token: '/my-token' }): Promise<TokenFixture> {
  fixture = await startTokenFixture({ oidc: { routes } })
  return fixture
}

afterEach(() => fixture.close())

const ask = (path: string, { headers, ...options }: FetchOptions = {}) =>
  fixture.agent.fetch(fixture.site.url + path, { ...options, headers: { 'x-csrf': '1', ...headers } })

test('both routes are off by default', async () => {
  const { signIn } = await start({})
  await signIn()
  assert.equal((await ask('/me')).status, 404)
  assert.equal((await ask('/my-token')).status, 404)
})

test('a script learns who is signed in, and until when', async () => {
  const { signIn, now } = await start()
  await signIn()
  const page = await ask('/me')
  assert.equal(page.status, 200)
  assert.equal(page.headers['cache-control'], 'no-store')
  const { user, scope, sid, session, accessTokenExpiresAt } = page.json<{
    user: { name: string }
    scope: string
    sid: string
    session: object
    accessTokenExpiresAt: number
  }>()
  assert.deepEqual([user.name, scope, sid], ['Alice Adams', 'openid profile offline_access', 'sid-1'])
  assert.deepEqual(session, { expiresAt: now() + 604_800, expiresIn: 604_800, idle: 86_400, endsIn: 86_400 })
  assert.equal(accessTokenExpiresAt, now() + LIFE)
  assert.equal(/access_?token"|refresh/i.test(page.text), false)
})

test('a script gets an access token that is good, and a new one later', async () => {
  const { signIn, advance, now, refreshes } = await start()
  await signIn()
  const first = (await ask('/my-token')).json<{ accessToken: string; expiresIn: number }>()
  assert.equal(first.expiresIn, LIFE)
  advance(LIFE)
  const page = await ask('/my-token')
  const { accessToken, tokenType, scope, expiresAt } = page.json<Record<string, unknown>>()
  assert.notEqual(accessToken, first.accessToken)
  assert.deepEqual([tokenType, scope, expiresAt], ['Bearer', 'openid profile offline_access', now() + LIFE])
  assert.equal(page.headers['cache-control'], 'no-store')
  assert.equal(refreshes().length, 1)
})

test('without a user: 401 with the sign-in URL', async () => {
  await start()
  for (const path of ['/me', '/my-token']) {
    const page = await ask(path)
    assert.equal(page.json<{ code: string }>().code, 'ERR_OIDC_LOGIN_REQUIRED')
    assert.match(String(page.headers['www-authenticate']), /login_url="\/login/)
  }
})

test('other methods than GET are refused', async () => {
  const { signIn } = await start()
  await signIn()
  for (const path of ['/me', '/my-token']) assert.equal((await ask(path, { method: 'POST' })).status, 405)
})

const foreign: readonly [string, FetchOptions][] = [
  ['without the header', { headers: { 'x-csrf': undefined } }],
  ['from another site', { from: 'http://evil.example', credentials: 'include', headers: { cookie: undefined } }],
  ['from another origin of the same site', { headers: { 'sec-fetch-site': 'same-site' } }],
  ['typed into the address bar', { headers: { 'sec-fetch-site': 'none', 'sec-fetch-dest': 'document' } }],
  ['as an image', { headers: { 'sec-fetch-dest': 'image' } }],
  ['as a script element', { headers: { 'sec-fetch-dest': 'script' } }],
  ['with a foreign Origin', { headers: { origin: 'https://evil.example' } }],
]

for (const [description, options] of foreign) {
  test(`a request ${description} gets neither`, async () => {
    const { signIn } = await start()
    await signIn()
    for (const path of ['/me', '/my-token']) {
      const page = await ask(path, options)
      assert.equal(page.json<{ code: string }>().code, 'ERR_OIDC_FOREIGN_REQUEST')
    }
  })
}

test('a browser that does not say where a request comes from gets no token', async () => {
  const { signIn } = await start()
  await signIn()
  const old = { headers: { 'sec-fetch-site': undefined, 'sec-fetch-dest': undefined, 'sec-fetch-mode': undefined } }
  assert.equal((await ask('/my-token', old)).json<{ code: string }>().code, 'ERR_OIDC_FOREIGN_REQUEST')
  assert.equal((await ask('/me', old)).status, 200)
  const half = { headers: { 'sec-fetch-dest': undefined } }
  assert.equal((await ask('/my-token', half)).json<{ code: string }>().code, 'ERR_OIDC_FOREIGN_REQUEST')
})
