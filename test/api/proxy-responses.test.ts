import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { afterEach, test } from 'node:test'
import type { Express } from 'express'
import { forwardedByDefault } from '../../lib/api/proxy-fields.js'
import { createProxySlots } from '../../lib/api/proxy-slots.js'
import { openIdConnect, type ProxyOptions } from '../../lib/index.js'
import { until } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { type RawSite, type RawUser, sendBytes, startRawSite } from './raw-site.js'

let site: RawSite
let alice: RawUser

async function start(
  options: Partial<ProxyOptions> & { readonly before?: (app: Express) => void } = {},
): Promise<void> {
  site = await startRawSite(options)
  alice = await site.user()
}

afterEach(() => site.close())

const call = (user: RawUser, fields: readonly string[] = [], line = 'GET /api/x HTTP/1.1', body = '') =>
  sendBytes(site.port, `${[line, ...user.lines, ...fields].join('\r\n')}\r\n\r\n${body}`)

const respond = (...fields: string[]) =>
  site.api.respond(
    () => `HTTP/1.1 200 OK\r\n${fields.map(field => `${field}\r\n`).join('')}Content-Length: 2\r\n\r\n{}`,
  )

const fieldOf = (text: string, name: string) => new RegExp(`^${name}: (.*)$`, 'im').exec(text)?.[1]

const controls: readonly [string | undefined, string][] = [
  [undefined, 'no-store'],
  ['', 'no-store'],
  ['max-age=600', 'private, max-age=600'],
  ['public, max-age=600, immutable', 'private, max-age=600, immutable'],
  ['PUBLIC, Max-Age=600', 'private, max-age=600'],
  ['s-maxage=600', 'private'],
  ['public', 'private'],
  ['private="x-a", max-age=5', 'private, max-age=5'],
  ['private = "x", max-age=5', 'no-store'],
  ['no-cache="set-cookie, x", max-age=5', 'private, no-cache, max-age=5'],
  ['max-age=60, no-store', 'no-store'],
  ['max-age=60, proxy-revalidate, must-revalidate', 'private, max-age=60, must-revalidate'],
  ['x="a, public", max-age=5', 'private, x="a, public", max-age=5'],
  ['max-age=5, "public', 'no-store'],
  ['max-age=5; public', 'no-store'],
]

test('what was fetched with the token of a user is stored by the browser of this user at most', async () => {
  await start()
  for (const [control, expected] of controls) {
    respond(...(control === undefined ? [] : [`Cache-Control: ${control}`]))
    assert.equal(fieldOf((await call(alice)).text, 'cache-control'), expected, control)
  }
  respond('Cache-Control: max-age=1', 'Cache-Control: public')
  assert.equal(fieldOf((await call(alice)).text, 'cache-control'), 'private, max-age=1')
})

test('nothing tells another cache to store it: Expires, Age, surrogates, networks in front', async () => {
  await start()
  const names = [
    'Expires',
    'Age',
    'Surrogate-Control',
    'Surrogate-Key',
    'CDN-Cache-Control',
    'Cloudflare-CDN-Cache-Control',
  ]
  names.push('Vercel-CDN-Cache-Control', 'Edge-Control', 'Edge-Cache-Tag', 'Cache-Tag', 'X-Accel-Expires')
  respond(...names.map(name => `${name}: 600`))
  const { text } = await call(alice)
  for (const name of names) assert.equal(fieldOf(text, name), undefined, name)
  assert.equal(fieldOf(text, 'cache-control'), 'no-store')
})

test('Vary names what the API, the site and this package go by, each once', async () => {
  await start({ before: app => void app.use((_req, res, next) => next(void res.vary('Origin'))) })
  const ours = ['cookie', 'x-csrf', 'x-session-handle']
  const cases = [
    [[], ['origin', ...ours]],
    [['Vary: Accept, cookie'], ['accept', 'origin', ...ours]],
    [
      ['Vary: Accept', 'Vary: X-CSRF'],
      ['accept', 'origin', ...ours],
    ],
    [['Vary: Accept, *'], ['*']],
  ] as const
  for (const [fields, expected] of cases) {
    respond(...fields)
    const vary = fieldOf((await call(alice)).text, 'vary') ?? ''
    assert.deepEqual(vary.toLowerCase().split(', ').sort(), [...expected].sort())
  }
})

test('the browser hears nothing the API says in the name of the site, and nothing meant for a server in front', async () => {
  await start()
  const names = [
    'Set-Cookie',
    'Set-Cookie2',
    'Clear-Site-Data',
    'Strict-Transport-Security',
    'Public-Key-Pins',
    'Expect-CT',
    'Alt-Svc',
    'NEL',
  ]
  names.push(
    'Report-To',
    'Reporting-Endpoints',
    'Accept-CH',
    'Critical-CH',
    'Service-Worker-Allowed',
    'Use-As-Dictionary',
    'Set-Login',
  )
  names.push(
    'X-Accel-Redirect',
    'X-Sendfile',
    'X-Reproxy-URL',
    'WWW-Authenticate',
    'Proxy-Authenticate',
    'Access-Control-Allow-Origin',
  )
  names.push(
    'Access-Control-Allow-Credentials',
    'Timing-Allow-Origin',
    'Sec-Session-Registration',
    'Keep-Alive',
    'Trailer',
    'Upgrade',
  )
  respond(...names.map(name => `${name}: planted`), 'X-Accel-Buffering: no', 'ETag: "1"', 'Link: </x>; rel=next')
  const { text } = await call(alice)
  for (const name of names) assert.notEqual(fieldOf(text, name), 'planted', name)
  assert.deepEqual(
    ['x-accel-buffering', 'etag', 'link'].map(name => fieldOf(text, name)),
    ['no', '"1"', '</x>; rel=next'],
  )
  assert.equal(fieldOf(text, 'x-content-type-options'), 'nosniff')
})

test('the API gets headers of the list and of the option, and none that says who is asking', async () => {
  await start({ headers: ['X-Tenant'] })
  const planted = [
    'X-Real-IP',
    'X_Real_IP',
    'X-Forwarded-For',
    'X-Forwarded-User',
    'X_Forwarded_User',
    'Forwarded',
    'Via',
    'X-Original-URL',
    'X-Rewrite-URL',
  ]
  planted.push(
    'X-HTTP-Method-Override',
    'X-Method-Override',
    'X_HTTP_Method_Override',
    'X-Auth-Request-User',
    'Remote-User',
    'REMOTE_USER',
    'X-SSL-Client-Cert',
  )
  planted.push(
    'SSL_CLIENT_S_DN',
    'Client-Cert',
    'DPoP',
    'Authorization',
    'Origin-Trial',
    'Sec-X',
    'Max-Forwards',
    'True-Client-IP',
    'CF-Connecting-IP',
    'X-User',
    'X_Tenant',
  )
  await call(alice, [
    ...planted.map(name => `${name}: planted`),
    'X-Tenant: seven',
    'Accept: a/b',
    'If-None-Match: "1"',
  ])
  const { headers, token } = site.api.requests[0] ?? {}
  assert.deepEqual(
    [...(headers ?? [])].filter(([, value]) => value.includes('planted')),
    [],
  )
  assert.deepEqual(
    ['x-tenant', 'accept', 'if-none-match'].map(name => headers?.get(name)),
    ['seven', 'a/b', '"1"'],
  )
  assert.equal(token, alice.token)
})

test('the API gets every field of the list that is documented', async () => {
  await start()
  const page = readFileSync(new URL('../../docs/tokens.md', import.meta.url), 'utf8').toLowerCase()
  const named = forwardedByDefault.filter(name => !name.startsWith('if-'))
  for (const name of named) assert.ok(page.includes(`\`${name}\``), `${name} is not documented`)
  const names = [
    'accept',
    'accept-encoding',
    'accept-language',
    'cache-control',
    'content-disposition',
    'content-encoding',
    'content-language',
    'content-range',
    'content-type',
    'idempotency-key',
    'if-match',
    'if-modified-since',
    'if-none-match',
    'if-range',
    'if-unmodified-since',
    'last-event-id',
    'pragma',
    'prefer',
    'range',
    'traceparent',
    'tracestate',
    'user-agent',
    'x-requested-with',
  ]
  const fields = names.map(name => `${name}: of the browser`)
  await call(alice, [...fields, 'Content-Length: 1'], 'POST /api/x HTTP/1.1', 'x')
  const { headers } = site.api.requests[0] ?? assert.fail('no request')
  for (const name of names) assert.equal(headers.get(name), 'of the browser', name)
})

test('a call that fails after the site has responded, or the browser has left, is no error of the site', async () => {
  const refused = (path: string) => sendBytes(site.port, `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  let reached = 0
  await start({
    before(app) {
      app.use('/api/answered', (_req, res, next) => {
        reached += 1
        res.status(202).send('already')
        next()
      })
      app.use('/api/gone', (_req, res, next) => {
        reached += 1
        res.destroy()
        next()
      })
    },
  })
  assert.deepEqual((await refused('/api/answered')).statuses, [202])
  assert.deepEqual((await refused('/api/gone')).statuses, [])
  assert.equal(reached, 2)
  assert.deepEqual(site.site.errors, [])
  assert.deepEqual(site.api.requests, [])
  assert.equal((await refused('/api/x')).statuses[0], 403)
  assert.equal(site.site.errors.length, 1)
})

test('a site that responds itself while the API is thinking is not disturbed, and the call to the API ends', async () => {
  await start({
    before: app =>
      void app.use('/api/slow', (_req, res, next) => {
        setTimeout(() => res.status(503).json({ late: true }), 50)
        next()
      }),
  })
  let isOver = false
  site.api.respond((_request, socket) => {
    socket.once('close', () => (isOver = true))
    setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'), 100)
    return undefined
  })
  assert.deepEqual((await call(alice, [], 'GET /api/slow HTTP/1.1')).statuses, [503])
  await until('the call has ended', () => isOver)
  respond()
  assert.deepEqual((await call(alice)).statuses, [200])
})

test('HEAD, 204 and 304 have no body, and the connection goes on', async () => {
  await start()
  const responses = [
    'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n',
    'HTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n',
  ]
  for (const [index, response] of responses.entries()) {
    site.api.respond(() => response)
    const { text, statuses } = await sendBytes(
      site.port,
      `${[`${index === 0 ? 'HEAD' : 'GET'} /api/x HTTP/1.1`, ...alice.lines, 'Connection: close'].join('\r\n')}\r\n\r\n`,
    )
    assert.match(text, /\r\n\r\n$/)
    assert.deepEqual(statuses, [Number(response.slice(9, 12))])
    // RFC 9110 section 8.6: none with 204.
    assert.equal(fieldOf(text, 'content-length'), index === 0 ? '99' : undefined)
  }
  assert.equal(site.api.connections(), 1)
})

test('an event stream is there before its first event, and compressed bytes arrive as they are', async () => {
  await start()
  let stream: { write(text: string): unknown } | undefined
  site.api.respond((_request, socket) => {
    stream = socket
    return 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n'
  })
  const headers = { cookie: alice.cookie, 'x-csrf': '1' }
  const outgoing = request({ host: '127.0.0.1', port: site.port, path: '/api/events', headers, agent: false }).end()
  const [response] = await once(outgoing, 'response')
  assert.equal(response.headers['content-encoding'], 'gzip')
  stream?.write('4\r\n\x1f\x08ab\r\n')
  const [chunk] = await once(response, 'data')
  assert.equal(chunk.toString('latin1'), '\x1f\x08ab')
  outgoing.destroy()
})

test('an upload of 100 MB to an API that does not read waits in the browser, not in memory', async () => {
  await start({ timeout: 30_000 })
  const { createServer } = await import('node:http')
  const api = createServer((req, res) => {
    setTimeout(() => {
      let length = 0
      req.on('data', chunk => (length += chunk.length))
      req.on('end', () => res.end(String(length)))
    }, 300)
  }).listen(0, '127.0.0.1')
  await once(api, 'listening')
  await site.close()
  site = await startRawSite({ target: `http://127.0.0.1:${(api.address() as { port: number }).port}` })
  alice = await site.user()
  const size = 100 * 1024 * 1024
  const before = process.memoryUsage().rss
  let most = 0
  const chunk = Buffer.alloc(64 * 1024)
  const headers = { cookie: alice.cookie, 'x-csrf': '1', 'content-length': size }
  const outgoing = request({
    host: '127.0.0.1',
    port: site.port,
    path: '/api/x',
    method: 'POST',
    headers,
    agent: false,
  })
  const answered = once(outgoing, 'response')
  for (let sent = 0; sent < size; sent += chunk.length) {
    if (!outgoing.write(chunk)) await once(outgoing, 'drain')
    most = Math.max(most, process.memoryUsage().rss - before)
  }
  outgoing.end()
  const [response] = await answered
  let text = ''
  for await (const part of response) text += part
  assert.equal(text, String(size))
  assert.ok(most < 60e6, `${Math.round(most / 1e6)} MB more`)
  api.close()
  api.closeAllConnections()
})

const calls = (count: number, user: RawUser) =>
  Array.from({ length: count }, () => {
    const socket = connect(site.port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(`${['GET /api/stream HTTP/1.1', ...user.lines].join('\r\n')}\r\n\r\n`)
    return socket
  })

test('with 300 open streams of a user, a further call gets a response by the deadline, and succeeds when a stream ends', async () => {
  await start({ limits: { connections: 20, perUser: 10, wait: 200 } })
  site.api.respond(({ path }) =>
    path === '/v1/stream'
      ? 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
      : 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}',
  )
  const streams = calls(300, alice)
  await until('ten streams are open', () => site.api.requests.length === 10)
  const { statuses, text } = await call(alice)
  assert.deepEqual(statuses, [503])
  assert.match(text, /ERR_OIDC_API_BUSY/)
  assert.match(text, /^retry-after: \d+$/im)
  assert.equal(site.api.requests.length, 10)
  for (const stream of streams) stream.destroy()
  let status: number | undefined
  await until('a call goes through', () => {
    if (status === undefined) call(alice).then(({ statuses: [next] }) => (status = next === 503 ? undefined : next))
    return status === 200
  })
})

test('turns are taken in order, a user who has all of his holds up no other, and who leaves waits no longer', async () => {
  await start()
  const slots = createProxySlots({ connections: 3, perUser: 2, wait: 10_000 })
  const ignore = () => undefined
  const first = await slots.acquire('alice', ignore)
  await slots.acquire('alice', ignore)
  const taken: string[] = []
  let leave = ignore as () => void
  const left = slots.acquire('alice', next => (leave = next)).catch(error => taken.push(error.code))
  const third = slots.acquire('alice', ignore).then(() => taken.push('alice'))
  const other = await slots.acquire('bob', ignore)
  leave()
  await left
  first()
  first()
  await third
  assert.deepEqual(taken, ['ERR_OIDC_API_BUSY', 'alice'])
  const fourth = slots.acquire('carol', ignore).then(() => taken.push('carol'))
  other()
  await fourth
  assert.deepEqual(taken, ['ERR_OIDC_API_BUSY', 'alice', 'carol'])
})

test('a script of a page that was made for another session gets 409, and the API nothing', async () => {
  await start()
  const me = async (user: RawUser, fields: readonly string[] = []) =>
    call(user, ['Sec-Fetch-Site: same-origin', 'Sec-Fetch-Dest: empty', ...fields], 'GET /me HTTP/1.1')
  const handle = /"handle":"([^"]+)"/.exec((await me(alice)).text)?.[1]
  assert.ok(handle)
  const bob = await site.user()
  const header = `X-Session-Handle: ${handle}`
  assert.deepEqual((await call(alice, [header])).statuses, [200])
  assert.equal(site.api.requests[0]?.headers.has('x-session-handle'), false)
  for (const fields of [[header], ['X-Session-Handle: '], [header, header], ['X-Session-Handle: x']]) {
    const { statuses, text } = await call(bob, fields)
    assert.deepEqual(statuses, [409])
    assert.match(text, /ERR_OIDC_SESSION_CHANGED/)
    assert.deepEqual((await me(bob, fields)).statuses, [409])
    const script = ['Sec-Fetch-Site: same-origin', 'Sec-Fetch-Dest: empty']
    assert.deepEqual((await call(bob, [...script, ...fields], 'GET /my-token HTTP/1.1')).statuses, [409])
  }
  assert.equal(site.api.requests.length, 1)
})

test('what oidc.proxy cannot do is refused when it is made', async () => {
  await start()
  const oidc = openIdConnect({
    issuer: 'https://op.example.com',
    clientId: 'c',
    baseUrl: 'http://localhost:1',
    secret: secret('s'),
    log: () => {},
  })
  const target = 'https://api.example.com'
  const wrong: readonly unknown[] = [
    ...[
      undefined,
      null,
      'x',
      [],
      {},
      { target: 5 },
      { target: 'http://api.example.com' },
      { target: `${target}//x` },
      { target, tagret: 1 },
    ],
    ...[
      { target, timeout: 0 },
      { target, timeout: '5' },
      { target, timeout: 2 ** 31 },
      { target, timeout: Number.NaN },
      { target, scope: '' },
      { target, scope: 5 },
    ],
    ...[
      { target, scope: 'a  b' },
      { target, resource: 'x' },
      { target, resource: 'https://x#y' },
      { target, resource: 5 },
      { target, authorizationDetails: [{}] },
      { target, authorizationDetails: { type: 'orders' } },
      { target, methods: [] },
      { target, methods: 'GET' },
    ],
    ...[
      { target, methods: ['get'] },
      { target, methods: ['TRACE'] },
      { target, methods: ['CONNECT'] },
      { target, headers: 'X-A' },
      { target, headers: ['X A'] },
    ],
    ...[
      'Host',
      'Cookie',
      'Authorization',
      'Connection',
      'Transfer_Encoding',
      'Content-Length',
      'X-Forwarded-For',
      'X_Real_IP',
      'Remote-User',
      'X-HTTP-Method-Override',
      'Sec-X',
      'DPoP',
      'X-CSRF',
      'Expect',
    ].map(name => ({ target, headers: [name] })),
    ...[
      { target, encodedSlashes: 'yes' },
      { target, limits: 5 },
      { target, limits: { perUser: 0 } },
      { target, limits: { total: 5 } },
      { target, limits: { wait: '1s' } },
    ],
  ]
  for (const options of wrong)
    assert.throws(
      () => oidc.proxy('/api', options as ProxyOptions),
      { code: 'ERR_OIDC_OPTIONS' },
      JSON.stringify(options),
    )
  for (const path of [5, undefined, '', '/', 'api', '/api/', '/a/./b', '/..'])
    assert.throws(() => oidc.proxy(path as string, { target }), { code: 'ERR_OIDC_OPTIONS' }, String(path))
  oidc.proxy('/api', {
    target,
    headers: ['X-Tenant'],
    methods: ['GET', 'QUERY'],
    encodedSlashes: true,
    limits: { perUser: 2 },
  })
  await oidc.close()
})
