import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { until } from '../support/redis.js'
import { startWebServer, type WebServer } from '../support/web-servers.js'
import { type RawSite, type RawUser, sendBytes, startRawSite } from './raw-site.js'

let site: RawSite
let alice: RawUser
let mallory: RawUser

async function open(): Promise<void> {
  site = await startRawSite()
  alice = await site.user()
  mallory = await site.user()
}

const head = (line: string, user: RawUser, more: readonly string[] = []) =>
  `${[line, ...user.lines, ...more].join('\r\n')}\r\n\r\n`

const get = (user: RawUser, path = '/api/own') => head(`GET ${path} HTTP/1.1`, user)

/** What a body would be taken for where its length is not believed. */
const hidden = 'GET /admin HTTP/1.1\r\nHost: x\r\nX-A: b\r\n\r\n'
const length = `Content-Length: ${hidden.length}`

/** No bytes became another request, and each forwarded request has the token of the user who sent it. */
function checkApi(paths: readonly string[] = []): void {
  assert.deepEqual(site.api.faults, [])
  for (const request of site.api.requests) {
    assert.match(request.path, /^\/v1(?:[/?]|$)/)
    assert.notEqual(request.path, '/admin')
    assert.equal(request.token, request.path.includes('alice') ? alice.token : mallory.token)
  }
  if (paths.length > 0)
    assert.deepEqual(
      site.api.requests.map(({ path }) => path),
      paths,
    )
}

/** Requests that carry a body which looks like a request, in every way a length has been taken away from one. */
const smuggling: [string, string, readonly string[]][] = []
for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'POST', 'PATCH']) {
  for (const named of [
    'content-length',
    'Content-Length, close',
    'keep-alive, CONTENT-LENGTH',
    'host',
    'x-csrf',
    'authorization',
  ]) {
    smuggling.push([`${method} whose Connection names ${named}`, method, [length, `Connection: ${named}`]])
  }
}
smuggling.push(
  ['a body with GET', 'GET', [length]],
  ['both framings', 'POST', [length, 'Transfer-Encoding: chunked']],
  ['two lengths', 'POST', [length, 'Content-Length: 0']],
  ['a length twice', 'POST', [length, length]],
  ['a length with a zero in front', 'POST', [`Content-Length: 0${hidden.length}`]],
  ['a length with a sign', 'POST', [`Content-Length: +${hidden.length}`]],
  ['a list of lengths', 'POST', [`${length}, ${hidden.length}`]],
  ['an encoding before chunked', 'POST', ['Transfer-Encoding: gzip, chunked']],
  ['an encoding with a blank in front of the colon', 'POST', ['Transfer-Encoding : chunked', length]],
  ['an encoding on a folded line', 'POST', ['Transfer-Encoding:\r\n chunked', length]],
  ['Connection that names Transfer-Encoding', 'POST', ['Transfer-Encoding: chunked', 'Connection: transfer-encoding']],
  ['a length behind a bare line feed', 'POST', [`X-A: b\n${length}`]],
  ['a length behind a bare carriage return', 'POST', [`X-A: b\r${length}`, length]],
  ['Host twice', 'POST', [length, 'Host: other']],
  ['Content-Type twice', 'POST', [length, 'Content-Type: text/plain', 'Content-Type: text/html']],
  [
    'an upgrade to h2c',
    'POST',
    [length, 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'],
  ],
  ['an unknown expectation', 'POST', [length, 'Expect: 200-ok']],
)

const places = [
  ['directly', undefined],
  ['behind nginx with its defaults', 'nginx'],
  ['behind nginx that hands Connection on', 'nginx-connection'],
  ['behind haproxy with its defaults', 'haproxy'],
] as const

for (const [place, kind] of places) {
  describe(place, () => {
    let front: WebServer | undefined
    let port: number

    beforeEach(async () => {
      await open()
      front = kind === undefined ? undefined : await startWebServer(kind, site.port)
      port = front?.port ?? site.port
    })
    afterEach(async () => {
      await front?.stop()
      await site.close()
    })

    test('no part of a body becomes a request, whatever hides its length', async () => {
      for (const [what, method, fields] of smuggling) {
        const before = site.api.requests.length
        const { statuses } = await sendBytes(port, head(`${method} /api/mallory HTTP/1.1`, mallory, fields) + hidden)
        await sendBytes(port, get(alice, '/api/alice'))
        const received = site.api.requests.slice(before)
        const refused = (statuses[0] ?? 400) >= 400
        assert.deepEqual(
          received.map(({ path }) => path),
          refused ? ['/v1/alice'] : ['/v1/mallory', '/v1/alice'],
          `${what}: ${statuses}`,
        )
        if (!refused) assert.equal(received[0]?.body, hidden, what)
        checkApi()
      }
    })

    test('an ambiguous request gets 400, and nothing after it on the connection gets a response', async () => {
      const bad = head('POST /api/mallory HTTP/1.1', mallory, ['Content-Length: 05', 'Content-Type: text/plain'])
      const { statuses } = await sendBytes(port, `${bad}abcde${get(mallory, '/api/mallory')}`, 2)
      if (kind === undefined) assert.deepEqual(statuses, [400])
      assert.ok(kind === undefined || statuses.every(status => status === 400 || status === 200), String(statuses))
      checkApi()
    })

    test('a request in chunks with extensions and trailers arrives as one in plain chunks, without trailers', async () => {
      const fields = ['Transfer-Encoding: chunked', 'Trailer: X-Late']
      const body = '5;a="b"\r\nhello\r\n0\r\nX-Late: 1\r\n\r\n'
      const { statuses } = await sendBytes(port, head('DELETE /api/mallory HTTP/1.1', mallory, fields) + body)
      assert.ok(statuses[0] === 200 || (kind !== undefined && statuses[0] === 400), String(statuses))
      for (const request of site.api.requests) {
        assert.equal(request.body, 'hello')
        assert.equal(request.headers.has('trailer') || request.headers.has('x-late'), false)
      }
      checkApi()
    })

    test('a body that is announced with 100-continue arrives, and the expectation does not', async () => {
      const fields = ['Content-Length: 5', 'Expect: 100-continue']
      await sendBytes(port, `${head('PUT /api/mallory HTTP/1.1', mallory, fields)}hello`)
      assert.equal(site.api.requests[0]?.body, 'hello')
      assert.equal(site.api.requests[0]?.headers.has('expect'), false)
      checkApi(['/v1/mallory'])
    })

    test('ordinary calls of two users share a connection, each with its own token', async () => {
      for (let round = 0; round < 5; round += 1) {
        for (const [user, name] of [
          [alice, 'alice'],
          [mallory, 'mallory'],
        ] as const) {
          assert.deepEqual((await sendBytes(port, get(user, `/api/${name}`))).statuses, [200])
        }
      }
      checkApi()
      assert.equal(site.api.requests.length, 10)
      assert.equal(site.api.connections(), 1)
    })
  })
}

describe('a connection that something went wrong on is not used again', () => {
  beforeEach(open)
  afterEach(() => site.close())

  const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n'
  const stolen = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen'
  const faults: readonly [string, string][] = [
    ['sends a second response', `${ok}{}${stolen}`],
    ['sends more than it announced', `${ok}{} and more`],
    ['sends a body with 204', `HTTP/1.1 204 No Content\r\n\r\n${stolen}`],
    ['sends a body with 304', `HTTP/1.1 304 Not Modified\r\n\r\n${stolen}`],
    [
      'frames its response in two ways',
      `HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${stolen}`,
    ],
    ['announces two lengths', `HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}${stolen}`],
    ['switches protocols', `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n${stolen}`],
    ['responds with status 099', `HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\n{}`],
    ['responds with status 000', `HTTP/1.1 000 Odd\r\nContent-Length: 2\r\n\r\n{}`],
    ['responds with status 600', `HTTP/1.1 600 Odd\r\nContent-Length: 2\r\n\r\n{}`],
    ['responds with status 999', `HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\n{}`],
    ['responds with a control character in a field', `HTTP/1.1 200 OK\r\nX-A: \x01\r\nContent-Length: 2\r\n\r\n{}`],
    ['responds with a damaged name of a field', `HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 2\r\n\r\n{}`],
    ['responds with what is not HTTP', 'SSH-2.0-OpenSSH\r\n'],
    ['responds with a head without end', `HTTP/1.1 200 OK\r\n${'X-A: b\r\n'.repeat(20_000)}`],
  ]

  test('whatever an API sends instead of a response, the next user gets his own, and the site goes on', async () => {
    for (const [what, response] of faults) {
      site.api.respond(({ path }) => (path === '/v1/mallory' ? response : undefined))
      await sendBytes(site.port, get(mallory, '/api/mallory'))
      site.api.respond(() => 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nalice')
      for (let round = 0; round < 2; round += 1) {
        const { text, statuses } = await sendBytes(site.port, get(alice, '/api/alice'))
        assert.deepEqual(statuses, [200], what)
        assert.match(text, /\r\n\r\nalice$/, what)
      }
      checkApi()
    }
  })

  test('bytes that an API sends on an idle connection are not a response to any user', async () => {
    site.api.respond((_request, socket) => {
      setTimeout(() => socket.write(stolen), 20)
      return `${ok}{}`
    })
    await sendBytes(site.port, get(mallory, '/api/mallory'))
    await new Promise(resolve => setTimeout(resolve, 60))
    site.api.respond(() => 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nalice')
    assert.match((await sendBytes(site.port, get(alice, '/api/alice'))).text, /alice$/)
    assert.equal(site.api.connections(), 2)
  })

  test('a browser that breaks off in the middle of its body takes the connection with it', async () => {
    const { connect } = await import('node:net')
    const socket = connect(site.port, '127.0.0.1')
    socket.write(`${head('POST /api/mallory HTTP/1.1', mallory, ['Content-Length: 1000'])}half`)
    await until('the API is connected', () => site.api.connections() === 1)
    socket.destroy()
    assert.deepEqual((await sendBytes(site.port, get(alice, '/api/alice'))).statuses, [200])
    checkApi(['/v1/alice'])
    assert.equal(site.api.connections(), 2)
  })

  test('an API that closes without a response: 502 for a request with a body, which is not sent twice', async () => {
    assert.deepEqual((await sendBytes(site.port, get(alice, '/api/alice'))).statuses, [200])
    site.api.respond((_request, socket) => void socket.destroy())
    const post = `${head('POST /api/mallory HTTP/1.1', mallory, ['Content-Length: 2'])}{}`
    assert.deepEqual((await sendBytes(site.port, post)).statuses, [502])
    assert.equal(site.api.requests.length, 2)
  })

  test('a GET that met a connection the API was just closing is sent once more, on a new one', async () => {
    await sendBytes(site.port, get(alice, '/api/alice'))
    site.api.respond(({ connection }, socket) => (connection === 1 ? void socket.destroy() : `${ok}{}`))
    assert.deepEqual((await sendBytes(site.port, get(alice, '/api/alice'))).statuses, [200])
    assert.equal(site.api.connections(), 2)
  })
})

describe('paths', () => {
  beforeEach(open)
  afterEach(() => site.close())

  const refused = [
    ...[
      '/..%2f',
      '/..%5c',
      '/..;/x',
      '/..;x/',
      '/%2e%2e/x',
      '/%2E./x',
      '/./x',
      '/x/..',
      '/x/%2e',
      '/x/../../admin',
      '/..\\x',
      '/a\\b',
    ],
    ...[
      '/%252e%252e/x',
      '/%25252e',
      '/a%252fb',
      '/%c0%ae%c0%ae/x',
      '/%c0%af',
      '/%e0%80%ae',
      '/%ff',
      '/%zz',
      '/%',
      '/%2',
      '/a%00b',
      '/a%0d%0aX',
    ],
    ...[
      '/a%0ab',
      '/a%7fb',
      '//admin',
      '/a//b',
      '/%2fadmin',
      '/%5cadmin',
      '/a;b=c',
      '/a%2fb',
      '/a%5cb',
      '/%61dmin',
      '/adm%69n',
      '/a%2Db',
      '/a%7eb',
    ],
    ...[
      '/...',
      '/.../x',
      '/..%20/x',
      '/%20../x',
      '/%ef%bc%8e%ef%bc%8e/x',
      '/%e2%80%a5/x',
      '/x%ef%bc%8f%e2%80%a5',
      '/a{b',
      '/a"b',
      '/a<b',
      '/a`b',
      '/a#b',
      '/a?b#c',
    ],
  ]
  test('are forwarded in one spelling only, and every other is 400', async () => {
    for (const path of refused) {
      const { statuses } = await sendBytes(site.port, get(mallory, `/api${path}`))
      assert.deepEqual([statuses, site.api.requests], [[400], []], path)
    }
  })

  for (const target of [
    'http://localhost/api/x',
    'http://evil.example/api/x',
    'https://localhost:1/api/x',
    'x:///api/x',
  ]) {
    test(`a target in another form is refused: ${target}`, async () => {
      const { statuses } = await sendBytes(site.port, get(mallory, target))
      assert.ok([400, 404].includes(statuses[0] ?? 0), String(statuses))
      assert.deepEqual(site.api.requests, [])
    })
  }

  const forwarded = [
    ...[
      '/',
      '/a/',
      '/a/b',
      "/a-._~!$&'()*+,=:@b",
      '/a%20b',
      '/%C3%BC',
      '/a%3Ab',
      '/a%3fb',
      '/a%23b',
      '/a%25',
      '/a%25zz',
      '/%F0%9F%99%82',
      '/.well-known/x',
      '/..a',
      '/a..',
      '/a|b',
    ],
    ...['?', '/a?b=c&d=%2F..%2F', '/a?u=https://x/../y', '/a?b=%0A%00', '/a?{"x"}', '/a?b?c', '/a?b=\\'],
  ]
  test('of one spelling are forwarded byte for byte', async () => {
    for (const path of forwarded) {
      const { statuses } = await sendBytes(site.port, get(mallory, `/api${path}`))
      assert.deepEqual([statuses, site.api.requests.at(-1)?.path], [[200], `/v1${path}`])
      checkApi()
    }
  })

  test('are refused in another form than a path, and so are other versions of HTTP', async () => {
    for (const target of ['http://localhost/api/x', 'http://evil.example/api/x', 'https://localhost:1/api/x']) {
      const { statuses } = await sendBytes(site.port, get(mallory, target))
      assert.deepEqual([statuses, site.api.requests], [[400], []], target)
    }
    for (const version of ['HTTP/0.9', 'HTTP/2.0']) {
      const { statuses } = await sendBytes(site.port, head(`GET /api/x ${version}`, mallory))
      assert.deepEqual([statuses, site.api.requests], [[400], []], version)
    }
  })

  test('are forwarded with the usual methods only', async () => {
    for (const method of ['TRACE', 'SOURCE', 'PURGE', 'PROPFIND', 'MOVE', 'LINK', 'QUERY', 'M-SEARCH']) {
      const { statuses, text } = await sendBytes(site.port, head(`${method} /api/x HTTP/1.1`, mallory))
      assert.deepEqual([statuses, site.api.requests], [[405], []], method)
      assert.match(text, /^allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS$/im)
    }
  })
})
