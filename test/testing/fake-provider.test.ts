import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { after, before, describe, test } from 'node:test'
import express5, { type ErrorRequestHandler, type Express } from 'express'
import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose'
import { OidcError, type OidcOptions, type OpenIdConnect, openIdConnect, requiresAuth } from '../../lib/index.js'
import { type FakeProvider, startFakeProvider } from '../../lib/testing/index.js'
import { createAgent } from '../support/agent.js'
import { startLoopbackServer } from '../support/loopback-server.js'
import { keepSecret, secret } from '../support/secrets.js'

const express4 = createRequire(import.meta.url)('express4') as typeof express5

interface Tested {
  readonly app: Express
  readonly oidc: OpenIdConnect
}

function createSite(provider: FakeProvider, options: OidcOptions = {}, express = express5): Tested {
  const app = express()
  const oidc = openIdConnect({
    ...provider.options,
    baseUrl: 'https://www.example.com',
    secret: secret('session secret of a tested site'),
    scope: 'openid email offline_access',
    log: () => {},
    ...options,
  })
  app.use(oidc)
  app.get('/claims', requiresAuth(), (req, res) => void res.json({ ...req.oidc.user, cart: req.session.cart }))
  app.get('/token', requiresAuth(), (req, res, next) => {
    req.oidc.accessToken({ forceRefresh: 'fresh' in req.query }).then(token => res.json(token), next)
  })
  app.get('/fill', (req, res) => {
    Object.assign(req.session, { cart: ['tea'] })
    res.end()
  })
  return { app, oidc }
}

/** What a page of a site says, which listens for this one request. */
async function ask({ app }: Tested, path: string, cookie: string) {
  const server = await startLoopbackServer(app as never)
  try {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { headers: { cookie }, redirect: 'manual' })
    const cookies = response.headers.getSetCookie().map(line => line.split(';', 1)[0])
    return { status: response.status, cookies, body: response.status === 200 ? await response.text() : '' }
  } finally {
    await server.stop()
  }
}

async function claimsOf(site: Tested, cookie: string): Promise<Record<string, unknown>> {
  const { status, body } = await ask(site, '/claims', cookie)
  assert.equal(status, 200)
  return JSON.parse(body)
}

describe('a fake provider', () => {
  let provider: FakeProvider

  before(async () => {
    provider = await startFakeProvider({ clientSecret: secret('client secret of the fake provider') })
  })
  after(() => provider.close())

  for (const responseType of [
    'code',
    'code id_token',
    'code token',
    'code id_token token',
    'id_token',
    'id_token token',
  ]) {
    test(`signs in by ${responseType}`, async () => {
      const site = createSite(provider, { responseType })
      const cookie = await provider.signIn(site.app, { sub: 'bob', email: 'bob@example.com', roles: ['a', 'b'] })
      const claims = await claimsOf(site, cookie)
      assert.equal(claims.sub, 'bob')
      assert.equal(claims.email, 'bob@example.com')
      assert.deepEqual(claims.roles, ['a', 'b'])
      await site.oidc.close()
    })
  }

  test('signs in to a site without PKCE', async () => {
    const site = createSite(provider, { pkce: false })
    assert.equal((await claimsOf(site, await provider.signIn(site.app))).sub, 'alice')
    await site.oidc.close()
  })

  test('responds in the query where the site requests that', async () => {
    const site = createSite(provider, { responseType: 'code', responseMode: 'query' })
    assert.equal((await claimsOf(site, await provider.signIn(site.app))).sub, 'alice')
    await site.oidc.close()
  })

  test('signs in to Express 4', async () => {
    const site = createSite(provider, {}, express4)
    assert.equal((await claimsOf(site, await provider.signIn(site.app))).sub, 'alice')
    await site.oidc.close()
  })

  test('signs in to a site that runs, by its address, and to a page behind a guard', async () => {
    const server = await startLoopbackServer((request, response) => site.app(request, response))
    const url = `http://localhost:${server.port}`
    const site = createSite(provider, { baseUrl: url, routes: { login: '/sign-in' } })
    const cookie = await provider.signIn(url, { sub: 'carol' }, { path: '/claims?x=1' })
    const response = await fetch(`${url}/claims`, { headers: { cookie } })
    assert.equal(((await response.json()) as { sub: string }).sub, 'carol')
    await server.stop()
    await site.oidc.close()
  })

  test('keeps people apart who sign in at the same time', async () => {
    const site = createSite(provider)
    const names = ['a', 'b', 'c', 'd', 'e']
    const cookies = await Promise.all(names.map(sub => provider.signIn(site.app, { sub })))
    const claims = await Promise.all(cookies.map(cookie => claimsOf(site, cookie)))
    assert.deepEqual(
      claims.map(({ sub }) => sub),
      names,
    )
    await site.oidc.close()
  })

  test('continues in the session of the browser', async () => {
    const site = createSite(provider, { session: { keep: ['cart'] } })
    const { cookies } = await ask(site, '/fill', '')
    const cookie = await provider.signIn(site.app, undefined, { cookie: cookies.join('; ') })
    assert.deepEqual((await claimsOf(site, cookie)).cart, ['tea'])
    await site.oidc.close()
  })

  test('refreshes tokens, each refresh token once, and gives the site tokens of its own', async () => {
    const site = createSite(provider)
    const cookie = await provider.signIn(site.app)
    const tokens = new Set<string>()
    for (const path of ['/token', '/token?fresh', '/token?fresh']) {
      const { value } = JSON.parse((await ask(site, path, cookie)).body) as { value: string }
      tokens.add(keepSecret('access token of the fake provider', value))
    }
    assert.equal(tokens.size, 3)
    const own = await site.oidc.clientCredentials()
    assert.ok(!tokens.has(keepSecret('client token of the fake provider', own.value)), 'a token of a person')
    await site.oidc.close()
  })

  test('shows a browser the same sign-in and sign-out', async () => {
    const server = await startLoopbackServer((request, response) => site.app(request, response))
    const url = `http://localhost:${server.port}`
    const site = createSite(provider, { baseUrl: url })
    const agent = createAgent()
    const page = await agent.open(`${url}/claims`)
    assert.match(page.text, /document\.forms\[0\]\.submit\(\)/)
    assert.equal((await agent.submitForm()).url, `${url}/claims`)
    await agent.post(`${url}/logout`, {})
    const user = await agent.fetch(`${url}/claims`, { from: `${url}/` })
    assert.equal(user.status, 401)
    await server.stop()
    await site.oidc.close()
  })

  test('says what the site responded where that was no sign-in', async () => {
    const site = createSite(provider, {
      hooks: {
        signIn() {
          throw new OidcError('ERR_OIDC_ACCESS_DENIED', 'not this one')
        },
      },
    })
    await assert.rejects(provider.signIn(site.app), /did not accept the sign-in: it responded with 403/)
    await assert.rejects(provider.signIn(site.app, undefined, { path: '/fill' }), /did not send the browser/)
    await site.oidc.close()
  })

  for (const [error, status, code] of [
    [undefined, 403, 'ERR_OIDC_ACCESS_DENIED'],
    ['server_error', 400, 'ERR_OIDC_AUTHORIZATION_FAILED'],
  ] as const) {
    for (const options of [{}, { responseType: 'code', responseMode: 'query' }] as const) {
      test(`refuses a sign-in with ${error ?? 'access_denied'} by ${options.responseMode ?? 'form_post'}, and shows what the site says`, async () => {
        const site = createSite(provider, options)
        const before = await ask(site, '/fill', '')
        site.app.use(((failure, _req, res, _next) => {
          res.status(failure.status).send(`<p>${failure.code} at ${failure.returnTo}</p>`)
        }) as ErrorRequestHandler)
        const refused = await provider.refuse(site.app, error, { path: '/claims', cookie: before.cookies.join('; ') })
        assert.equal(refused.status, status)
        assert.equal(refused.text, `<p>${code} at /claims</p>`)
        assert.match(String(refused.headers['content-type']), /^text\/html/)
        assert.equal((await ask(site, '/claims', refused.cookie)).status, 401)
        const cookie = await provider.signIn(site.app, undefined, { cookie: refused.cookie })
        assert.equal((await claimsOf(site, cookie)).sub, 'alice', 'the next sign-in is not refused')
        await site.oidc.close()
      })
    }
  }

  test('issues JWT access tokens that an API can verify by the keys of the metadata', async () => {
    const audience = 'https://api.example.com'
    const issuing = await startFakeProvider({ audience, clientSecret: secret('client secret of the JWT provider') })
    const site = createSite(issuing, {
      scope: 'openid orders.read offline_access',
      responseType: 'code id_token token',
    })
    const cookie = await issuing.signIn(site.app, { sub: 'bob', roles: ['clerk'] })
    const metadata = await fetch(`${issuing.issuer}/.well-known/openid-configuration`)
    const { jwks_uri: address } = (await metadata.json()) as { jwks_uri: string }
    const keys = createRemoteJWKSet(new URL(address))
    const rules = { issuer: issuing.issuer, audience, typ: 'at+jwt', algorithms: ['RS256'] }
    for (const query of ['', '?fresh']) {
      const { value } = JSON.parse((await ask(site, `/token${query}`, cookie)).body) as { value: string }
      const { payload } = await jwtVerify(keepSecret('JWT access token', value), keys, rules)
      assert.deepEqual(
        { sub: payload.sub, roles: payload.roles, scope: payload.scope, client: payload.client_id },
        { sub: 'bob', roles: ['clerk'], scope: 'openid orders.read offline_access', client: 'test-client' },
      )
    }
    const own = await site.oidc.clientCredentials({ scope: 'orders.count', resource: 'https://reports.example.com' })
    const { payload } = await jwtVerify(keepSecret('JWT of the client', own.value), keys, {
      ...rules,
      audience: 'https://reports.example.com',
    })
    assert.deepEqual([payload.sub, payload.scope], ['test-client', 'orders.count'])
    await site.oidc.close()
    await issuing.close()
  })

  test('grants the authorization details that the site asks for, and fewer where it asks for fewer', async () => {
    const read = { type: 'account', actions: ['read'] }
    const pay = { type: 'payment', amount: 'EUR 5' }
    const issuing = await startFakeProvider({ audience: 'https://api.example.com' })
    const site = createSite(issuing)
    site.app.get('/pay', (req, _res, next) => void req.oidc.login({ authorizationDetails: [read, pay] }).catch(next))
    const detailsOf = ({ value, authorizationDetails }: { value: string; authorizationDetails?: unknown }) => {
      const claims = decodeJwt(keepSecret('access token with details', value))
      assert.deepEqual(claims.authorization_details, authorizationDetails)
      return authorizationDetails
    }
    const cookie = await issuing.signIn(site.app, { sub: 'bob' }, { path: '/pay' })
    for (const query of ['', '?fresh'])
      assert.deepEqual(detailsOf(JSON.parse((await ask(site, `/token${query}`, cookie)).body)), [read, pay])
    site.app.get('/narrow', (req, res, next) => {
      req.oidc.accessToken({ authorizationDetails: [read] }).then(token => res.json(token), next)
    })
    assert.deepEqual(detailsOf(JSON.parse((await ask(site, '/narrow', cookie)).body)), [read])
    assert.deepEqual(detailsOf(await site.oidc.clientCredentials({ authorizationDetails: [pay] })), [pay])
    const wrong = new URLSearchParams({
      client_id: issuing.options.clientId,
      redirect_uri: 'https://www.example.com/callback',
      response_type: 'code',
      state: 'abc',
      authorization_details: '{"type":"account"}',
    })
    const refused = await fetch(`${issuing.issuer}/authorize?${wrong}`)
    assert.deepEqual([refused.status, /invalid_authorization_details/.test(await refused.text())], [400, true])
    await site.oidc.close()
    await issuing.close()
  })

  test('checks the request, the client and the code verifier', async () => {
    const authorize = (params: Record<string, string>) =>
      fetch(`${provider.issuer}/authorize?${new URLSearchParams(params)}`, { redirect: 'manual' })
    const good = {
      client_id: 'test-client',
      redirect_uri: 'https://www.example.com/callback',
      response_type: 'code',
      state: 'abc',
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    }
    assert.equal((await authorize(good)).status, 303)
    for (const [name, value] of [
      ['client_id', 'other'],
      ['redirect_uri', '/callback'],
      ['response_type', 'code device'],
      ['state', ''],
      ['code_challenge', ''],
    ] as const) {
      assert.equal((await authorize({ ...good, [name]: value })).status, 400, name)
    }
    const newCode = async () => {
      const location = (await authorize(good)).headers.get('location') ?? ''
      return keepSecret('code of the fake provider', new URL(location).searchParams.get('code') ?? '')
    }
    const { clientId, clientSecret } = provider.options
    const redeem = async (change: Record<string, string>) => {
      const body = new URLSearchParams({
        grant_type: 'authorization_code',
        code: await newCode(),
        redirect_uri: good.redirect_uri,
        code_verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
        client_id: clientId,
        client_secret: clientSecret,
        ...change,
      })
      const response = await fetch(`${provider.issuer}/token`, { method: 'POST', body })
      return response.status
    }
    assert.equal(await redeem({}), 200)
    assert.equal(await redeem({ code_verifier: 'another' }), 400)
    assert.equal(await redeem({ redirect_uri: 'https://www.example.com/other' }), 400)
    assert.equal(await redeem({ code: 'unknown' }), 400)
    assert.equal(await redeem({ client_secret: 'wrong' }), 401)
    assert.equal(await redeem({ grant_type: 'password' }), 400)
    assert.equal((await fetch(`${provider.issuer}/userinfo`)).status, 401)
  })

  test('takes a clock', async () => {
    const now = () => new Date('2040-01-01T00:00:00Z')
    const later = await startFakeProvider({ now, clientSecret: secret('client secret of a later provider') })
    const site = createSite(later, { now })
    assert.equal((await claimsOf(site, await later.signIn(site.app))).sub, 'alice')
    await site.oidc.close()
    await later.close()
  })

  test('is refused in production', async () => {
    const { NODE_ENV } = process.env
    process.env.NODE_ENV = 'production'
    try {
      await assert.rejects(startFakeProvider(), { code: 'ERR_OIDC_OPTIONS' })
    } finally {
      if (NODE_ENV === undefined) delete process.env.NODE_ENV
      else process.env.NODE_ENV = NODE_ENV
    }
  })
})
