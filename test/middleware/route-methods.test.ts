import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { isSignedIn, type LogoutFixture, linesOf, openLogoutFixture, signIn } from '../sign-out/support.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { sessionCookie, sessionCookieOf } from '../support/handler-fixture.js'
import { send } from '../support/http-client.js'
import { type RedisServer, startRedis } from '../support/redis.js'

const routes = { checkSession: '/session/check', user: '/me', token: '/my-token' }

const methodsOf: Readonly<Record<string, string>> = {
  '/login': 'GET, POST',
  '/callback': 'POST',
  '/logout': 'GET, POST',
  '/logout/callback': 'GET',
  '/logout/frontchannel': 'GET',
  '/logout/backchannel': 'POST',
  '/session/check': 'GET',
  '/me': 'GET',
  '/my-token': 'GET',
}

const everyMethod = ['GET', 'POST', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'PATCH', 'DELETE', 'QUERY', 'PROPFIND', 'LOCK']

const navigation = {
  accept: 'text/html',
  'sec-fetch-site': 'same-origin',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
}

/** Calls of every command that this package sends: not those of the connection itself. */
function commandsIn(statistics: string): number {
  const lines = [...statistics.matchAll(/^cmdstat_(\w+)[^:]*:calls=(\d+)/gm)]
  const own = lines.filter(([, name = '']) => !/^(info|client|hello|auth|select|ping|config|keys)$/.test(name))
  return own.reduce((sum, [, , calls]) => sum + Number(calls), 0)
}

describe('each of our routes', () => {
  let redis: RedisServer
  let fixture: LogoutFixture

  before(async () => {
    redis = await startRedis()
    fixture = await openLogoutFixture({ oidc: { redis: redis.url, routes } })
    await signIn(fixture, fixture.agent)
  })
  after(async () => {
    await fixture?.close()
    await redis?.stop()
  })

  /** What is in Redis, and what the provider has been asked. */
  async function stateOf(): Promise<string> {
    const keys = (await redis.command('KEYS', '*')) as string[]
    return JSON.stringify([keys.sort(), fixture.provider.requests.length])
  }

  for (const [path, allow] of Object.entries(methodsOf)) {
    test(`${path} answers ${allow}, and 405 with Allow to every other method, which changes nothing`, async () => {
      const unchanged = await stateOf()
      for (const method of everyMethod.filter(name => !allow.split(', ').includes(name))) {
        const lines = linesOf(fixture).length
        const headers = { ...navigation, cookie: `${sessionCookie}=${sessionCookieOf(fixture)}` }
        const response = await send({ url: `${fixture.site.url}${path}?returnTo=/x&sid=sid-1`, method, headers })
        assert.equal(response.status, 405, method)
        assert.equal(response.headers.allow, allow, method)
        assert.deepEqual(response.setCookies, [], method)
        assert.equal(response.headers['cache-control'], 'no-store', method)
        assert.equal(await stateOf(), unchanged, method)
        const isLooking = ['HEAD', 'OPTIONS', 'TRACE'].includes(method)
        if (isLooking) assert.equal(linesOf(fixture).length, lines, `${method} is in the log`)
        if (isLooking) assert.equal(response.text, '')
      }
      assert.equal(await isSignedIn(fixture, fixture.agent), true)
    })
  }

  test('HEAD, OPTIONS and TRACE cost no command to Redis', async () => {
    const commands = async () => commandsIn(String(await redis.command('INFO', 'commandstats')))
    const headers = { ...navigation, cookie: `${sessionCookie}=${sessionCookieOf(fixture)}` }
    const before = await commands()
    for (const path of Object.keys(methodsOf))
      for (const method of ['HEAD', 'OPTIONS', 'TRACE']) await send({ url: fixture.site.url + path, method, headers })
    assert.equal(await commands(), before)
  })

  const ahead = [
    { 'sec-purpose': 'prefetch' },
    { 'sec-purpose': 'prefetch;prerender' },
    { 'sec-purpose': 'prefetch;anonymous-client-ip' },
    { purpose: 'prefetch' },
    { 'x-purpose': 'preview' },
    { 'x-moz': 'prefetch' },
  ]
  for (const headers of ahead) {
    test(`that acts does nothing for a page fetched ahead (${Object.entries(headers).join()})`, async () => {
      const unchanged = await stateOf()
      const lines = linesOf(fixture).length
      for (const path of [
        '/login',
        '/logout',
        '/logout?local=1',
        '/logout/callback',
        '/logout/frontchannel?sid=sid-1',
      ]) {
        const cookie = `${sessionCookie}=${sessionCookieOf(fixture)}`
        const response = await send({ url: fixture.site.url + path, headers: { ...navigation, ...headers, cookie } })
        assert.equal(response.status, path === '/login' ? 401 : 503, path)
        assert.deepEqual(response.setCookies, [], path)
        assert.equal(response.headers['cache-control'], 'no-store', path)
      }
      assert.equal(await stateOf(), unchanged)
      assert.equal(linesOf(fixture).length, lines)
      assert.equal(await isSignedIn(fixture, fixture.agent), true)
    })
  }

  test('that only reads answers a page that was rendered ahead', async () => {
    const cookie = `${sessionCookie}=${sessionCookieOf(fixture)}`
    const headers = { cookie, 'sec-purpose': 'prefetch;prerender', 'x-csrf': '1', 'sec-fetch-site': 'same-origin' }
    const response = await send({ url: `${fixture.site.url}/me`, headers })
    assert.equal(response.status, 200, response.text)
  })
})

describe('a body that is not read', () => {
  let fixture: LogoutFixture

  before(async () => {
    fixture = await openLogoutFixture({ oidc: { routes } })
  })
  after(() => fixture?.close())

  const form = 'Content-Type: application/x-www-form-urlencoded'

  /** Sends without end, up to 64 MB. How much was taken before the connection closed, and the response. */
  async function flood(head: readonly string[]): Promise<{ taken: number; response: string }> {
    const { port } = new URL(fixture.site.url)
    const socket: Socket = connect(Number(port), '127.0.0.1')
    let response = ''
    socket.on('data', data => {
      response += data
    })
    let isOpen = true
    socket.on('error', () => {})
    socket.on('close', () => {
      isOpen = false
    })
    socket.write(`${head.join('\r\n')}\r\nHost: localhost:${port}\r\n\r\n`)
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`
    let taken = 0
    for (let count = 0; isOpen && count < 1_000; count += 1) {
      const isFlushed = socket.write(chunk)
      if (!isFlushed)
        await Promise.race([
          new Promise(done => socket.once('drain', done)),
          new Promise(done => socket.once('close', done)),
          wait(2_000),
        ])
      if (isOpen) taken += chunk.length
    }
    socket.destroy()
    return { taken, response }
  }

  for (const [what, status, ...head] of [
    ['too large', 413, 'POST /logout/backchannel HTTP/1.1', form],
    ['too large', 413, 'POST /callback HTTP/1.1', form],
    ['of another type', 400, 'POST /logout/backchannel HTTP/1.1', 'Content-Type: text/plain'],
    ['of another type', 415, 'POST /callback HTTP/1.1', 'Content-Type: application/json'],
    ['by the wrong method', 405, 'PUT /callback HTTP/1.1', form],
    ['at a route that takes none', 200, 'POST /logout HTTP/1.1', 'Origin: https://evil.example'],
    ['by a method that only looks', 405, 'OPTIONS /login HTTP/1.1', form],
  ] as const) {
    test(`${what} ends the connection (${head[0]}), and is not read on`, async () => {
      const { taken, response } = await flood([...head, 'Transfer-Encoding: chunked'])
      assert.match(response, new RegExp(`^HTTP/1.1 ${status} `))
      assert.match(response, /connection: close/i)
      assert.ok(taken < 16 * 1024 * 1024, `${taken} bytes were taken`)
    })
  }

  test('that was read to its end leaves the connection open', async () => {
    const response = await send({
      url: `${fixture.site.url}/callback`,
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', connection: 'keep-alive' },
      body: 'state=x',
    })
    assert.notEqual(response.headers.connection, 'close')
  })

  test('the back channel closes the connection whatever the response', async () => {
    for (const body of [await fixture.provider.createLogoutToken(), 'forged']) {
      const response = await send({
        url: `${fixture.site.url}/logout/backchannel`,
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', connection: 'keep-alive' },
        body: `logout_token=${body}`,
      })
      assert.equal(response.status, body === 'forged' ? 400 : 200)
      assert.equal(response.headers.connection, 'close')
    }
  })
})

describe('in a real browser', { timeout: 120_000 }, () => {
  let chromium: Chromium
  before(async () => {
    chromium = await startChromium()
  })
  after(() => chromium?.close())

  test('a link to /logout that was fetched ahead signs out when the user follows it', async () => {
    const purposes: (string | undefined)[] = []
    const fixture = await openLogoutFixture({
      site: {
        before: app =>
          void app.use((req, _res, next) => {
            if (req.path === '/logout') purposes.push(req.get('sec-purpose'))
            next()
          }),
        routes: app =>
          void app.get('/leave', (_req, res) => {
            res.send(`<a href="/logout">Sign out</a>
<script type="speculationrules">{"prefetch":[{"source":"list","urls":["/logout"],"eagerness":"immediate"}]}</script>`)
          }),
      },
    })
    try {
      const tab = await chromium.newPage()
      await tab.goto(`${fixture.site.url}/claims`)
      await tab.waitForURL(`${fixture.site.url}/claims`)
      await tab.goto(`${fixture.site.url}/leave`)
      for (let tries = 0; purposes.length === 0 && tries < 100; tries += 1) await wait(50)
      assert.match(purposes[0] ?? '', /prefetch/)
      await wait(200)
      assert.deepEqual(fixture.signedOut, [])
      await tab.click('a')
      await tab.waitForURL(`${fixture.site.url}/`)
      assert.equal(fixture.signedOut.length, 1)
      assert.deepEqual(purposes.slice(1), [undefined])
    } finally {
      await fixture.close()
    }
  })
})
