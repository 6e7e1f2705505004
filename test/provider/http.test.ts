import assert from 'node:assert/strict'
import { once } from 'node:events'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { createHttp } from '../../lib/provider/http.js'
import { createSelfSigned } from '../attacks/self-signed.js'
import { passTime } from '../support/pass-time.js'
import { secret } from '../support/secrets.js'
import { createLocalServer, json, type Responder, rejected, reset, text } from './support.js'

const MIB = 1024 * 1024

const ways: readonly [name: string, settings: { fetch?: typeof fetch }][] = [
  ["Node's own client", {}],
  ['a fetch the site gives', { fetch }],
]
const jsonHead = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n'
const raw =
  (bytes: string): Responder =>
  (_, { socket }) =>
    void socket?.end(bytes)

/** What ends before the response is whole. */
const cuts: Readonly<Record<string, Responder>> = {
  'is reset before the response': reset(),
  'is closed before the response': raw(''),
  'is closed within the head': raw('HTTP/1.1 200 OK\r\ncontent-ty'),
  'is closed before the announced length': raw(`${jsonHead}content-length: 100\r\n\r\n{`),
  'is closed before the last chunk': raw(`${jsonHead}transfer-encoding: chunked\r\n\r\n5\r\n{"a":`),
  'is reset in the middle of the body': (_, res) => {
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 })
    res.write('{', () => void res.socket?.resetAndDestroy())
  },
}

/** What is whole, and not what was asked for. */
const wholeResponses: Readonly<Record<string, Responder>> = {
  '/500': json({}, 500),
  '/503': text(503, 'text/html', 'Back soon'),
  '/429': json({}, 429),
  '/empty': text(200, 'application/json', ''),
  '/damaged': text(200, 'application/json', '{"issuer":'),
  '/too-large': text(200, 'application/json', ' '.repeat(1001)),
  '/no-utf-8': text(200, 'application/json', Buffer.from([0x7b, 0xff, 0x7d])),
  '/redirect': (_, res) => void res.writeHead(302, { location: '/elsewhere' }).end(),
  '/no-http': raw('220 mail.example.com ESMTP\r\n'),
}

for (const [name, way] of ways) {
  describe(`by ${name}`, () => {
    test('a GET says what it accepts, and brings the response whole', async t => {
      const server = await createLocalServer(t)
      server.on('/doc', json({ a: 'ü' }, 418))
      const token = secret('access token')
      const http = createHttp(way)
      const response = await http.getJson(`${server.origin}/doc`, { bearer: token })
      assert.equal(response.status, 418)
      assert.equal(response.contentType, 'application/json')
      assert.deepEqual(response.json(), { a: 'ü' })
      const [seen] = server.seen
      assert.equal(seen?.method, 'GET')
      assert.equal(seen?.headers.accept, 'application/json')
      assert.equal(seen?.headers.authorization, `Bearer ${token}`)
    })

    test('a POST carries a form, with every character in its place', async t => {
      const server = await createLocalServer(t)
      server.on('/token', json({}))
      const body = { code: 'a+b%c&d=e:f g/ü', grant_type: 'authorization_code' }
      await createHttp(way).postForm(`${server.origin}/token`, body, { 'x-extra': '1' })
      const [seen] = server.seen
      assert.equal(seen?.method, 'POST')
      assert.match(String(seen?.headers['content-type']), /^application\/x-www-form-urlencoded/)
      assert.equal(seen?.headers['x-extra'], '1')
      assert.equal(seen?.headers.accept, 'application/json')
      assert.deepEqual(Object.fromEntries(new URLSearchParams(seen?.body)), body)
    })

    for (const status of [300, 301, 302, 303, 304, 307, 308]) {
      test(`a response with status ${status} is refused, and its location is never requested`, async t => {
        const server = await createLocalServer(t)
        const evil = await createLocalServer(t)
        server.on('/', (_, res) => void res.writeHead(status, { location: `${evil.origin}/` }).end())
        const http = createHttp(way)
        await rejected(http.getJson(server.origin), 'ERR_OIDC_PROVIDER_RESPONSE')
        await rejected(http.postForm(server.origin, { code: '1' }, {}), 'ERR_OIDC_PROVIDER_RESPONSE')
        assert.equal(server.seen.length, 2)
        assert.equal(evil.seen.length, 0)
      })
    }

    test('a body as long as the cap is read, and one byte more is refused, announced or not', async t => {
      const server = await createLocalServer(t)
      const http = createHttp({ ...way, maxResponseBytes: 1000 })
      server.on('/fits', text(200, 'text/plain', 'x'.repeat(1000)))
      server.on('/announced', text(200, 'text/plain', 'x'.repeat(1001)))
      server.on('/chunked', (_, res) => {
        res.write('x'.repeat(600))
        res.end('x'.repeat(401))
      })
      assert.equal((await http.getJson(`${server.origin}/fits`)).text.length, 1000)
      await rejected(http.getJson(`${server.origin}/announced`), 'ERR_OIDC_PROVIDER_RESPONSE')
      await rejected(http.getJson(`${server.origin}/chunked`), 'ERR_OIDC_PROVIDER_RESPONSE')
    })

    test('a response that only announces 50 MiB is dropped before it arrives', async t => {
      const server = await createLocalServer(t)
      const dropped = answerOnce(server.on, '/', res => {
        res.writeHead(200, { 'content-type': 'application/json', 'content-length': 50 * MIB })
        res.flushHeaders()
      })
      await rejected(createHttp(way).getJson(`${server.origin}/`), 'ERR_OIDC_PROVIDER_RESPONSE')
      await dropped
    })

    test('a body that never ends is cut at the cap, and its connection closed', async t => {
      const server = await createLocalServer(t)
      let written = 0
      const dropped = answerOnce(server.on, '/', res => {
        const chunk = Buffer.alloc(64 * 1024, 0x20)
        const pump = () => {
          while (!res.destroyed && written < 200 * MIB) {
            written += chunk.length
            if (!res.write(chunk)) return void res.once('drain', pump)
          }
        }
        res.writeHead(200, { 'content-type': 'application/json' })
        pump()
      })
      await rejected(createHttp(way).getJson(`${server.origin}/`), 'ERR_OIDC_PROVIDER_RESPONSE')
      await dropped
      assert.ok(written < 50 * MIB, `${written} bytes were taken`)
    })

    test('a gzip bomb is cut at the cap of what it unpacks to', async t => {
      const server = await createLocalServer(t)
      const bomb = gzipSync(Buffer.alloc(64 * MIB))
      server.on('/', (_, res) => {
        res.writeHead(200, {
          'content-type': 'application/json',
          'content-encoding': 'gzip',
          'content-length': bomb.length,
        })
        res.end(bomb)
      })
      assert.ok(bomb.length < MIB, `${bomb.length} bytes`)
      await rejected(createHttp(way).getJson(`${server.origin}/`), 'ERR_OIDC_PROVIDER_RESPONSE')
      assert.equal(server.seen[0]?.headers['accept-encoding'], 'identity')
    })

    test('compression that was not asked for is undone all the same', async t => {
      const server = await createLocalServer(t)
      server.on('/', (_, res) => {
        res.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
        res.end(gzipSync('{"a":1}'))
      })
      assert.deepEqual((await createHttp(way).getJson(`${server.origin}/`)).json(), { a: 1 })
    })

    for (const [encoding, packed] of [
      ['gzip', gzipSync('{"a":1}')],
      ['x-gzip', gzipSync('{"a":1}')],
      ['deflate', deflateSync('{"a":1}')],
      ['br', brotliCompressSync('{"a":1}')],
      ['identity', Buffer.from('{"a":1}')],
    ] as const) {
      test(`a response in ${encoding} is read, and one that only says so is refused`, async t => {
        const server = await createLocalServer(t)
        const response = (body: Buffer) => (_: unknown, res: ServerResponse) =>
          void res.writeHead(200, { 'content-type': 'application/json', 'content-encoding': encoding }).end(body)
        server.on('/', response(packed))
        assert.deepEqual((await createHttp(way).getJson(`${server.origin}/`)).json(), { a: 1 })
        if (encoding === 'identity') return
        server.on('/', response(Buffer.from('not packed at all')))
        const refused = createHttp(way).getJson(`${server.origin}/`)
        await assert.rejects(refused, { name: 'OidcError' })
      })
    }

    test('a provider that wants to speak another protocol is not listened to', async t => {
      const server = await createLocalServer(t)
      const dropped = answerOnce(server.on, '/', res => {
        res.writeHead(101, { connection: 'Upgrade', upgrade: 'websocket' }).flushHeaders()
      })
      const http = createHttp({ ...way, timeout: 1000 })
      const error = await rejected(http.getJson(`${server.origin}/`), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
      assert.notEqual((error.cause as { reason: string }).reason, 'TimeoutError')
      await dropped
    })

    test('a provider that sends a byte now and then is given up on in total, and its connection closed', async t => {
      const server = await createLocalServer(t)
      const dropped = answerOnce(server.on, '/', res => {
        res.writeHead(200, { 'content-type': 'application/json' })
        const timer = setInterval(() => res.write(' '), 10)
        res.once('close', () => clearInterval(timer))
      })
      const error = await rejected(
        createHttp({ ...way, timeout: 150 }).getJson(`${server.origin}/`),
        'ERR_OIDC_PROVIDER_UNAVAILABLE',
      )
      assert.deepEqual(error.cause, { host: new URL(server.origin).host, reason: 'TimeoutError' })
      await dropped
    })

    test('a request to a provider that never responds is aborted, and its connection closed', async t => {
      const server = await createLocalServer(t)
      const dropped = answerOnce(server.on, '/', () => {})
      const http = createHttp({ ...way, timeout: 100 })
      await rejected(http.postForm(`${server.origin}/`, { code: '1' }, {}), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
      await dropped
      assert.equal(server.seen.length, 1)
    })

    test('connections that fail are reported as such', async t => {
      const server = await createLocalServer(t)
      const http = createHttp(way)
      server.on('/reset', reset())
      server.on('/cut', (_, res) => {
        res.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 })
        res.write('{', () => res.destroy())
      })
      for (const path of ['/reset', '/cut']) {
        await rejected(http.getJson(server.origin + path), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
        await rejected(http.postForm(server.origin + path, {}, {}), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
      }
      await server.stop()
      const error = await rejected(http.getJson(server.origin), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
      assert.equal((error.cause as { reason: string }).reason, 'ECONNREFUSED')
    })

    for (const [how, cut] of Object.entries(cuts)) {
      test(`a GET that ${how} is asked once more and not twice, a POST is sent once`, async t => {
        const server = await createLocalServer(t)
        const http = createHttp(way)
        server.on('/always', cut)
        await rejected(http.getJson(`${server.origin}/always`), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
        assert.equal(server.count('/always'), 2)
        await rejected(http.postForm(`${server.origin}/always`, {}, {}), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
        assert.equal(server.count('/always'), 3)
        server.on('/first', (request, res) =>
          (server.count('/first') === 1 ? cut : json({ whole: true }))(request, res),
        )
        const response = await http.getJson(`${server.origin}/first`, { bearer: 'of-this-user' })
        assert.deepEqual(response.json(), { whole: true })
        const asked = server.seen.filter(({ path }) => path === '/first')
        assert.deepEqual(
          asked.map(({ method, headers }) => [method, headers.authorization]),
          Array(2).fill(['GET', 'Bearer of-this-user']),
        )
      })
    }

    test('a GET with a complete response is sent once, whatever the response', async t => {
      const server = await createLocalServer(t)
      const http = createHttp({ ...way, maxResponseBytes: 1000 })
      for (const [path, response] of Object.entries(wholeResponses)) {
        server.on(path, response)
        await http.getJson(server.origin + path).catch(() => {})
        assert.equal(server.count(path), 1, path)
      }
    })

    test('a form is sent once over a kept connection that breaks', async t => {
      const server = await createLocalServer(t)
      const http = createHttp(way)
      server.on('/token', json({}))
      await http.postForm(`${server.origin}/token`, {}, {})
      server.on('/token', reset())
      await rejected(http.postForm(`${server.origin}/token`, {}, {}), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
      assert.equal(server.count('/token'), 2)
    })

    test('an error shows no token, whatever the network layer thinks of it', async () => {
      const token = `${secret('unsendable token')}\n`
      const error = await rejected(
        createHttp(way).getJson('http://127.0.0.1:1/', { bearer: token }),
        'ERR_OIDC_PROVIDER_UNAVAILABLE',
      )
      assert.ok(!inspect(error, { depth: 10 }).includes(token.trim()), 'the error shows the token')
    })
  })
}

test("a GET is asked again over a new connection by Node's own client: the kept ones may all be dead", async t => {
  const server = await createLocalServer(t)
  const http = createHttp({})
  server.on('/', json({}))
  await Promise.all([1, 2, 3].map(() => http.getJson(`${server.origin}/`)))
  const kept = server.connections()
  assert.equal(kept, 3)
  server.on('/', (request, res) => (server.connections() === kept ? reset() : json({ again: 1 }))(request, res))
  assert.deepEqual((await http.getJson(`${server.origin}/`)).json(), { again: 1 })
  assert.equal(server.count('/'), 5)
})

/** A `fetch` that rejects each time with an error of this code, after it was called. */
function failing(code: string, before: () => void = () => {}): { fetch: typeof fetch; calls(): number } {
  let calls = 0
  return {
    calls: () => calls,
    async fetch() {
      calls += 1
      before()
      throw Object.assign(new TypeError('fetch failed'), { cause: Object.assign(new Error(), { code }) })
    },
  }
}

test('a GET is asked again after a cut, and after no other failure', async () => {
  const cutCodes = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH']
  const others = [
    'ECONNREFUSED',
    'ENOTFOUND',
    'ETIMEDOUT',
    'CERT_HAS_EXPIRED',
    'HPE_INVALID_CONSTANT',
    'ERR_INVALID_CHAR',
  ]
  for (const code of [...cutCodes, ...others]) {
    const { fetch, calls } = failing(code)
    await rejected(createHttp({ fetch }).getJson('https://op.test/'), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
    assert.equal(calls(), cutCodes.includes(code) ? 2 : 1, code)
  }
})

/** A `fetch` whose calls fail when the test says so. */
function undecided() {
  const attempts: ((error: Error) => void)[] = []
  return { attempts, fetch: () => new Promise<Response>((_, reject) => attempts.push(reject)) }
}

test('a GET that was cut after its deadline is not asked again', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { fetch, attempts } = undecided()
  const asked = rejected(
    createHttp({ fetch, timeout: 20 }).getJson('https://op.test/'),
    'ERR_OIDC_PROVIDER_UNAVAILABLE',
  )
  passTime(t, 20)
  attempts[0]?.(Object.assign(new Error(), { code: 'ECONNRESET' }))
  await asked
  assert.equal(attempts.length, 1)
})

test('a GET that is asked again has what is left of the deadline, and no new one', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { fetch, attempts } = undecided()
  const asked = rejected(
    createHttp({ fetch, timeout: 60_000 }).getJson('https://op.test/'),
    'ERR_OIDC_PROVIDER_UNAVAILABLE',
  )
  passTime(t, 40_000)
  attempts[0]?.(Object.assign(new Error(), { code: 'ECONNRESET' }))
  await new Promise(setImmediate)
  assert.equal(attempts.length, 2)
  passTime(t, 20_000)
  assert.equal(((await asked).cause as { reason: string }).reason, 'TimeoutError')
})

test('a request under a lease has the time of the lease, in which pauses of the process count; another has its own', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const outcomes: string[] = []
  const http = createHttp({ fetch: () => new Promise(() => {}), timeout: 60_000 })
  const note = (name: string) => () => void outcomes.push(name)
  http.postForm('https://op.test/', {}, {}, 60_000).catch(note('under a lease'))
  http.postForm('https://op.test/', {}, {}).catch(note('without a lease'))
  // A pause as long as all of the time: every timer that is set is due.
  t.mock.timers.tick(60_000)
  for (let turns = 0; turns < 5; turns += 1) await new Promise(setImmediate)
  assert.deepEqual(outcomes, ['under a lease'])
  passTime(t, 60_000)
  for (let turns = 0; turns < 5; turns += 1) await new Promise(setImmediate)
  assert.deepEqual(outcomes, ['under a lease', 'without a lease'])
})

test('a redirect of an https provider to plain http is not followed, on this machine neither, by a GET nor by a POST', async t => {
  const plain = await createLocalServer(t)
  plain.on('/elsewhere', json({ issuer: 'https://op.test' }))
  const { key, cert } = createSelfSigned()
  let asked = 0
  let status = 302
  const secure = createServer({ key, cert }, (_req, res) => {
    asked += 1
    res.writeHead(status, { location: `${plain.origin}/elsewhere`, 'content-type': 'application/json' }).end('{}')
  }).listen(0, '127.0.0.1')
  await once(secure, 'listening')
  const { NODE_TLS_REJECT_UNAUTHORIZED: before } = process.env
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  t.after(() => {
    if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
    else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
    secure.close().closeAllConnections()
  })
  const origin = `https://127.0.0.1:${(secure.address() as AddressInfo).port}`
  for (const way of [{}, { fetch }]) {
    const http = createHttp(way)
    for (status of [301, 302, 303, 307, 308]) {
      const bearer = secret('access token of a redirect')
      await rejected(http.getJson(`${origin}/userinfo`, { bearer }), 'ERR_OIDC_PROVIDER_RESPONSE')
      await rejected(http.postForm(`${origin}/token`, { code: '1' }, {}), 'ERR_OIDC_PROVIDER_RESPONSE')
    }
  }
  assert.equal(asked, 20)
  assert.deepEqual(plain.seen, [])
})

test('a fetch that hides or follows redirects does not get away with it', async () => {
  const hidden = Object.defineProperty(new Response('{}'), 'type', { value: 'opaqueredirect' })
  const followed = Object.defineProperty(new Response('{}'), 'redirected', { value: true })
  for (const response of [hidden, followed]) {
    await rejected(
      createHttp({ fetch: async () => response }).getJson('https://op.test/'),
      'ERR_OIDC_PROVIDER_RESPONSE',
    )
  }
})

const insecureUrls = [
  'http://op.example.com/token',
  'http://127.0.0.1.example.com/',
  'ftp://127.0.0.1/',
  'file:///etc/passwd',
  'https://user:pass@op.example.com/',
  '/token',
  '',
]

for (const url of insecureUrls) {
  test(`nothing is sent to ${url === '' ? 'an empty URL' : url}`, async () => {
    let calls = 0
    const counting: typeof fetch = async () => {
      calls += 1
      return new Response('{}')
    }
    await rejected(createHttp({ fetch: counting }).getJson(url), 'ERR_OIDC_METADATA')
    assert.equal(calls, 0)
  })
}

test('a fetch that ignores its signal is abandoned as well', async () => {
  const http = createHttp({ fetch: () => new Promise(() => {}), timeout: 50 })
  await rejected(http.getJson('https://op.test/'), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
})

test('a response leaves no timer behind', async () => {
  const timers = () => process.getActiveResourcesInfo().filter(resource => resource === 'Timeout').length
  const before = timers()
  await answerWith('{}')
  await rejected(
    createHttp({ fetch: () => Promise.reject(new TypeError()) }).getJson('https://op.test/'),
    'ERR_OIDC_PROVIDER_UNAVAILABLE',
  )
  assert.ok(timers() <= before, `${timers()} timers, ${before} before`)
})

test('a body that is too long is told to stop, whatever fetch it comes from', async () => {
  let isCancelled = false
  const body = new ReadableStream({
    pull: controller => controller.enqueue(new Uint8Array(1000)),
    cancel: () => {
      isCancelled = true
    },
  })
  const http = createHttp({ fetch: async () => new Response(body), maxResponseBytes: 5000 })
  await rejected(http.getJson('https://op.test/'), 'ERR_OIDC_PROVIDER_RESPONSE')
  assert.ok(isCancelled, 'the body goes on')
})

const rests: readonly [when: string, keepAlive: string | undefined, busy: number, connections: number][] = [
  ['at once', undefined, 0, 1],
  ['at once, where the provider keeps it for long', 'timeout=72', 0, 1],
  ['at once, where the provider is about to close it', 'timeout=1', 0, 2],
  ['after the process was busy for a while', 'timeout=72', 2_100, 2],
]
for (const [when, keepAlive, busy, connections] of rests) {
  test(`Node's own client ${connections === 1 ? 'uses a connection again' : 'takes a new connection'} ${when}`, async t => {
    const server = await createLocalServer(t)
    server.on('/', (_, res) => {
      const hint = keepAlive === undefined ? {} : { 'keep-alive': keepAlive }
      res.writeHead(200, { 'content-type': 'application/json', connection: 'keep-alive', ...hint }).end('{}')
    })
    const http = createHttp({})
    await http.postForm(`${server.origin}/`, {}, {})
    await new Promise(setImmediate)
    if (busy > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, busy)
    await http.postForm(`${server.origin}/`, {}, {})
    assert.equal(server.connections(), connections)
  })
}

test("an unknown compression is refused by Node's own client", async t => {
  const server = await createLocalServer(t)
  server.on('/', (_, res) => void res.writeHead(200, { 'content-encoding': 'constructor' }).end('{}'))
  await rejected(createHttp({}).getJson(`${server.origin}/`), 'ERR_OIDC_PROVIDER_RESPONSE')
})

test('a body that does not heed the signal is told to stop', async () => {
  let cancelled = () => {}
  const cancellation = new Promise<void>(resolve => {
    cancelled = resolve
  })
  const body = new ReadableStream({ cancel: () => cancelled() })
  const http = createHttp({ fetch: async () => new Response(body), timeout: 50 })
  await rejected(http.getJson('https://op.test/'), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  await cancellation
})

const contentTypes: readonly [type: string, isJson: boolean][] = [
  ['application/json', true],
  ['Application/JSON; charset=utf-8', true],
  ['application/jwk-set+json', true],
  ['text/html', false],
  ['text/plain', false],
  ['text/json', false],
  ['application/jwt', false],
  ['application/jsonp', false],
  ['', false],
]

for (const [type, isJson] of contentTypes) {
  test(`${type || 'no content type'} is ${isJson ? '' : 'not '}taken for JSON`, async () => {
    const http = createHttp({
      fetch: async () => new Response(Buffer.from('{}'), { headers: type ? { 'content-type': type } : {} }),
    })
    const response = await http.getJson('https://op.test/')
    if (isJson) assert.deepEqual(response.json(), {})
    else await rejected((async () => response.json())(), 'ERR_OIDC_PROVIDER_RESPONSE')
  })
}

const brokenBodies = ['', '{', '<html>', '{"a":1}{"a":2}', 'NaN']
for (const body of brokenBodies) {
  test(`${JSON.stringify(body)} is damaged JSON`, async () => {
    const response = await answerWith(body)
    await rejected((async () => response.json())(), 'ERR_OIDC_PROVIDER_RESPONSE')
  })
}

test('damaged JSON is not quoted by the error', async () => {
  const token = secret('token in damaged JSON')
  const response = await answerWith(`${token}{`)
  const error = await rejected((async () => response.json())(), 'ERR_OIDC_PROVIDER_RESPONSE')
  assert.ok(!inspect(error, { depth: 10 }).includes(token.slice(0, 6)), 'the error shows the token')
})

test('text that is not UTF-8 is refused, and a byte order mark is overlooked', async () => {
  await rejected(answerWith(Buffer.from([0x22, 0xff, 0x22])), 'ERR_OIDC_PROVIDER_RESPONSE')
  assert.deepEqual((await answerWith('\uFEFF{"a":1}')).json(), { a: 1 })
})

test('the details of a wrong content type are truncated and printable', async () => {
  const type = `text/${'x'.repeat(500)}`
  const response = await createHttp({
    fetch: async () => new Response('', { headers: { 'content-type': type } }),
  }).getJson('https://op.test/')
  const error = await rejected((async () => response.json())(), 'ERR_OIDC_PROVIDER_RESPONSE')
  assert.equal((error.cause as { contentType: string }).contentType.length, 200)
})

function answerWith(body: string | Buffer) {
  const headers = { 'content-type': 'application/json' }
  return createHttp({ fetch: async () => new Response(body, { headers }) }).getJson('https://op.test/')
}

/** Resolves when the connection of the response is closed. */
function answerOnce(
  on: (path: string, response: (request: unknown, res: ServerResponse) => void) => void,
  path: string,
  response: (res: ServerResponse) => void,
): Promise<unknown> {
  return new Promise(resolve => {
    on(path, (_, res) => {
      resolve(once(res, 'close'))
      response(res)
    })
  })
}

test('a response that is destroyed before its end, without an error, is none, and is not waited for', async t => {
  const server = await createLocalServer(t)
  server.on('/doc', (_, res) => void res.writeHead(200, { 'content-length': 100 }).write('{'))
  const { request } = http
  t.mock.method(http, 'request', (...args: Parameters<typeof request>) =>
    request(...args).on('response', (response: IncomingMessage) => setImmediate(() => response.destroy())),
  )
  const failed = await createHttp({ timeout: 60_000 })
    .getJson(`${server.origin}/doc`)
    .catch((error: { code: string; cause: { reason: string } }) => error)
  assert.ok('code' in failed)
  assert.equal(failed.code, 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  assert.notEqual(failed.cause.reason, 'TimeoutError')
})
