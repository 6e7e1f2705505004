import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { RequestHandler } from 'express'
import { OidcError } from '../../lib/index.js'
import { createAgent, type Page } from '../support/agent.js'
import { withFixture } from '../support/handler-fixture.js'
import { deny, type Faults } from '../support/hostile-provider.js'
import { send } from '../support/http-client.js'
import { beginLogout } from '../support/logout-cookie.js'
import { startRedis } from '../support/redis.js'
import { checkNoSecrets, findSecrets, keepSecret, knownSecrets } from '../support/secrets.js'
import { type AttackFixture, attack, cookieHeader, sendRaw, startAttempt, whoIs } from './fixture.js'

const paths = [
  '/login',
  '/callback',
  '/logout',
  '/logout/callback',
  '/logout/frontchannel',
  '/logout/backchannel',
  '/claims',
  '/session-frame',
]
const names = [
  ...[
    'state',
    'code',
    'id_token',
    'access_token',
    'error',
    'error_description',
    'error_uri',
    'iss',
    'sid',
    'logout_token',
  ],
  ...[
    'post_logout_redirect_uri',
    'id_token_hint',
    'ui_locales',
    'local',
    'login_hint',
    'redirect_uri',
    'poll',
    'cmd',
    'x',
  ],
]
const html = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
const formType = 'application/x-www-form-urlencoded'
const bare = { oidc: { routes: { checkSession: '/session-frame' } }, site: { handlesErrors: false } } as const

describe('what comes in does not come out', () => {
  attack(
    'CVE-2017-6059 CVE-2022-24905 CVE-2021-32702 CVE-2026-33758 CVE-2019-1010247: no text of a request stands in a page, a header or an address of ours',
    { ...bare, allows: [502, 503] },
    fixture => sendEverywhere(fixture, 'MARKER_1'),
  )

  attack(
    'neither does markup, a script, a quote, a charset trick or a colour code for the terminal',
    { ...bare, allows: [502, 503] },
    fixture => sendEverywhere(fixture, `MARKER"><svg onload=alert(1)>'-alert(1)-'\u001b[31m+ADw-script+AD4-{{7*7}}`),
  )

  attack('nor a line break that would split a header', { ...bare, allows: [502, 503] }, fixture =>
    sendEverywhere(fixture, 'MARKER\r\nSet-Cookie: evil=1\r\n\r\n<html>MARKER'),
  )

  attack(
    'the text of a provider about a failure is on no page, and is logged in short lines of harmless characters: a megabyte, markup, colours',
    { ...bare, allows: [502, 503] },
    async ({ site, provider }) => {
      const text = `MARKER<script>alert(1)</script>\u001b[31m\r\nSet-Cookie: x=y`
      const faults = [
        { response: deny('access_denied', { error_description: text, error_uri: `https://evil.example/${text}` }) },
        { response: deny(text) },
        { response: deny('x'.repeat(90_000)) },
        { token: { status: 400, body: { error: 'invalid_grant', error_description: text } } },
        { token: { status: 400, body: { error: text, error_description: text } } },
        { token: { status: 500, body: text } },
        { token: { body: 'x'.repeat(1_200_000), contentType: 'text/html' } },
        {
          userinfo: {
            status: 403,
            body: { error: text },
            headers: { 'www-authenticate': `Bearer error_description="MARKER"` },
          },
        },
        { frontIdToken: { header: (header: object) => ({ ...header, kid: text, typ: text }) } },
        { frontIdToken: (claims: object) => ({ ...claims, iss: text }) },
        { frontIdToken: (claims: object) => ({ ...claims, aud: [text] }) },
        { frontIdToken: { token: () => text } },
      ]
      for (const fault of faults) {
        provider.break(fault)
        const page = await createAgent().visit(`${site.url}/claims`)
        provider.heal()
        assert.ok(page.status >= 400, `status ${page.status}`)
        assertClean(page.text + JSON.stringify(page.headers), JSON.stringify(fault).slice(0, 60))
        assert.match(page.text, /<small>If you report this, please give the number [\w-]{36}\.<\/small>/)
      }
      const log = site.log.join('\n')
      assert.ok(!/[<>]/.test(log.replaceAll(/\(\{.*\}\)/g, '')), log)
      assert.match(log, /refused a sign-in: access_denied "MARKER‹script›/)
      assert.match(log, /\(authorization_code\): 400 invalid_grant "MARKER‹script›/)
      assert.match(log, /userinfo: 403 MARKER script alert/)
      assert.ok(!log.includes('\u001b'), 'a colour code in the log')
      assert.ok(
        site.log.every(line => line.length < 2000 && !/[\r\n]/.test(line)),
        'one short line each',
      )
    },
  )

  attack(
    'CVE-2024-43796: our redirects have no body, and their address is made of characters an address may have',
    {},
    async ({ site }) => {
      for (const path of [
        '/x"><script>alert(1)</script>',
        "/x'onclick=alert(1)",
        '/x y',
        '/ü',
        '/x<b>',
        '/x`',
        '/{{x}}',
      ]) {
        const query = `returnTo=${encodeURIComponent(path)}`
        for (const url of [`/login?${query}`, `/logout?${query}&local=1`]) {
          const headers = { ...html, 'sec-fetch-site': 'same-origin' }
          const response = await send({ url: site.url + url, headers })
          assert.equal(response.status, 303)
          assert.equal(response.text, '')
          assert.equal(response.headers['content-type'], undefined)
          assert.equal(response.headers['x-content-type-options'], 'nosniff')
          assert.match(response.headers.location ?? '', /^[\w\-./:?&=%~+,;@!$()*'[\]#{}`]*$/, path)
          assert.doesNotMatch(response.headers.location ?? '', /[<>"\s]/)
        }
      }
    },
  )

  attack(
    'CVE-2021-32792: a form that is posted to a protected page without a session is neither stored nor shown again',
    {
      site: { routes: app => app.post('/buy', (req, _res, next) => void req.oidc.login().catch(next)) },
    },
    async ({ site, agent, provider }) => {
      const body = 'comment=MARKER"><script>alert(1)</script>&card=4111111111111111'
      for (const path of ['/claims', '/buy']) {
        const page = await agent.post(site.url + path, body, { from: `${site.url}/form`, redirect: 'manual' })
        assert.ok(page.leadsTo || page.status === 401 || page.status === 404, `${path}: ${page.status}`)
        if (page.status === 404) continue // there is no POST route
        assertClean(page.text + JSON.stringify(page.headers), path)
        assert.ok(!JSON.stringify(provider.requests).includes('MARKER'), 'the provider got the form')
      }
    },
  )
})

/** Mounted before there is a middleware to inspect. */
let inspector: RequestHandler = (_req, _res, next) => next()

describe('the inspector', () => {
  attack(
    'the inspector shows everything from a provider or a browser as text: claims, names of fields and members, errors, URLs',
    {
      site: { routes: app => void app.get('/how', (req, res, next) => inspector(req, res, next)) },
      allows: [502, 503],
    },
    async ({ site, provider }) => {
      inspector = site.oidc.inspector()
      const markup = `"'></text></svg><script>alert(1)</script><img src=x onerror=alert(1)>`
      const faults: Faults[] = [
        { response: fields => [...fields, [markup, markup]] },
        { response: deny(markup, { error_description: markup, error_uri: markup }) },
        { tokenResponse: body => ({ ...body, [markup]: markup, scope: markup.slice(0, 5) }) },
        {
          token: {
            status: 400,
            body: { error: markup, [markup]: markup },
            contentType: 'application/json;x="<img src=x>"',
          },
        },
        { userInfoClaims: claims => ({ ...claims, [markup]: markup }) },
        { frontIdToken: claims => ({ ...claims, iss: markup }) },
        { frontIdToken: claims => ({ ...claims, aud: [markup] }) },
        { frontIdToken: { header: header => ({ ...header, alg: markup, kid: markup, typ: markup }) } },
        { backIdToken: claims => ({ ...claims, azp: markup, aud: ['client', markup] }) },
      ]
      for (const fault of faults) {
        provider.heal()
        provider.break(fault)
        const agent = createAgent()
        await agent.visit(`${site.url}/login?returnTo=${encodeURIComponent(`/user?x=${markup}`)}`)
        const { status, text } = await agent.open(`${site.url}/how?show=${encodeURIComponent(markup)}`)
        assert.equal(status, 200)
        assert.match(text, /What was checked/)
        assert.doesNotMatch(text, /<script|<img|[^&;]"'>/, JSON.stringify(fault))
      }
      provider.heal()
    },
  )
})

describe('what no parser may choke on', () => {
  attack(
    'CVE-2021-20718 CVE-2023-28625 CVE-2025-3891 CVE-2026-73418 CVE-2024-24814: broken cookies, queries, bodies and counts of any size are refused or ignored',
    { oidc: { routes: { checkSession: '/session-frame' } } },
    async ({ site }) => {
      const host = `Host: ${new URL(site.url).host}`
      const { name: logoutCookie } = await beginLogout(site.url)
      const cookies = [
        ...[
          '',
          ';',
          ';;;',
          '=',
          '==',
          'sid',
          'sid=',
          '=sid',
          ';=;',
          'sid=%',
          'sid=%zz',
          'sid=%c0%af',
          'sid=%00',
          'sid="',
          'sid="x"',
          'sid=\u00ff\u00fe',
        ],
        ...[
          'sid=99999999999999999999',
          'sid_chunks=4294967295',
          'sid.0=a; sid.1=b; sid.4294967295=c',
          `sid=${'9'.repeat(4000)}`,
          '__Host-oidc.=x',
        ],
        ...[
          '__proto__=x',
          'constructor=x; toString=y',
          `${'a=b; '.repeat(800)}c=d`,
          'sid=a; sid=b; sid=c',
          `${logoutCookie}=%`,
          `${logoutCookie}=x`,
          `${logoutCookie}=`,
          `${logoutCookie}=AAAA; ${logoutCookie}=BBBB`,
          `__Host-${logoutCookie}=x`,
        ],
      ]
      for (const cookie of cookies) {
        for (const path of ['/user', '/claims', '/login', '/logout/callback?state=x', '/logout?local=1']) {
          const reply = await sendRaw(site.url, [`GET ${path} HTTP/1.1`, host, `Cookie: ${cookie}`])
          assert.ok(reply.status > 0 && reply.status < 500, `${cookie.slice(0, 30)} ${path}: ${reply.status}`)
          if (path === '/user') assert.match(reply.body, /"isAuthenticated":false/)
        }
      }
      const queries = [
        '?',
        '?&',
        '?&&',
        '?=&=',
        '?%',
        '?%zz',
        '?%c0%af',
        '?a[][][]=1',
        '?__proto__[x]=1',
        '?constructor[prototype][x]=1',
        `?${'a=&'.repeat(3000)}`,
      ]
      for (const query of queries) {
        for (const path of paths) {
          for (const method of ['GET', 'POST', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']) {
            const reply = await sendRaw(site.url, [`${method} ${path}${query} HTTP/1.1`, host])
            assert.ok(reply.status > 0 && reply.status < 500, `${method} ${path}${query.slice(0, 20)}: ${reply.status}`)
          }
        }
      }
      for (const lines of [
        ['Content-Length: 0'],
        ['Content-Type: '],
        [`Content-Type: ${formType}`],
        [`Content-Type: ${formType}`, 'Content-Length: 0'],
        [`Content-Type: ${formType}; charset=%%`, 'Content-Length: 1'],
        [`Content-Type: ${formType}`, 'Content-Encoding: br', 'Content-Length: 1'],
        ['Content-Type: multipart/form-data', 'Content-Length: 1'],
      ]) {
        for (const path of paths) {
          const reply = await sendRaw(site.url, [`POST ${path} HTTP/1.1`, host, ...lines], 'x')
          assert.ok(reply.status > 0 && reply.status < 500, `${path} ${lines}: ${reply.status}`)
        }
      }
      assert.equal(({} as Record<string, unknown>).x, undefined)
    },
  )

  attack(
    'CVE-2024-45590 CVE-2025-13466 CVE-2022-24999 CVE-2025-15284: a hundred thousand fields, nested fields and a body without end are refused before they cost anything',
    {},
    async ({ site }) => {
      for (const [what, body, status] of [
        ['100 000 fields', 'a=&'.repeat(100_000), 413],
        ['30 000 empty fields', '&'.repeat(30_000), 413],
        ['nested fields', `a${'[a]'.repeat(5000)}=1`, 400],
        ['lists', `a${'[]'.repeat(5000)}=1`, 400],
        ['__proto__', '__proto__[x]=1&constructor[prototype][x]=1&state=x', 400],
        ['a megabyte', `state=${'x'.repeat(1_000_000)}`, 413],
        ['percent signs', `state=${'%'.repeat(100_000)}`, 400],
      ] as const) {
        for (const path of ['/callback', '/logout/backchannel']) {
          const headers = { 'content-type': formType }
          const response = await send({ url: site.url + path, method: 'POST', headers, body }).catch(() => undefined)
          // A server may also close the connection on a body it has refused.
          if (response)
            assert.ok(response.status === status || response.status === 400, `${what} ${path}: ${response.status}`)
        }
      }
      assert.equal(({} as Record<string, unknown>).x, undefined)
    },
  )
})

describe('headers of our responses', () => {
  attack(
    'CVE-2025-48947: no cache stores a response that sets or deletes a cookie, or any response of our routes',
    { ...bare, allows: [502] },
    async ({ site, agent }) => {
      const pages: Page[] = []
      for (const path of [
        '/login',
        '/callback',
        '/logout/callback',
        '/logout?local=1',
        '/logout/frontchannel',
        '/claims',
        '/session-frame',
      ]) {
        pages.push(await createAgent().open(site.url + path, { redirect: 'manual' }))
      }
      pages.push(await agent.fetch(`${site.url}/session?a=1`, { method: 'POST' }))
      pages.push(await agent.visit(`${site.url}/claims`))
      pages.push(await agent.post(`${site.url}/logout/backchannel`, 'logout_token=x'))
      pages.push(await agent.post(`${site.url}/logout`, '', { from: `${site.url}/`, redirect: 'manual' }))
      for (const hop of pages.flatMap(page => page.hops).filter(({ url }) => url.startsWith(site.url))) {
        const isOurs = paths.slice(0, 6).includes(new URL(hop.url).pathname)
        if (!isOurs && hop.setCookies.length === 0) continue
        assert.equal(hop.headers['cache-control'], 'no-store', `${hop.status} ${hop.url}`)
        if (isOurs) assert.equal(hop.headers.etag, undefined, hop.url)
        if (isOurs) assert.equal(hop.headers['x-content-type-options'], 'nosniff', hop.url)
      }
      // A page that only says who is signed in may be kept, but for that browser only.
      const user = await agent.open(`${site.url}/user`)
      assert.match(user.headers.vary ?? '', /Cookie/)
    },
  )

  attack('our pages run no script, cannot be framed, send no referrer and load nothing', bare, async ({ site }) => {
    const crossSite = { from: 'http://evil.example/' }
    const pages = [
      await createAgent().open(`${site.url}/callback`),
      await createAgent().post(`${site.url}/callback`, 'state=x&code=y', crossSite),
      await createAgent().click(`${site.url}/logout`, crossSite),
      await createAgent().open(`${site.url}/logout/callback`),
    ]
    for (const { headers, text, url } of pages) {
      const policy = `${headers['content-security-policy']}`
      assert.match(policy, /^default-src 'none'; /, url)
      assert.match(policy, /frame-ancestors 'none'/)
      assert.match(policy, /base-uri 'none'/)
      assert.match(policy, /form-action /)
      assert.doesNotMatch(policy, /unsafe|\*|script-src/)
      assert.equal(headers['x-frame-options'], 'DENY')
      assert.ok(
        ['no-referrer', 'same-origin'].includes(`${headers['referrer-policy']}`),
        `${headers['referrer-policy']}`,
      )
      assert.equal(headers['content-type'], 'text/html; charset=utf-8')
      assert.doesNotMatch(text, /<script|<img|<link|http:|https:/)
    }
  })

  attack(
    'a call of a script, of a program or of another site gets 401, without a redirect and without a cookie of an attempt',
    bare,
    async ({ site }) => {
      for (const headers of [
        { accept: 'application/json' },
        { accept: '*/*' },
        { accept: 'text/html', 'x-requested-with': 'XMLHttpRequest' },
        { accept: 'text/html', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' },
        { accept: 'text/html', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' },
        { accept: 'text/html', 'sec-purpose': 'prefetch' },
        { accept: 'text/event-stream' },
        { upgrade: 'websocket', connection: 'upgrade' },
      ]) {
        const response = await send({ url: `${site.url}/claims`, headers: headers as Record<string, string> })
        assert.equal(response.status, 401, JSON.stringify(headers))
        assert.deepEqual(response.setCookies, [])
        assert.equal(response.headers.location, undefined)
        assert.match(`${response.headers['www-authenticate']}`, /^OpenIdConnect login_url="\/login\?returnTo=[\w%]*"$/)
      }
    },
  )
})

describe('secrets', () => {
  test('CVE-2021-29651 CVE-2024-39315: no token, code, verifier or session id stands in an address or a body of ours, but for what belongs there', () =>
    withFixture({ oidc: { scope: 'openid profile email offline_access' } }, async fixture => {
      const { site, agent, provider } = fixture
      const pages = [
        await agent.visit(`${site.url}/claims`),
        await agent.open(`${site.url}/user`),
        await agent.open(`${site.url}/session`),
      ]
      const verifier = provider.requestsTo('token')[0]?.form.code_verifier ?? ''
      keepSecret('code verifier', verifier)
      keepSecret('session cookie', agent.cookies(site.url).find(({ name }) => name === 'sid')?.value ?? '')
      pages.push(await agent.open(`${site.url}/logout`, { redirect: 'manual' }))
      for (const { text, url } of pages) checkNoSecrets(text, `the body of ${url}`)
      for (const hop of pages.flatMap(page => page.hops)) {
        const address = new URL(hop.location ?? hop.url)
        // The one place for an ID Token in an address is the hint for the provider itself; state and nonce have to go there.
        const isOfProvider = address.origin === new URL(provider.issuer).origin
        for (const name of isOfProvider ? ['id_token_hint', 'state', 'nonce'] : []) address.searchParams.delete(name)
        checkNoSecrets(address.href, 'an address')
      }
      assert.equal(new URL(pages.at(-1)?.hops[0]?.location ?? '').origin, new URL(provider.issuer).origin)
      for (const request of provider.requests)
        checkNoSecrets(request.search.replaceAll(/(id_token_hint|state|nonce)=[^&]*/g, ''), request.path)
    })())

  test('CVE-2022-31186 GHSA-prh4-vhfh-24mj: whatever fails, no line of the log and no error passed to the site contains a secret', async () => {
    const faults = [
      { token: { status: 500, body: { error: 'x' } } },
      { token: { cut: 'after' } },
      { token: { redirect: 'http://127.0.0.1:9/' } },
      { token: { body: '{"access_token":"' } },
      { userinfo: { status: 500 } },
      { userinfo: { cut: 'middle' } },
      { frontIdToken: { key: 'foreign' } },
      { frontIdToken: { alg: 'none' } },
      { backIdToken: { token: (token: string) => `${token}x` } },
      { tokenResponse: (body: object) => ({ ...body, token_type: 'mac' }) },
      { tokenResponse: (body: { access_token?: unknown }) => ({ ...body, access_token: `${body.access_token}\n` }) },
      { userInfoClaims: () => ({ sub: 'bob' }) },
      { response: deny('server_error') },
    ] as const
    for (const handlesErrors of [true, false]) {
      await withFixture(
        { site: { handlesErrors }, oidc: { timeouts: { provider: 2000 } } },
        async ({ site, provider }) => {
          for (const fault of faults) {
            provider.break(fault)
            const agent = createAgent()
            const page = await agent.visit(`${site.url}/claims`)
            assert.ok(page.status >= 400, JSON.stringify(fault))
            keepSecret('attempt cookie', cookieHeader({ site }, agent) || 'no cookie was set at all')
            provider.heal()
            checkNoSecrets(page.text, 'the page')
          }
          for (const error of site.errors) {
            assert.ok(error instanceof OidcError, String(error))
            assert.ok(error.status >= 400, `status ${error.status}`)
            assert.deepEqual(leaksOf(error), [], error.code)
          }
          checkNoSecrets(site.log.join('\n'), 'the log')
        },
      )()
    }
  })

  test('failures of Redis do not put a password, a key or a value into the log', async () => {
    const password = keepSecret('redis password', 'p4ssw0rd-of-the-redis-of-this-test')
    const redis = await startRedis({ args: ['--requirepass', password] })
    try {
      await withFixture(
        { oidc: { redis: redis.url.replace('redis://', `redis://:${password}x@`) }, site: { handlesErrors: false } },
        async ({ site, agent }) => {
          const page = await agent.visit(`${site.url}/claims`)
          assert.equal(page.status, 503)
          const said = site.log.join('\n') + page.text + JSON.stringify(await site.oidc.health())
          assert.ok(!said.includes('p4ssw0rd'), 'the password')
        },
      )()
    } finally {
      await redis.stop()
    }
  })
})

describe('people who go away', () => {
  attack(
    'a client that disconnects at any step of the callback leaves no session without a user, and no unhandled rejection',
    {},
    async ({ site, provider }) => {
      const before = await site.oidc.sessions.list({ sub: 'alice-0001' })
      for (const at of ['token', 'userinfo'] as const) {
        const agent = createAgent()
        const fields = await startAttempt({ site }, agent)
        const controller = new AbortController()
        provider.break({ [at]: { delay: 1, until: () => hangUp(controller) } })
        await agent
          .post(`${site.url}/callback`, fields, {
            from: provider.issuer,
            signal: controller.signal,
            redirect: 'manual',
          })
          .catch(() => undefined)
        provider.heal()
        assert.equal(await whoIs({ site }, agent), undefined, at)
        await new Promise(resolve => setTimeout(resolve, 200))
        assert.deepEqual(await site.oidc.sessions.list({ sub: 'alice-0001' }), before, at)
      }
    },
  )
})

function assertClean(text: string, where: string): void {
  const at = text.search(/MARKER|evil=1/i)
  assert.equal(at, -1, `${where}: …${text.slice(Math.max(0, at - 60), at + 60)}`)
}

/** Everything an error handler might print. */
function leaksOf(error: Error): readonly unknown[] {
  const seen: string[] = []
  for (let current: unknown = error; current instanceof Error; current = current.cause) {
    seen.push(`${current.stack}`, JSON.stringify({ ...current }), JSON.stringify(current.cause ?? null))
  }
  return findSecrets(seen.join('\n'), knownSecrets())
}

/** Long enough for the site to notice that the client has disconnected. */
async function hangUp(controller: AbortController): Promise<void> {
  controller.abort()
  await new Promise(resolve => setTimeout(resolve, 100))
}

/** In every parameter of every route, in one request and one by one, in the address and in the body, with markers in the headers too. */
async function sendEverywhere({ site }: Pick<AttackFixture, 'site'>, payload: string): Promise<void> {
  const elsewhere = new URLSearchParams({ returnTo: `//evil.example/${payload}` }).toString()
  const all = new URLSearchParams(names.map((parameter): [string, string] => [parameter, payload])).toString()
  const each = [elsewhere, ...names.map(parameter => new URLSearchParams({ [parameter]: payload }).toString())]
  const { name: logoutCookie } = await beginLogout(site.url)
  const headers = {
    ...html,
    cookie: `sid=MARKER; x=MARKER; ${logoutCookie}=MARKER; __Host-oidc.x.y=MARKER`,
    referer: 'http://evil.example/MARKER',
    origin: 'http://MARKER.example',
    'user-agent': 'MARKER',
    'x-request-id': 'MARKER',
    'accept-language': 'MARKER',
    'x-forwarded-host': 'MARKER.example',
  }
  for (const path of [...paths, `/MARKER`, `/login/MARKER`]) {
    for (const query of [all, ...each]) {
      for (const [method, kind] of [
        ['GET', html],
        ['GET', { ...html, 'sec-fetch-site': 'cross-site' }],
        ['GET', { accept: '*/*' }],
        ['POST', html],
        ['HEAD', html],
      ] as const) {
        // The 404 page is Express's own.
        if (path.includes('MARKER') && !query.startsWith('returnTo')) continue
        const isPost = method === 'POST'
        const response = await send({
          url: `${site.url}${path}${isPost ? '' : `?${query}`}`,
          method,
          headers: { ...headers, ...kind, ...(isPost && { 'content-type': formType }) },
          ...(isPost && { body: query }),
        })
        if (response.status === 404) continue
        const where = `${method} ${path}?${query.slice(0, 40)}`
        assertClean(response.text, where)
        assertClean(JSON.stringify(response.headers), where)
      }
    }
  }
  assert.ok(
    !site.log.join('\n').includes('MARKER'),
    site.log.find(line => line.includes('MARKER')),
  )
}
