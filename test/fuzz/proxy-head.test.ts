import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { type RawUser, sendBytes, startRawSite } from '../api/raw-site.js'
import { watchProcess } from '../faults/watch.js'
import { fuzz } from './fuzz.js'

/** The head of a request, whose lines may end in any way, and what follows it. */
interface Input {
  readonly line: string
  readonly fields: readonly string[]
  readonly body: string
}

const watch = watchProcess()
const site = await startRawSite({ headers: ['X-Tenant'] })
const user: RawUser = await site.user()
const recorder = site.api
after(async () => {
  await site.close()
  watch.check()
})

const hidden = 'GET /admin HTTP/1.1\r\nHost: x\r\n\r\n'
const method = fc.constantFrom(
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'QUERY',
  'get',
  'G ET',
)
const piece = fc.oneof(
  fc.constantFrom(
    ...[
      '/',
      'a',
      '..',
      '.',
      '%2e',
      '%2f',
      '%5c',
      '%25',
      '%00',
      ';',
      '\\',
      '//',
      '%61',
      '?',
      '#',
      '%c0%ae',
      '%ef%bc%8e',
      '%20',
      ' ',
      '\t',
      'é',
      '\0',
      '=',
      '&',
    ],
  ),
  fc.string({ maxLength: 3, unit: 'binary-ascii' }),
)
const path = fc.array(piece, { maxLength: 6 }).map(pieces => `/api/${pieces.join('')}`)
const target = fc.oneof(
  { weight: 8, arbitrary: path },
  { weight: 1, arbitrary: path.map(text => `http://localhost${text}`) },
  { weight: 1, arbitrary: fc.constantFrom('*', '/api', '//api/x', '/api/', 'localhost:80', '/api/../admin') },
)
const version = fc.constantFrom(
  ...['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/0.9', 'http/1.1', ''],
)
const line = fc
  .oneof(
    {
      weight: 2,
      arbitrary: fc.tuple(fc.constantFrom('GET', 'POST', 'DELETE'), fc.constant('/api/own'), fc.constant('HTTP/1.1')),
    },
    { weight: 1, arbitrary: fc.tuple(method, target, version) },
  )
  .map(parts => parts.join(' '))

const name = fc.constantFrom(
  ...[
    'Content-Length',
    'Content-Length',
    'Transfer-Encoding',
    'Transfer-Encoding',
    'Connection',
    'Connection',
    'Expect',
    'Upgrade',
    'Trailer',
    'TE',
  ],
  ...[
    'Content_Length',
    'Transfer_Encoding',
    'X-Forwarded-For',
    'X_Real_IP',
    'X-Original-URL',
    'X-HTTP-Method-Override',
    'Authorization',
    'X-Tenant',
  ],
  ...[
    'Host',
    'Content-Type',
    'Range',
    'Keep-Alive',
    'Proxy-Connection',
    'HTTP2-Settings',
    'X-CSRF',
    'Origin',
    'Accept',
    'X-Session-Handle',
  ],
)
const value = fc.oneof(
  fc.constantFrom(
    ...[
      '0',
      '5',
      String(hidden.length),
      `0${hidden.length}`,
      '+5',
      '5, 5',
      '-1',
      '0x5',
      '1e1',
      '99999999999999999999',
      '',
    ],
  ),
  fc.constantFrom(
    ...[
      'chunked',
      'Chunked',
      'gzip, chunked',
      'chunked, gzip',
      'identity',
      '\tchunked',
      'x',
      'chunked\r\n x',
      '"chunked"',
    ],
  ),
  fc.constantFrom(
    ...[
      'close',
      'keep-alive',
      'content-length',
      'transfer-encoding, close',
      'upgrade',
      'host',
      'x-tenant',
      '100-continue',
      'h2c',
      'a b',
      ',',
    ],
  ),
  fc.string({ maxLength: 6, unit: 'binary-ascii' }),
)
const field = fc
  .tuple(
    name,
    fc.constantFrom(': ', ': ', ': ', ': ', ':', ' : ', ':\t', ':\r\n ', ''),
    value,
    fc.constantFrom('\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r', '\r\n '),
  )
  .map(parts => parts.join(''))
const body = fc.constantFrom(
  '',
  '',
  hidden,
  'hello',
  '5\r\nhello\r\n0\r\n\r\n',
  `0\r\n\r\n${hidden}`,
  '5;a\nhello\r\n0\r\n\r\n',
  '5\r\nhello\r\n0\r\nX-A: b\r\n\r\n',
)
const inputs: fc.Arbitrary<Input> = fc.record({ line, fields: fc.array(field, { maxLength: 3 }), body })

let forwarded = 0

async function act(input: Input): Promise<void> {
  const { requests, faults } = recorder
  requests.length = 0
  const own = user.lines.map(text => `${text}\r\n`)
  const bytes = `${[`${input.line}\r\n`, ...own, ...input.fields].join('')}\r\n${input.body}`
  // A request without an end is never answered, so that the connection is closed behind what was sent.
  const { statuses } = await sendBytes(site.port, bytes, { end: true })
  assert.deepEqual(faults, [], 'a strict parser reads what was forwarded')
  assert.ok(requests.length <= 1, `one request became ${requests.length}`)
  forwarded += requests.length
  const [request] = requests
  if (request === undefined) return
  assert.ok((statuses[0] ?? 0) < 500, String(statuses))
  assert.equal(request.token, user.token)
  assert.match(request.path, /^\/v1(?:[/?]|$)/)
  assert.doesNotMatch(
    decodeURIComponent(request.path.split('?')[0] ?? '').normalize('NFKC'),
    /[\\;\p{Cc}]|\/\/|\/\.+(?:\/|$)/u,
  )
  assert.ok(input.line.startsWith(`${request.method} `), request.method)
  assert.doesNotMatch(
    [...request.headers.keys()].join(' '),
    /_|forwarded|real|original|override|cookie|upgrade|expect|trailer|csrf/,
  )
  assert.ok(['', input.body, 'hello', input.body.slice(0, 5)].includes(request.body), JSON.stringify(request.body))
  if (request.body === '') assert.equal(request.headers.get('content-length') ?? '0', '0')
}

test('whatever the head of a request, the API receives one unambiguous request or none', async t => {
  await act({ line: 'POST /api/own HTTP/1.1', fields: ['Content-Length: 5\r\n'], body: 'hello' })
  assert.equal(recorder.requests[0]?.body, 'hello')
  await fuzz(t, { name: 'proxy-head', inputs, runs: 1000, act })
  t.diagnostic(`${forwarded} of them were forwarded`)
  assert.ok(forwarded > 100, 'requests that are well formed are forwarded')
})
