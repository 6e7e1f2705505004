import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { describe } from 'node:test'
import express5, { type Express, type RequestHandler, Router } from 'express'
import { requiresAuth } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import type { Fixture } from '../support/handler-fixture.js'
import { send } from '../support/http-client.js'
import { attack, cookieHeader, sendRaw, whoIs } from './fixture.js'
import { redirectGrammar } from './redirect-grammar.js'

const express4 = createRequire(import.meta.url)('express4') as typeof express5
const html = { accept: 'text/html' }
const code = { responseType: 'id_token' }

/** Where a browser would go, which is what the URL standard says and not what the text looks like. */
function originOf(location: string | undefined, siteUrl: string): string {
  return new URL(Buffer.from(location ?? '', 'latin1').toString(), siteUrl).origin
}

/**
 * Signs in without a browser and without asking the provider: the response is made here, so that thousands of sign-ins take seconds.
 * The `Location` the last response carries.
 */
async function landingOf({ site, provider }: Fixture, query: string): Promise<string | undefined> {
  const start = await send({ url: `${site.url}/login?${query}`, headers: html })
  if (start.status !== 303) return undefined
  const { searchParams } = new URL(start.headers.location ?? '')
  const now = Math.floor(Date.now() / 1000)
  const id_token = await provider.keys.sign({
    iss: provider.issuer,
    sub: 'alice-0001',
    aud: provider.clientId,
    exp: now + 300,
    iat: now,
    nonce: searchParams.get('nonce'),
  })
  const state = searchParams.get('state') ?? ''
  const response = await send({
    url: `${site.url}/callback`,
    method: 'POST',
    headers: {
      cookie: start.setCookies.map(cookie => cookie.split(';')[0]).join('; '),
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams({ state, id_token, iss: provider.issuer }).toString(),
  })
  assert.equal(response.status, 303, `${query}: ${response.text}`)
  return response.headers.location
}

describe('where a sign-in or a sign-out lands', () => {
  attack(
    'CVE-2017-1000070 CVE-2020-5233 CVE-2020-11053 CVE-2020-4037 CVE-2021-21291 CVE-2021-43812 CVE-2022-24858 CVE-2022-29214 CVE-2022-3145 CVE-2022-2237 CVE-2025-27143 CVE-2024-56734 CVE-2023-50771 CVE-2016-1000001 CVE-2024-29041 CVE-2022-23527: none of thousands of hostile return URLs leads a sign-in off the site',
    { oidc: code },
    async fixture => {
      const { site } = fixture
      const payloads = redirectGrammar(new URL(site.url).host, new URL(fixture.evil.url).host)
      assert.ok(payloads.length >= 2000, `${payloads.length} payloads`)
      let kept = 0
      for (const payload of payloads) {
        const location = await landingOf(fixture, `returnTo=${payload}`)
        assert.equal(originOf(location, site.url), site.url, `${payload} -> ${location}`)
        assert.match(location ?? '', /^\/(?![/\\])[\x20-\x7e]*$/, payload)
        const read = new URLSearchParams(`returnTo=${payload}`).get('returnTo') ?? ''
        const isForeign = !URL.canParse(read, site.url) || new URL(read, site.url).origin !== site.url
        if (isForeign) assert.equal(location, '/', `${payload}: not even its path is used`)
        if (location !== '/') kept += 1
      }
      assert.ok(kept > 100, 'the honest ones among them are kept')
    },
  )

  attack(
    'CVE-2019-14857 CVE-2019-20479 CVE-2021-32786: none of the same URLs leads a sign-out off the site',
    { oidc: code },
    async fixture => {
      const { site } = fixture
      const headers = { ...html, 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'navigate' }
      for (const payload of redirectGrammar(new URL(site.url).host, new URL(fixture.evil.url).host)) {
        const { status, headers: response } = await send({
          url: `${site.url}/logout?local=1&returnTo=${payload}`,
          headers,
        })
        assert.equal(status, 303, payload)
        assert.equal(originOf(response.location, site.url), site.url, `${payload} -> ${response.location}`)
        assert.match(response.location ?? '', /^\/(?![/\\])[\x20-\x7e]*$/, payload)
      }
    },
  )

  attack('none does at a sign-out over the provider either, which gets no return URL at all', {}, async fixture => {
    const { site, provider } = fixture
    const headers = { ...html, 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'navigate' }
    const payloads = redirectGrammar(new URL(site.url).host, new URL(fixture.evil.url).host)
    for (const payload of payloads.filter((_, index) => index % 17 === 0)) {
      const out = await send({ url: `${site.url}/logout?returnTo=${payload}`, headers })
      const target = new URL(out.headers.location ?? '')
      assert.equal(target.origin, new URL(provider.issuer).origin, payload)
      assert.equal(target.searchParams.get('post_logout_redirect_uri'), `${site.url}/logout/callback`)
      const cookie = out.setCookies.map(value => value.split(';')[0]).join('; ')
      const state = target.searchParams.get('state')
      const back = await send({ url: `${site.url}/logout/callback?state=${state}`, headers: { ...html, cookie } })
      assert.equal(back.status, 303, payload)
      assert.equal(originOf(back.headers.location, site.url), site.url, `${payload} -> ${back.headers.location}`)
    }
  })

  attack(
    'CVE-2022-31093: a returnTo that is not a URL, is a list, an object or endless leads to the start page and to no error',
    { oidc: code },
    async fixture => {
      for (const query of [
        'returnTo=%',
        'returnTo=%zz',
        'returnTo=http://',
        'returnTo=http://[',
        'returnTo=//',
        'returnTo=http://a:99999',
        'returnTo=%ed%a0%80',
        'returnTo=%ff%fe',
        'returnTo=%c0%af',
        'returnTo=%00',
        'returnTo=',
        'returnTo',
        'returnTo=/a&returnTo=/b',
        'returnTo[]=/a',
        'returnTo[a]=/b',
        'returnTo[__proto__]=/b',
        'returnTo=blob:/a',
        `returnTo=/${'a'.repeat(10_000)}`,
        `returnTo=/${encodeURIComponent('😀'.repeat(600))}`,
      ]) {
        const location = await landingOf(fixture, query)
        // A bare `%` is a fine name of a page on this site; everything else is none.
        if (query.startsWith('returnTo=%') && location !== '/') assert.match(location ?? '', /^\/%/)
        else assert.equal(location, '/', query.slice(0, 60))
      }
    },
  )

  attack(
    'CVE-2021-39191: a sign-in that a third party starts cannot choose its return URL or its parameters',
    { oidc: code },
    async fixture => {
      const target = encodeURIComponent(fixture.evil.url)
      const query = `iss=${encodeURIComponent(fixture.provider.issuer)}&target_link_uri=${target}&login_hint=bob&scope=admin&prompt=none`
      assert.equal(await landingOf(fixture, query), '/')
      const start = await send({ url: `${fixture.site.url}/login?${query}`, headers: html })
      const { searchParams } = new URL(start.headers.location ?? '')
      assert.deepEqual(
        [searchParams.get('scope'), searchParams.get('prompt'), searchParams.get('login_hint')],
        ['openid profile email', null, null],
      )
    },
  )

  for (const [version, express] of [
    [4, express4],
    [5, express5],
  ] as const) {
    attack(
      version === 4
        ? 'CVE-2022-24794: a hostile URL of a protected page leads back to the site, on Express 4'
        : 'CVE-2022-24794: a hostile URL of a protected page leads back to the site, on Express 5',
      {
        oidc: code,
        site: { express: version, routes: app => app.use(requiresAuth(), (_req, res) => void res.send('protected')) },
      },
      async fixture => {
        const { site, evil } = fixture
        assert.ok(express, 'no express')
        const host = new URL(evil.url).host
        for (const path of [
          `//${host}/%2e%2e`,
          `//${host}`,
          `///${host}`,
          `/\\${host}`,
          `/\\/${host}`,
          `/%09/${host}`,
          `/.//${host}`,
          `/..//${host}`,
          `/%2f${host}`,
          `/x//${host}`,
          evil.url,
          `${evil.url}/x?y`,
          `http://${host}@x/`,
          `/?x=//${host}`,
          '/%',
          '/%ff',
          '/%00',
          `//${host}/?a=b#c`,
          '*',
          '//',
          '///',
          '/;',
          '/%5c%5cevil',
          `//%E3%80%82${host}`,
        ]) {
          const start = await sendRaw(site.url, [
            `GET ${path} HTTP/1.1`,
            `Host: ${new URL(site.url).host}`,
            'Accept: text/html',
          ])
          // The start page of this site is public.
          assert.ok([200, 303, 400, 404].includes(start.status), `${path}: ${start.status}`)
          assert.ok(!start.body.includes('protected'), `${path}: the page was shown`)
          if (start.status !== 303) continue
          const agent = createAgent()
          for (const line of start.head.match(/^set-cookie: .*$/gim) ?? []) {
            agent.jar.set(site.url, line.slice(12), { method: 'GET', isTopLevel: true, initiator: undefined })
          }
          await agent.open(start.header('location') ?? '')
          const page = await agent.submitForm({}, { redirect: 'manual' })
          assert.equal(page.status, 303, page.text)
          assert.equal(new URL(page.hops[0]?.location ?? '').origin, site.url, `${path} -> ${page.hops[0]?.location}`)
        }
      },
    )
  }
})

describe('who the site is', () => {
  attack(
    'CVE-2026-33495: Host and every forwarded header have no effect on redirect_uri, cookies and redirects, with trust proxy or without',
    { site: { before: app => app.set('trust proxy', true) } },
    async ({ site, provider, agent }) => {
      const plain = await agent.open(`${site.url}/claims`, { redirect: 'manual' })
      const shape = (cookies: readonly string[] | undefined) =>
        cookies?.map(cookie => cookie.replace(/=[^;]*/, '')) ?? []
      for (const [name, value] of Object.entries({
        'x-forwarded-host': 'evil.example, evil2.example',
        'x-forwarded-proto': 'https, http',
        'x-forwarded-port': '444',
        'x-forwarded-prefix': '/evil',
        'x-forwarded-for': '1.2.3.4',
        'x-real-ip': '1.2.3.4',
        forwarded: 'host=evil.example;proto=https',
        'x-host': 'evil.example',
        'x-forwarded-server': 'evil.example',
        'x-forwarded-ssl': 'on',
        'front-end-https': 'on',
        host: 'evil.example',
      })) {
        const page = await createAgent().open(`${site.url}/claims`, { headers: { [name]: value }, redirect: 'manual' })
        const target = new URL(page.hops[0]?.location ?? '')
        assert.equal(target.searchParams.get('redirect_uri'), `${site.url}/callback`, name)
        assert.ok(!target.href.includes('evil'), name)
        assert.deepEqual(shape(page.hops[0]?.setCookies), shape(plain.hops[0]?.setCookies), name)
        const logout = await createAgent().open(`${site.url}/logout?returnTo=/x`, {
          headers: { [name]: value },
          redirect: 'manual',
        })
        const out = new URL(logout.hops[0]?.location ?? '')
        assert.equal(out.searchParams.get('post_logout_redirect_uri'), `${site.url}/logout/callback`, name)
      }
      assert.deepEqual(provider.problems, [])
    },
  )

  attack(
    'CVE-2022-39387: no request can set endpoints, issuer or client, by query, body, path or header',
    {},
    async ({ site, evil, provider, agent }) => {
      const planted = new URLSearchParams(
        Object.fromEntries(
          [
            'token_endpoint',
            'jwks_uri',
            'issuer',
            'iss',
            'authorization_endpoint',
            'userinfo_endpoint',
            'client_id',
            'metadataUrl',
            'baseUrl',
            'end_session_endpoint',
            'logout',
            'xwiki',
          ].map(name => [name, evil.url]),
        ),
      )
      const page = await agent.open(`${site.url}/login?${planted}`)
      assert.equal(new URL(page.url).origin, new URL(provider.issuer).origin)
      const fields = (page.forms[0]?.fields ?? []).filter(([name]) => name !== 'iss')
      planted.delete('iss')
      const done = await agent.post(`${site.url}/callback?${planted}`, [...fields, ...planted], {
        from: provider.issuer,
      })
      assert.equal(done.status, 200, done.text)
      const out = await agent.open(`${site.url}/logout?${planted}`, { redirect: 'manual' })
      assert.equal(new URL(out.hops[0]?.location ?? '').origin, new URL(provider.issuer).origin)
      assert.ok(!out.hops[0]?.location?.includes(encodeURIComponent(evil.url)), out.hops[0]?.location)
    },
  )

  attack(
    'a site below a path keeps its redirect_uri, its routes and its cookies there, whatever it is mounted on',
    {
      site: {
        before: app => {
          app.use((req, _res, next) => {
            req.url = req.url.replace(/^\/shop\b/, '') || '/'
            next()
          })
        },
      },
    },
    async ({ site, provider }) => {
      // A proxy that strips `/shop` is the rewriting above: the browser and `baseUrl` know the path, the routes do not.
      const { openIdConnect } = await import('../../lib/index.js')
      const { startLoopbackServer } = await import('../support/loopback-server.js')
      const app = express5()
      const server = await startLoopbackServer(app as RequestHandler as Parameters<typeof startLoopbackServer>[0])
      const url = `http://localhost:${server.port}`
      const { issuer, clientId, clientSecret } = provider
      const oidc = openIdConnect({
        issuer,
        clientId,
        clientSecret,
        baseUrl: `${url}/shop`,
        secret: 'a-secret-for-one-test-only-0123456789',
        log: () => {},
      })
      const shop = Router()
      shop.use(oidc)
      shop.get('/cart', requiresAuth(), (req, res) => void res.json(req.oidc.user))
      app.use('/shop', shop)
      try {
        const agent = createAgent()
        const page = await agent.visit(`${url}/shop/cart?x=1`)
        assert.equal(page.url, `${url}/shop/cart?x=1`)
        assert.equal(provider.requestsTo('authorize').at(-1)?.query.redirect_uri, `${url}/shop/callback`)
        assert.ok(
          agent.cookies(url).every(({ path, hostOnly }) => path === '/' && hostOnly),
          'a cookie of another path or of a domain',
        )
        const out = await agent.open(`${url}/shop/logout?local=1`, { redirect: 'manual' })
        assert.equal(out.hops[0]?.location, `${url}/shop/`)
        const failed = await agent.open(`${url}/shop/callback?state=x`)
        assert.match(failed.text, /<a href="\/shop\/login\?returnTo=/)
      } finally {
        await server.stop()
        await oidc.close()
      }
      assert.equal(site.errors.length, 0)
    },
  )
})

describe('what is protected', () => {
  const routes = (app: Express) => {
    app.get('/public', (_req, res) => void res.send('public'))
    const secretPages = Router()
    secretPages.get('/', (_req, res) => void res.send('TOP-SECRET'))
    secretPages.get('/page', (_req, res) => void res.send('TOP-SECRET'))
    app.use('/private', requiresAuth(), secretPages)
  }

  attack(
    'CVE-2026-40575 CVE-2025-54576 CVE-2026-41059 CVE-2026-34457 CVE-2026-33494 GHSA-w9mr-28mw-j8hg CVE-2026-22753 CVE-2026-22754 CVE-2026-76835 CVE-2026-48794: no header, query, fragment or spelling of a path or a host gives access to a protected page',
    { site: { routes } },
    async ({ site }) => {
      const { host } = new URL(site.url)
      const paths = [
        '/private',
        '/private/',
        '/private/page',
        '/private?x=/public',
        '/private?/public',
        '/private#/public',
        '/private%23/public',
        '/private;a=b',
        '/private/;/page',
        '/public/..%2fprivate',
        '/public/../private',
        '/public/%2e%2e/private',
        '/PRIVATE',
        '/Private/Page',
        '//private',
        '///private',
        '/./private',
        '/private/.',
        '/private/./page',
        '/private//page',
        '/%70rivate',
        '/%70%72ivate/page',
        '/private%2fpage',
        '/private.',
        '/private%20',
        '/private%00',
        '/private%0a',
        '/private\\page',
        '/x/../private/page',
        `http://${host}/private`,
        `http://evil.example/private`,
        '/private/page?__proto__[x]=1',
        '/private/page/',
        '/private/%2e/page',
        '/privat%65',
      ]
      for (const path of paths) {
        const reply = await sendRaw(site.url, [`GET ${path} HTTP/1.1`, `Host: ${host}`])
        assert.ok([400, 401, 404].includes(reply.status), `${path}: ${reply.status}`)
        assert.ok(!reply.body.includes('TOP-SECRET'), path)
      }
      const [name = '', port] = host.split(':')
      for (const other of [
        `${name.toUpperCase()}:${port}`,
        `${name}.:${port}`,
        'a.B.example.com',
        'A.b.EXAMPLE.com.',
        `[::1]:${port}`,
        `public.example:${port}`,
      ]) {
        const reply = await sendRaw(site.url, ['GET /private/page HTTP/1.1', `Host: ${other}`])
        assert.ok([400, 401].includes(reply.status), `${other}: ${reply.status}`)
        assert.ok(!reply.body.includes('TOP-SECRET'), other)
      }
      for (const header of [
        'X-Original-URL: /public',
        'X-Rewrite-URL: /public',
        'X-Forwarded-Uri: /public',
        'X-Forwarded-Uri: /public?x=/private/page',
        'X-Forwarded-Path: /public',
        'X-Forwarded-Prefix: /public',
        'X-Original-Uri: /public',
        'X-Envoy-Original-Path: /public',
        'X-Replaced-Path: /public',
        'Forwarded: for=127.0.0.1;host=public.example;proto=https',
        'X-Forwarded-Host: public.example',
        'X-HTTP-Method-Override: OPTIONS',
        'X-Auth-Request-Redirect: /public',
        'User-Agent: GoogleHC/1.0',
        'User-Agent: kube-probe/1.28',
        'User-Agent: ELB-HealthChecker/2.0',
        'Connection: close, cookie, x-user',
        'Connection: cookie',
        'Transfer-Encoding: chunked',
        'Upgrade: websocket',
        'Purpose: prefetch',
        'X-Forwarded-Access-Token: x',
        'Authorization: Bearer x',
        'Authorization: Basic Og==',
        'Cookie: sid=',
        'Cookie: sid=null',
        'Cookie: sid=undefined.undefined',
        'Accept: */*',
        'Expect: x',
        'Range: bytes=0-10',
        'If-None-Match: *',
      ]) {
        const reply = await sendRaw(
          site.url,
          [`GET /private/page HTTP/1.1`, `Host: ${host}`, header],
          header.startsWith('Transfer') ? '0\r\n\r\n' : '',
        )
        assert.ok([400, 401, 417].includes(reply.status), `${header}: ${reply.status}`)
        assert.ok(!reply.body.includes('TOP-SECRET'), header)
      }
    },
  )

  attack(
    'a request that two servers would read differently is refused, and bytes after it are not treated as a request',
    { site: { routes } },
    async ({ site }) => {
      const host = `Host: ${new URL(site.url).host}`
      const hidden = `GET /private/page HTTP/1.1\r\n${host}\r\n\r\n`
      for (const framing of [
        ['Content-Length: 4', 'Transfer-Encoding: chunked'],
        ['Content-Length: 4', 'Content-Length: 5'],
        ['Content-Length: 4, 5'],
        ['Content-Length: +4'],
        ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'],
        ['Transfer-Encoding : chunked'],
        ['Transfer-Encoding: xchunked', 'Content-Length: 4'],
        ['X: y\n\nGET /private/page HTTP/1.1'],
      ]) {
        for (const path of ['/public', '/callback', '/private/page']) {
          const reply = await sendRaw(site.url, [`POST ${path} HTTP/1.1`, host, ...framing], `0\r\n\r\n${hidden}`)
          assert.equal(reply.status, 400, `${path} ${framing.join()}`)
          assert.ok(!(reply.head + reply.body).includes('TOP-SECRET'), framing.join())
          assert.equal((reply.head + reply.body).match(/HTTP\/1\.1 /g)?.length, 1, 'one response')
        }
      }
    },
  )

  attack(
    'CVE-2025-31492 GHSA-59jp-rwph-878r: a user who is signed out gets no byte of a protected page, whatever the method',
    { site: { routes: app => app.all('/any', requiresAuth(), (_req, res) => void res.send('TOP-SECRET')) } },
    async ({ site, provider }) => {
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY']) {
        for (const headers of [{}, html, { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }]) {
          const response = await send({ url: `${site.url}/any`, method, headers: { ...headers } })
          // A submitted form gets a page that leads to the provider.
          const isForm = method === 'POST' && 'sec-fetch-mode' in headers
          assert.ok((isForm ? [200] : [303, 401]).includes(response.status), `${method}: ${response.status}`)
          assert.ok(!response.text.includes('TOP-SECRET'), method)
          if (isForm) {
            const target = /<meta http-equiv="refresh" content="0; ?url=([^"]+)"/i.exec(response.text)?.[1] ?? ''
            assert.equal(new URL(target.replaceAll('&amp;', '&')).origin, new URL(provider.issuer).origin)
          }
          if (response.status === 303) {
            assert.equal(response.text, '')
            assert.equal(new URL(response.headers.location ?? '').origin, new URL(provider.issuer).origin)
          }
        }
      }
    },
  )

  attack(
    'CVE-2017-6062 CVE-2017-6413 CVE-2025-64484: request headers that name a user do not sign that user in',
    {},
    async ({ site }) => {
      for (const name of [
        'x-forwarded-user',
        'x_forwarded_user',
        'x-remote-user',
        'remote-user',
        'oidc_claim_sub',
        'oidc-claim-sub',
        'x-auth-request-user',
        'x-user',
        'x-forwarded-email',
        'x-ms-client-principal',
        'x-oidc',
        'oidc',
        'user',
        'authorization',
      ]) {
        const agent = createAgent()
        const page = await agent.fetch(`${site.url}/user`, { headers: { [name]: 'alice-0001' } })
        assert.deepEqual(page.json(), { isAuthenticated: false, user: null }, name)
        const claims = await agent.fetch(`${site.url}/claims`, { headers: { [name]: 'alice-0001' } })
        assert.equal(claims.status, 401, name)
      }
    },
  )

  attack(
    'a raw request, such as a WebSocket upgrade, without a good cookie has no user',
    {},
    async ({ site, victim }) => {
      const { IncomingMessage } = await import('node:http')
      const { Socket } = await import('node:net')
      const userOf = async (cookie: string | undefined) => {
        const request = new IncomingMessage(new Socket())
        Object.assign(request.headers, { upgrade: 'websocket', connection: 'upgrade', ...(cookie && { cookie }) })
        return (await site.oidc.authenticate(request))?.sub
      }
      const good = cookieHeader({ site }, victim)
      assert.equal(await userOf(good), 'alice-0001')
      const sid = /sid=([^;]*)/.exec(good)?.[1] ?? ''
      for (const cookie of [
        undefined,
        '',
        'sid=',
        `sid=${sid.slice(0, -2)}`,
        `sid=${sid.split('.')[0]}`,
        `SID=${sid}`,
        `s%69d=${sid}`,
        `x=sid=${sid}`,
      ]) {
        assert.equal(await userOf(cookie), undefined, cookie)
      }
      assert.equal(await whoIs({ site }, victim), 'alice-0001')
    },
  )
})
