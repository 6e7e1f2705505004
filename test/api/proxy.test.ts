import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { afterEach, beforeEach, test } from 'node:test'
import express, { type Request } from 'express'
import { openIdConnect, type ProxyOptions } from '../../lib/index.js'
import type { FetchOptions } from '../support/agent.js'
import { until } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { installTracingTool, TRACEPARENT } from '../support/tracing-tool.js'
import { startTokenFixture, type TokenFixture } from '../tokens/token-fixture.js'
import { type Api, refuseToken, startApi } from './api.js'

let api: Api
let fixture: TokenFixture

beforeEach(async () => {
  api = await startApi()
})

afterEach(async () => {
  await fixture.close()
  await api.close()
})

async function start(options: Partial<ProxyOptions> = {}): Promise<TokenFixture> {
  fixture = await startTokenFixture({
    routes(app) {
      // Made here, because the site has its instance only when it runs.
      app.use((req, res, next) =>
        fixture.site.oidc.proxy('/api', { target: `${api.origin}/v1`, ...options })(req, res, next),
      )
      app.get('/api-docs', (_req, res) => void res.send('docs'))
    },
  })
  await fixture.signIn()
  return fixture
}

const call = (path: string, { headers, ...options }: FetchOptions = {}) =>
  fixture.agent.fetch(fixture.site.url + path, { ...options, headers: { 'x-csrf': '1', ...headers } })

test('a call is forwarded with the token attached on the server', async () => {
  const { token } = await start()
  api.respond((_request, response) => {
    response.writeHead(201, { 'content-type': 'application/json', 'x-own': 'yes' }).end('{"id":7}')
  })
  const page = await call('/api/orders/7?a=1&b=%20', { method: 'PUT', body: 'text' })
  assert.deepEqual([page.status, page.text, page.headers['x-own']], [201, '{"id":7}', 'yes'])
  const [{ method, url, body, token: sent } = {}] = api.requests
  assert.deepEqual([method, url, body], ['PUT', '/v1/orders/7?a=1&b=%20', 'text'])
  assert.equal(sent, (await token()).value)
})

test('a tracing tool that the site has installed sends the context of its trace, in place of that of the browser', async t => {
  await start()
  t.after(installTracingTool())
  await call('/api', { headers: { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` } })
  assert.equal(api.requests[0]?.headers.traceparent, TRACEPARENT)
})

test('the path itself, and nothing beside it, is forwarded', async () => {
  await start()
  await call('/api')
  assert.equal(api.requests[0]?.url, '/v1')
  assert.equal((await call('/api-docs')).text, 'docs')
  assert.equal(api.requests.length, 1)
})

test('the API gets no cookie, no header of this connection, and nothing another proxy could have said', async () => {
  await start({ headers: ['X-Own'] })
  await call('/api/a', {
    headers: {
      connection: 'keep-alive, x-hop',
      'x-hop': '1',
      'keep-alive': 'timeout=5',
      te: 'trailers',
      'proxy-authorization': 'Basic x',
      authorization: 'Bearer planted',
      'x-forwarded-for': '1.2.3.4',
      forwarded: 'for=1.2.3.4',
      'x-own': 'kept',
    },
  })
  const { headers = {}, token: sent } = api.requests[0] ?? {}
  assert.notEqual(sent, 'planted')
  assert.equal(headers['x-own'], 'kept')
  assert.equal(headers.host, new URL(api.origin).host)
  const unwanted = Object.keys(headers).filter(name =>
    /^(cookie|x-csrf|x-hop|keep-alive|te|proxy-.*|x-forwarded-.*|forwarded|sec-.*|referer|origin)$/.test(name),
  )
  assert.deepEqual(unwanted, [])
})

test('the browser gets no cookie, no CORS permission and no header of the other connection', async () => {
  await start()
  api.respond((_request, response) => {
    response
      .writeHead(200, {
        'set-cookie': '__Host-sid=planted; Path=/; Secure',
        'access-control-allow-origin': '*',
        'clear-site-data': '"*"',
        'proxy-authenticate': 'Basic',
        connection: 'close, x-hop',
        'x-hop': '1',
      })
      .end('{}')
  })
  const { headers } = await call('/api/a')
  for (const name of ['access-control-allow-origin', 'clear-site-data', 'proxy-authenticate', 'x-hop']) {
    assert.equal(headers[name], undefined, name)
  }
  assert.equal(String(headers['set-cookie'] ?? '').includes('planted'), false)
  assert.equal(headers['cache-control'], 'no-store')
})

test('what the API says about storing stays', async () => {
  await start()
  api.respond((_request, response) => void response.writeHead(200, { 'cache-control': 'private, max-age=60' }).end())
  assert.equal((await call('/api/a')).headers['cache-control'], 'private, max-age=60')
})

const foreign: readonly [string, FetchOptions][] = [
  ['without the header', { headers: { 'x-csrf': undefined } }],
  ['from another site', { headers: { 'sec-fetch-site': 'cross-site' } }],
  ['from another origin of the same site', { headers: { 'sec-fetch-site': 'same-site' } }],
  ['with a foreign Origin', { headers: { origin: 'https://evil.example' } }],
  ['with a foreign Origin, from an old browser', { headers: { origin: 'null', 'sec-fetch-site': undefined } }],
  ['that asks for permission first', { method: 'OPTIONS', headers: { 'x-csrf': undefined } }],
]

for (const [description, options] of foreign) {
  test(`a call ${description} is not forwarded`, async () => {
    await start()
    const page = await call('/api/a', options)
    assert.equal(page.json<{ code: string }>().code, 'ERR_OIDC_FOREIGN_REQUEST')
    assert.equal(api.requests.length, 0)
  })
}

test('without a user: 401, and nothing is forwarded', async () => {
  const { agent, site } = await start()
  await agent.post(`${site.url}/logout?local`, {})
  assert.equal((await call('/api/a')).status, 401)
  assert.equal(api.requests.length, 0)
})

for (const path of ['/api/../admin', '/api/%2e%2e/admin', '/api/x/../../admin', '/api/..%5cadmin/..']) {
  test(`no path leads out of the API: ${path}`, async () => {
    const { agent, site } = await start()
    const { hostname, port } = new URL(site.url)
    const cookie = agent
      .cookies(site.url)
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ')
    const headers = { cookie, 'x-csrf': '1', host: `localhost:${port}` }
    const outgoing = request({ host: hostname === 'localhost' ? '127.0.0.1' : hostname, port, path, headers }).end()
    const [response] = await once(outgoing, 'response')
    response.resume()
    for (const { url } of api.requests) assert.match(url, /^\/v1(?:\/|$)/)
  })
}

test('bodies stream both ways', async () => {
  const { agent, site } = await start()
  let received = ''
  api.take((incoming, response) => {
    incoming.on('data', chunk => {
      received += chunk
      response.write(`echo ${chunk}`)
    })
    incoming.on('end', () => response.end(' end'))
  })
  const { port } = new URL(site.url)
  const cookie = agent
    .cookies(site.url)
    .map(({ name, value }) => `${name}=${value}`)
    .join('; ')
  const headers = { cookie, 'x-csrf': '1' }
  const outgoing = request({ host: '127.0.0.1', port, path: '/api/a', method: 'POST', headers })
  const answered = once(outgoing, 'response')
  outgoing.write('one')
  await until('the first part is there', () => received === 'one')
  const [answer] = await answered
  const [chunk] = await once(answer, 'data')
  assert.equal(String(chunk), 'echo one')
  outgoing.end('two')
  await until('the rest is there', () => received === 'onetwo')
})

test('a DELETE with a chunked body keeps its body', async () => {
  const { agent, site } = await start()
  const { port } = new URL(site.url)
  const cookie = agent
    .cookies(site.url)
    .map(({ name, value }) => `${name}=${value}`)
    .join('; ')
  const headers = { cookie, 'x-csrf': '1', 'transfer-encoding': 'chunked' }
  const outgoing = request({ host: '127.0.0.1', port, path: '/api/a', method: 'DELETE', headers }).end('body')
  const [response] = await once(outgoing, 'response')
  response.resume()
  assert.deepEqual([response.statusCode, api.requests[0]?.body], [200, 'body'])
})

test('a browser that goes away ends the call to the API', async () => {
  await start()
  let isOver = false
  api.take((_incoming, response) => {
    response.write('first')
    response.on('close', () => (isOver = true))
  })
  const gone = new AbortController()
  const calling = call('/api/a', { signal: gone.signal }).catch(() => 'gone')
  await new Promise(resolve => setTimeout(resolve, 100))
  gone.abort()
  assert.equal(await calling, 'gone')
  await until('the API notices', () => isOver)
})

test('an API that is down is 502, and one that breaks off breaks off the response', async () => {
  await start()
  await api.close()
  assert.equal((await call('/api/a')).json<{ code: string }>().code, 'ERR_OIDC_API_UNAVAILABLE')
})

test('a response that breaks off does not look complete', async () => {
  await start()
  api.take((_incoming, response) => {
    response.writeHead(200, { 'content-length': '100' })
    response.write('half', () => response.destroy())
  })
  assert.equal(
    await call('/api/a').then(
      () => 'whole',
      () => 'broken',
    ),
    'broken',
  )
})

test('a call to an API that never responds is aborted', async () => {
  await start({ timeout: 100 })
  api.take(() => {})
  assert.equal((await call('/api/a')).json<{ code: string }>().code, 'ERR_OIDC_API_UNAVAILABLE')
})

test('a token that the API refuses is refreshed once, for a request without a body', async () => {
  const { token, refreshes } = await start()
  const { value } = await token()
  api.respond((sent, response) => (sent.token === value ? refuseToken(response) : void response.end('good')))
  assert.equal((await call('/api/a')).text, 'good')
  assert.equal(refreshes().length, 1)
  api.respond((_sent, response) => refuseToken(response))
  assert.equal((await call('/api/a')).status, 401)
  assert.equal(refreshes().length, 2)
  assert.equal((await call('/api/a', { method: 'POST', body: 'x' })).status, 401)
  assert.equal(refreshes().length, 2)
})

test('a token for the scope, the resource and the authorization details of the proxy goes along', async () => {
  const authorizationDetails = [{ type: 'orders', actions: ['read'] }]
  const { refreshes } = await start({ scope: 'orders', resource: 'https://orders.example.com', authorizationDetails })
  await call('/api/a')
  const { scope, resource, authorization_details: details = '' } = refreshes()[0]?.form ?? {}
  assert.deepEqual([scope, resource], ['orders', 'https://orders.example.com'])
  assert.deepEqual(JSON.parse(details), authorizationDetails)
})

test('a WebSocket is refused clearly', async () => {
  const { agent, site } = await start()
  const { port } = new URL(site.url)
  const cookie = agent
    .cookies(site.url)
    .map(({ name, value }) => `${name}=${value}`)
    .join('; ')
  const socket = connect(Number(port), '127.0.0.1')
  const lines = ['GET /api/live HTTP/1.1', 'Host: localhost', 'Connection: Upgrade', 'Upgrade: websocket', 'X-CSRF: 1']
  socket.write(`${[...lines, `Cookie: ${cookie}`].join('\r\n')}\r\n\r\n`)
  const [response] = await once(socket, 'data')
  socket.destroy()
  assert.match(String(response), /^HTTP\/1\.1 501 /)
  assert.equal(api.requests.length, 0)
})

test('behind a body parser it says so, instead of hanging', async () => {
  fixture = await startTokenFixture({
    routes(app) {
      app.use(express.text({ type: '*/*' }))
      app.use((req: Request, res, next) => fixture.site.oidc.proxy('/api', { target: api.origin })(req, res, next))
    },
  })
  await fixture.signIn()
  const page = await call('/api/a', { method: 'POST', body: 'text' })
  assert.equal(page.json<{ code: string }>().code, 'ERR_OIDC_OPTIONS')
})

test('impossible proxies are refused at start-up', async () => {
  await start()
  const oidc = openIdConnect({
    issuer: 'https://op.example.com',
    clientId: 'c',
    baseUrl: 'http://localhost:1',
    secret: secret('s'),
    log: () => {},
  })
  for (const [path, target] of [
    ['api', 'https://api.example.com'],
    ['/', 'https://api.example.com'],
    ['/api/', 'https://api.example.com'],
    ['/api', 'http://api.example.com'],
    ['/api', 'https://user@api.example.com'],
    ['/api', 'https://api.example.com?x=1'],
    ['/api', 'nonsense'],
    ['/api/../x', 'https://api.example.com'],
  ] as const) {
    assert.throws(() => oidc.proxy(path, { target }), { code: 'ERR_OIDC_OPTIONS' }, `${path} ${target}`)
  }
  await oidc.close()
})
