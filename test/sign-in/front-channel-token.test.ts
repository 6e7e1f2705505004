import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import express from 'express'
import { type OidcOptions, openIdConnect, requiresAuth, type SignInContext } from '../../lib/index.js'
import { type FakeProvider, startFakeProvider } from '../../lib/testing/index.js'
import { startLoopbackServer } from '../support/loopback-server.js'
import { secret } from '../support/secrets.js'

let provider: FakeProvider
before(async () => {
  provider = await startFakeProvider({ clientSecret: secret('client secret of the front channel') })
})
after(() => provider.close())

const data = { invitation: 'x'.repeat(900), steps: [1, 2], deep: { yes: true } }

function createSite(options: OidcOptions = {}) {
  const seen: SignInContext[] = []
  const calls: string[] = []
  const app = express()
  const oidc = openIdConnect({
    ...provider.options,
    baseUrl: 'http://localhost:3000',
    secret: secret('session secret of the front channel'),
    log: () => {},
    fetch: (input, init) => {
      calls.push(new URL(String(input)).pathname)
      return fetch(input, init)
    },
    hooks: {
      signIn: context => {
        seen.push(context)
        return undefined
      },
    },
    ...options,
  })
  app.use(oidc)
  app.get('/invited', (req, _res, next) => {
    req.oidc.login({ returnTo: '/welcome?to=all', data }).catch(next)
  })
  app.get('/token', requiresAuth(), (req, res, next) => {
    req.oidc.accessToken().then(token => res.json(token), next)
  })
  app.get('/bye', (req, _res, next) => {
    const reserved = 'reserved' in req.query ? { id_token_hint: 'mine' } : {}
    req.oidc.logout({ params: { logout_hint: 'bob', ...reserved } }).catch(next)
  })
  return { app, oidc, seen, calls }
}

async function ask({ app }: ReturnType<typeof createSite>, path: string, cookie: string) {
  const server = await startLoopbackServer(app as never)
  try {
    const headers = { cookie, 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'navigate' }
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { headers, redirect: 'manual' })
    return { status: response.status, location: response.headers.get('location') ?? '', text: await response.text() }
  } finally {
    await server.stop()
  }
}

test('id_token token signs in without a code: userinfo and APIs get the token of the front channel, and there is no refresh token', async () => {
  const site = createSite({
    responseType: 'token id_token',
    scope: 'openid offline_access',
    clientAuthentication: 'none',
    clientSecret: undefined,
  })
  const cookie = await provider.signIn(site.app, { sub: 'bob', team: 'red' })
  const [context] = site.seen
  assert.equal(context?.userInfo?.team, 'red')
  assert.equal(context?.tokens.refreshToken, undefined)
  assert.equal(site.calls.includes('/token'), false, 'no code was redeemed')
  const token = JSON.parse((await ask(site, '/token', cookie)).text)
  assert.equal(token.value, context?.tokens.accessToken)
  assert.equal(token.type, 'Bearer')
  assert.ok(token.expiresAt > 0)
  await site.oidc.close()
})

test('id_token token without userinfo asks the provider for nothing', async () => {
  const site = createSite({ responseType: 'id_token token', userInfo: false })
  await provider.signIn(site.app, { sub: 'bob' })
  assert.equal(site.seen[0]?.userInfo, undefined)
  assert.deepEqual(
    site.calls.filter(path => path === '/userinfo' || path === '/token'),
    [],
  )
  await site.oidc.close()
})

test('id_token token has no token endpoint to take the token from', () => {
  const options = { responseType: 'id_token token', userInfo: { token: 'token-endpoint' } } as const
  assert.throws(() => createSite(options), {
    code: 'ERR_OIDC_OPTIONS',
    message: /token-endpoint.*needs a responseType with "code"/,
  })
})

test('the data of a sign-in and the page it lands on reach the signIn hook, and no other sign-in has them', async () => {
  const site = createSite()
  await provider.signIn(site.app, { sub: 'bob' }, { path: '/invited' })
  await provider.signIn(site.app, { sub: 'eve' })
  const [invited, other] = site.seen
  assert.deepEqual([invited?.data, invited?.returnTo], [data, '/welcome?to=all'])
  assert.deepEqual([other?.data, other?.returnTo], [undefined, '/'])
  await site.oidc.close()
})

test('parameters of a sign-out reach the provider, and one that would replace one of the protocol ends no session', async () => {
  const site = createSite()
  const cookie = await provider.signIn(site.app, { sub: 'bob' })
  assert.equal((await ask(site, '/bye?reserved', cookie)).status, 500)
  assert.equal((await ask(site, '/token', cookie)).status, 200)
  const query = new URL((await ask(site, '/bye', cookie)).location).searchParams
  assert.equal(query.get('logout_hint'), 'bob')
  assert.ok(query.get('id_token_hint'))
  await site.oidc.close()
})

test('a sign-out at login.gov, which refuses id_token_hint, names the client instead', async () => {
  const site = createSite({ idTokenHint: false })
  const cookie = await provider.signIn(site.app, { sub: 'bob' })
  const query = new URL((await ask(site, '/bye', cookie)).location).searchParams
  assert.equal(query.get('id_token_hint'), null)
  assert.equal(query.get('client_id'), 'test-client')
  assert.ok(query.get('post_logout_redirect_uri'))
  await site.oidc.close()
})
