import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { inflateRawSync, inflateSync } from 'node:zlib'
import { OidcError, type OidcOptions, openIdConnect } from '../../lib/index.js'
import { createSealer } from '../../lib/store/seal.js'
import { createAgent } from '../support/agent.js'
import { openFixture, withFixture } from '../support/handler-fixture.js'
import { startHostileProvider } from '../support/hostile-provider.js'
import { send } from '../support/http-client.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { knownSecrets, secret } from '../support/secrets.js'
import { startSite } from '../support/site.js'
import { attack, cookieHeader, startAttempt, whoIs } from './fixture.js'

declare module 'express-session' {
  interface SessionData {
    basket: string
    csrf: string
  }
}

async function withRedis(run: (redis: RedisServer) => Promise<void>): Promise<void> {
  const redis = await startRedis()
  try {
    await run(redis)
  } finally {
    await redis.stop()
  }
}

/** Who a cookie alone belongs to, wherever it was copied to. */
async function ownerOf(siteUrl: string, cookie: string): Promise<string | undefined> {
  const { status, text } = await send({ url: `${siteUrl}/user`, headers: { cookie } })
  assert.equal(status, 200, text)
  return (JSON.parse(text) as { user: { sub: string } | null }).user?.sub
}

describe('a session before and after a sign-in', () => {
  attack(
    'CVE-2021-41246 CVE-2022-25896 CVE-2023-29019 CVE-2023-24424 CVE-2024-52553 CVE-2024-28197: a sign-in never keeps the session id of the request, and that id is of no use afterwards',
    {},
    async ({ site }) => {
      const attacker = createAgent()
      await attacker.fetch(`${site.url}/session?cart=planted`, { method: 'POST', from: `${site.url}/` })
      const planted = cookieHeader({ site }, attacker)
      const signedIn = createAgent()
      await signedIn.visit(`${site.url}/claims`)
      for (const cookie of [
        planted,
        cookieHeader({ site }, signedIn),
        'sid=x',
        `sid=${'x'.repeat(43)}.${'y'.repeat(43)}`,
      ]) {
        const person = createAgent()
        for (const pair of cookie.split('; ')) {
          if (!pair.startsWith('__Host-'))
            person.jar.set(site.url, `${pair}; Path=/`, { method: 'GET', isTopLevel: true, initiator: undefined })
        }
        await person.visit(`${site.url}/login?returnTo=/claims`)
        assert.equal(await whoIs({ site }, person), 'alice-0001')
        const sid = person.cookies(site.url).find(({ name }) => name === 'sid')?.value
        assert.ok(!cookie.includes(sid ?? 'none'), 'a new id')
        assert.equal(await ownerOf(site.url, cookie), undefined, 'the old cookie has no user')
        const { text } = await send({ url: `${site.url}/session`, headers: { cookie } })
        assert.deepEqual(JSON.parse(text), {}, 'and holds nothing')
      }
    },
  )

  attack(
    'CVE-2023-29020: of an anonymous session only what the site names survives a sign-in: no CSRF token, no flash message',
    { oidc: { session: { keep: ['cart'] } } },
    async ({ site, agent }) => {
      await agent.open(`${site.url}/`)
      await agent.fetch(`${site.url}/session?cart=apples&csrf=known&isAdmin=1`, { method: 'POST' })
      await agent.visit(`${site.url}/login?returnTo=/session`)
      assert.deepEqual((await agent.open(`${site.url}/session`)).json(), { cart: 'apples' })
    },
  )

  test('CVE-2024-31999 CVE-2023-20862: a copied cookie has no session on any node once its user has signed out', () =>
    withRedis(redis =>
      withFixture(
        { oidc: { redis: redis.url, secret: 'a shared secret of two sites, 0123456789' } },
        async ({ site, agent, provider }) => {
          const { issuer, clientId, clientSecret } = provider
          const other = await startSite({
            oidc: {
              issuer,
              clientId,
              clientSecret,
              redis: redis.url,
              secret: 'a shared secret of two sites, 0123456789',
              baseUrl: site.url,
            },
          })
          try {
            await agent.visit(`${site.url}/claims`)
            const copied = cookieHeader({ site }, agent)
            assert.equal(await ownerOf(other.url, copied), 'alice-0001')
            await agent.open(`${site.url}/logout?local=1`)
            for (const { url } of [site, other]) {
              assert.equal(await ownerOf(url, copied), undefined)
              const changed = await send({ url: `${url}/session?a=1`, method: 'POST', headers: { cookie: copied } })
              assert.ok(!copied.includes(/sid=([^;]*)/.exec(changed.setCookies[0] ?? '')?.[1] ?? 'none'), 'a new id')
              assert.equal(await ownerOf(url, copied), undefined)
            }
          } finally {
            await other.close()
          }
        },
      )(),
    ))

  test('CVE-2025-46344 CVE-2024-35220 CVE-2023-35941: a session ends at its absolute limit however busy it is, and at its idle limit, whatever the cookie says', () =>
    withRedis(async redis => {
      for (const [what, store] of [
        ['Redis', redis.url],
        ['memory', undefined],
      ] as const) {
        let later = 0
        const now = () => new Date(Date.now() + later * 1000)
        const session = { idle: 600, absolute: 3600, persistent: true }
        await withFixture(
          { oidc: { now, session, clockTolerance: 30, ...(store && { redis: store }) } },
          async ({ site, agent }) => {
            await agent.visit(`${site.url}/claims`)
            const cookie = cookieHeader({ site }, agent)
            for (later = 0; later < 3600; later += 300)
              assert.equal(await ownerOf(site.url, cookie), 'alice-0001', `${what} after ${later} s`)
            later = 3601
            assert.equal(await ownerOf(site.url, cookie), undefined, `${what}: over`)
            assert.equal(await ownerOf(site.url, cookie), undefined, `${what}: and stays over`)
          },
        )()
      }
    }))
})

describe('one kind of cookie in the place of another', () => {
  attack(
    'CVE-2023-48309 CVE-2022-39263: a sealed value is not accepted in the place of another, and a key name of Redis is not a session id',
    {},
    async ({ site, victim }) => {
      const agent = createAgent()
      await startAttempt({ site }, agent)
      const [attempt] = agent.cookies(site.url).filter(({ name }) => name.includes('oidc.'))
      const sid = victim.cookies(site.url).find(({ name }) => name === 'sid')?.value ?? ''
      const finished = victim.cookies(site.url).find(({ name }) => name.includes('oidc.'))
      assert.ok(attempt && finished, 'cookies are missing')
      const out = await createAgent().open(`${site.url}/logout?returnTo=/user`, { redirect: 'manual' })
      const logout = /^([^=]*)=([^;]*)/.exec(
        out.hops[0]?.setCookies.find(cookie => cookie.includes('oidc.logout')) ?? '',
      )
      assert.ok(logout?.[2], 'no cookie of a sign-out')
      const [id = '', mac = ''] = sid.split('.')
      const key = createHash('sha256').update(id).digest('base64url')
      for (const value of [
        attempt.value,
        finished.value,
        logout?.[2],
        id,
        `${id}.`,
        `.${mac}`,
        mac,
        `${mac}.${id}`,
        `${key}.${mac}`,
        key,
        `oidc:${key}`,
        `${id}.${mac}x`,
        `${id}x.${mac}`,
        `${id}.${mac}.${mac}`,
        'null',
        'undefined',
        '[object Object]',
        '0',
        'true',
        's:x.y',
      ]) {
        assert.equal(await ownerOf(site.url, `sid=${value}`), undefined, value)
      }
      assert.equal(await ownerOf(site.url, `sid=${sid}`), 'alice-0001')
      const target = new URL(out.hops[0]?.location ?? '')
      for (const value of [attempt.value, finished.value, sid, '']) {
        const headers = { cookie: `${logout?.[1]}=${value}` }
        const back = await send({
          url: `${site.url}/logout/callback?state=${target.searchParams.get('state')}`,
          headers,
        })
        assert.equal(back.status, 200, 'the plain page, because nothing says where to go')
      }
      for (const value of [sid, finished.value, logout?.[2], '']) {
        const state = attempt.name
        const headers = { cookie: `${attempt.name}=${value}`, 'content-type': 'application/x-www-form-urlencoded' }
        const back = await send({ url: `${site.url}/callback`, method: 'POST', headers, body: `state=${state}&code=x` })
        assert.equal(back.status, 400)
      }
    },
  )

  test('CVE-2021-32701 CVE-2026-33496: a session of one provider or client is none at another, though they share Redis and secret', () =>
    withRedis(async redis => {
      const shared = { redis: redis.url, secret: secret('shared secret') }
      const a = await openFixture({ oidc: shared })
      const provider = await startHostileProvider({ user: { sub: 'bob' } })
      const { issuer, clientId, clientSecret } = provider
      const otherIssuer = await startSite({ oidc: { issuer, clientId, clientSecret, ...shared } })
      const otherClient = await startSite({
        oidc: { issuer: a.provider.issuer, clientId: 'another', clientSecret: a.provider.clientSecret, ...shared },
      })
      try {
        await a.agent.visit(`${a.site.url}/claims`)
        const cookie = cookieHeader(a, a.agent)
        assert.equal(await ownerOf(a.site.url, cookie), 'alice-0001')
        for (const { url } of [otherIssuer, otherClient]) {
          assert.equal(await ownerOf(url, cookie), undefined)
          const { status } = await send({ url: `${url}/claims`, headers: { cookie } })
          assert.equal(status, 401)
        }
        assert.equal(await ownerOf(a.site.url, cookie), 'alice-0001', 'and no user there could end it')
      } finally {
        await Promise.all([otherIssuer.close(), otherClient.close(), provider.close()])
        await a.close()
      }
    }))

  attack('CVE-2021-32791: the same value sealed twice never gives the same text', {}, async ({ site }) => {
    const sealer = createSealer([secret('sealing secret')])
    const sealed = Array.from({ length: 200 }, () =>
      sealer.seal('transaction', 'same', 'the same text').toString('hex'),
    )
    assert.equal(new Set(sealed.map(text => text.slice(10))).size, 200)
    const head = sealed[0]?.slice(0, 10) ?? ''
    assert.ok(
      sealed.every(text => text.startsWith(head)),
      'version and key id are all they share',
    )
    const cookies: string[] = []
    for (let i = 0; i < 20; i += 1) {
      const agent = createAgent()
      await startAttempt({ site }, agent)
      cookies.push(agent.cookies(site.url).find(({ name }) => name.includes('oidc.'))?.value ?? '')
    }
    for (const [i, a] of cookies.entries()) {
      for (const b of cookies.slice(i + 1)) {
        for (let at = 8; at + 8 < a.length; at += 1)
          assert.ok(!b.includes(a.slice(at, at + 8)), 'eight characters in common')
      }
    }
  })
})

describe('cookies on https', () => {
  const baseUrl = 'https://www.rp.example'

  /** Signs in at a site that believes in its https address, as behind a proxy, and collects every cookie it sets. */
  async function signInBehindProxy(
    run: (url: string, cookies: readonly string[], session: string) => Promise<void>,
    oidc: OidcOptions = {},
  ) {
    const provider = await startHostileProvider()
    const { issuer, clientId, clientSecret } = provider
    const site = await startSite({ oidc: { issuer, clientId, clientSecret, baseUrl, ...oidc } })
    try {
      const start = await send({ url: `${site.url}/claims`, headers: { accept: 'text/html' } })
      const browser = createAgent()
      const form = await browser.open(start.headers.location ?? '')
      const [input] = form.forms
      assert.equal(input?.action, `${baseUrl}/callback`)
      const cookie = start.setCookies.map(value => value.split(';')[0]).join('; ')
      const headers = { cookie, 'content-type': 'application/x-www-form-urlencoded' }
      const body = new URLSearchParams(input?.fields as [string, string][]).toString()
      const done = await send({ url: `${site.url}/callback`, method: 'POST', headers, body })
      assert.equal(done.status, 303, done.text)
      const session = done.setCookies.find(value => value.startsWith('__Host-sid='))?.split(';')[0] ?? ''
      const out = await send({
        url: `${site.url}/logout?returnTo=/x`,
        headers: {
          cookie: session,
          accept: 'text/html',
          'sec-fetch-site': 'same-origin',
          'sec-fetch-mode': 'navigate',
        },
      })
      assert.equal(out.status, 303)
      const again = await signInOnce(site.url, browser)
      await run(site.url, [...start.setCookies, ...done.setCookies, ...out.setCookies, ...again.cookies], again.session)
    } finally {
      await site.close()
      await provider.close()
    }
  }

  async function signInOnce(siteUrl: string, browser: ReturnType<typeof createAgent>) {
    const start = await send({ url: `${siteUrl}/claims`, headers: { accept: 'text/html' } })
    const form = await browser.open(start.headers.location ?? '')
    const cookie = start.setCookies.map(value => value.split(';')[0]).join('; ')
    const headers = { cookie, 'content-type': 'application/x-www-form-urlencoded' }
    const body = new URLSearchParams(form.forms[0]?.fields as [string, string][]).toString()
    const done = await send({ url: `${siteUrl}/callback`, method: 'POST', headers, body })
    const session = done.setCookies.find(value => value.startsWith('__Host-sid='))?.split(';')[0] ?? ''
    return { cookies: done.setCookies, session }
  }

  test('CVE-2026-48058: every cookie is __Host-, Secure, HttpOnly, of the whole site and of no domain, those taken away included', () =>
    signInBehindProxy(async (_url, cookies) => {
      assert.ok(cookies.length >= 6, `${cookies.length} cookies`)
      for (const cookie of cookies) {
        assert.match(cookie, /^__Host-[\w.-]+=/, cookie)
        assert.match(cookie, /; Path=\/(;|$)/)
        assert.match(cookie, /; Secure(;|$)/)
        assert.match(cookie, /; HttpOnly(;|$)/)
        assert.doesNotMatch(cookie, /; Domain=/i)
        const sameSite = /^__Host-oidc\.[\w-]{10}=/.test(cookie) ? 'None' : 'Lax'
        assert.match(cookie, new RegExp(`; SameSite=${sameSite}(;|$)`), cookie)
      }
      const gone = cookies.find(cookie => cookie.startsWith('__Host-sid=;'))
      assert.match(gone ?? '', /Max-Age=0/, 'a sign-out takes the cookie away')
    }))

  test('CVE-2020-1045: a cookie whose name only decodes to ours, or differs in case or by a space, is ignored', () =>
    signInBehindProxy(async (url, _cookies, session) => {
      const value = session.slice('__Host-sid='.length)
      assert.equal(await ownerOf(url, session), 'alice-0001')
      for (const name of [
        '__%48ost-sid',
        '__Host%2dsid',
        '__host-sid',
        '__HOST-SID',
        'sid',
        '__Secure-sid',
        '__Host-sid%20',
        '"__Host-sid"',
        '__Host-sid[]',
        '__Host-sid.',
      ]) {
        assert.equal(await ownerOf(url, `${name}=${value}`), undefined, name)
        for (const cookie of [`${name}=evil; ${session}`, `${session}; ${name}=evil`]) {
          assert.equal(await ownerOf(url, cookie), 'alice-0001', cookie.replace(value, '…'))
        }
      }
      // Two of the same name: one of them wins, and never a forged one.
      assert.equal(await ownerOf(url, `${session}; __Host-sid=evil`), 'alice-0001')
      assert.equal(await ownerOf(url, `__Host-sid=evil; ${session}`), 'alice-0001')
    }))

  test('CVE-2023-1584: no cookie holds a token, a code, a name or a verifier, in whatever way it is decoded', () =>
    signInBehindProxy(async (_url, cookies) => {
      const needles = [
        ...knownSecrets().keys(),
        'alice',
        'Alice',
        'example.com',
        'editor',
        'sid-1',
        'code_verifier',
        'eyJ',
      ]
      for (const cookie of cookies) {
        for (const [way, text] of decodings(cookie.split(';')[0]?.replace(/^[^=]*=/, '') ?? '')) {
          const found = needles.find(needle => text.includes(needle))
          assert.equal(found, undefined, `${cookie.slice(0, 20)} ${way}`)
        }
      }
    }))
})

describe('what the site itself does with its response', () => {
  attack(
    'CVE-2025-7339: a page that writes its head itself, as a list or in pieces, keeps its own headers and our cookie',
    {
      site: {
        routes: app => {
          app.get('/head/list', (req, res) => {
            req.session.basket = 'x'
            res.writeHead(200, ['Content-Type', 'text/plain', 'X-Own', 'yes', 'Set-Cookie', 'own=1'])
            res.end('done')
          })
          app.get('/head/object', (req, res) => {
            req.session.basket = 'x'
            res.writeHead(200, { 'content-type': 'text/plain', 'x-own': 'yes', 'set-cookie': ['own=1'] })
            res.end('done')
          })
          app.get('/head/stream', (req, res) => {
            req.session.basket = 'x'
            res.setHeader('x-own', 'yes').appendHeader('Set-Cookie', 'own=1')
            Readable.from(['do', 'ne']).pipe(res)
          })
          app.get('/head/file', (req, res) => {
            req.session.basket = 'x'
            res.setHeader('x-own', 'yes').appendHeader('Set-Cookie', 'own=1')
            res.sendFile(fileURLToPath(import.meta.url))
          })
          app.get('/head/flushed', (req, res) => {
            req.session.basket = 'x'
            res.setHeader('x-own', 'yes')
            res.appendHeader('Set-Cookie', 'own=1')
            res.flushHeaders()
            res.end('done')
          })
        },
      },
    },
    async ({ site }) => {
      for (const path of ['/head/list', '/head/object', '/head/flushed', '/head/stream', '/head/file']) {
        const agent = createAgent()
        const page = await agent.open(site.url + path)
        if (path === '/head/file') assert.match(page.text, /^import /)
        else assert.equal(page.text, 'done')
        assert.equal(page.headers['x-own'], 'yes', path)
        const cookies = page.hops[0]?.setCookies ?? []
        assert.ok(
          cookies.some(cookie => cookie.startsWith('own=1')),
          `${path}: ${cookies.length} cookies`,
        )
        assert.ok(
          cookies.some(cookie => cookie.startsWith('sid.anonymous=')),
          path,
        )
        assert.deepEqual((await agent.open(`${site.url}/session`)).json(), { basket: 'x' }, path)
      }
    },
  )

  test('CVE-2024-47764: a cookie name, a route, a secret or an address that is not plain is refused at the start', () => {
    const good: OidcOptions = {
      issuer: 'http://localhost:1',
      clientId: 'x',
      clientSecret: 'x',
      baseUrl: 'http://localhost:2',
      secret: secret('session secret'),
      log: () => {},
    }
    const names = [
      'a b',
      'a;b',
      'a=b',
      'a\r\nSet-Cookie: x=y',
      '',
      '__Host-x; Domain=evil',
      'ä',
      'x'.repeat(65),
      'a,b',
      '"a"',
      'sid\u0000',
    ]
    const bad: OidcOptions[] = [
      ...names.map(name => ({ session: { name } })),
      ...['/a b', '/a;b', 'login', '//evil.example', '/a?b', '/a#b', '/a\\b', '/\r\n', 'http://evil.example', ''].map(
        login => ({ routes: { login } }),
      ),
      ...['short', '', 'a'.repeat(40), 'abababababababababababababababababab'].map(value => ({ secret: value })),
      ...[
        'http://www.rp.example',
        'ftp://localhost',
        '//localhost',
        'http://user:pw@localhost',
        'http://localhost?x',
        'localhost',
        'javascript:x',
      ].map(baseUrl => ({ baseUrl })),
      ...[
        'http://idp.example',
        'data:x',
        'https://idp.example?x',
        'https://idp.example#x',
        'https://a:b@idp.example',
      ].map(issuer => ({ issuer })),
      { responseType: 'code id_token', responseMode: 'query' },
      { responseType: 'token' },
      { responseType: 'none' },
      { scope: 'openid "x"' },
      { routes: { login: '/callback' } },
      { session: { idle: 0 } },
      { session: { absolute: Number.NaN } },
      { session: { keep: ['cookie'] } },
    ]
    for (const options of bad) {
      assert.throws(
        () => openIdConnect({ ...good, ...options }),
        (error: unknown) => error instanceof OidcError && error.code === 'ERR_OIDC_OPTIONS',
        JSON.stringify(options),
      )
    }
  })

  test('CVE-2021-32785: a sub, a sid or a kid full of format characters gives a plain key in Redis', () =>
    withRedis(async redis => {
      const odd = '%s%n{}*?[a]:\\x'
      const provider = { user: { sub: odd }, sid: odd }
      await withFixture({ oidc: { redis: redis.url }, provider }, async ({ site, agent, provider: hostile }) => {
        const [key] = hostile.keys.published
        assert.ok(key, 'no key')
        hostile.keys.published = [{ ...key, kid: odd, publicJwk: { ...key.publicJwk, kid: odd } }]
        await agent.visit(`${site.url}/claims`)
        assert.equal(await whoIs({ site }, agent), odd)
        const keys = (await redis.command('keys', '*')) as string[]
        assert.ok(keys.length >= 3, `${keys.length} keys`)
        for (const name of keys) assert.match(name, /^oidc:([a-z]:)?[\w-]{43}$/)
        const revoked = await site.oidc.sessions.revoke({ sub: odd })
        assert.ok(revoked, 'nothing was revoked')
        assert.equal(await whoIs({ site }, agent), undefined)
      })()
    }))
})

function decodings(value: string): [string, string][] {
  const decoded: [string, string][] = [
    ['raw', value],
    ['url', decodeURIComponent(value)],
  ]
  for (const part of [value, ...value.split('.')]) {
    const bytes = Buffer.from(part, 'base64url')
    decoded.push(['base64', bytes.toString('latin1')])
    for (const [way, inflate] of [
      ['inflated', inflateSync],
      ['inflated raw', inflateRawSync],
    ] as const) {
      try {
        decoded.push([way, inflate(bytes).toString('latin1')])
      } catch {
        // not compressed
      }
    }
  }
  return decoded
}
