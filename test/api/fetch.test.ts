import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import type { Request } from 'express'
import type { ApiFetchOptions } from '../../lib/index.js'
import { answering, startTokenFixture, type TokenFixture } from '../tokens/token-fixture.js'
import { type Api, refuseToken, startApi } from './api.js'

let api: Api
let other: Api
let fixture: TokenFixture
let call: (req: Request) => Promise<Response>

interface Called {
  readonly status: number
  readonly response: { readonly status?: number; readonly text?: string; readonly code?: string }
}

beforeEach(async () => {
  api = await startApi()
  other = await startApi()
  fixture = await startTokenFixture({
    oidc: { apis: [api.origin] },
    routes(app) {
      app.get(
        '/call',
        answering(async req => {
          const response = await call(req)
          return { status: response.status, text: await response.text() }
        }),
      )
    },
  })
  await fixture.signIn()
})

afterEach(async () => {
  await fixture.close()
  await api.close()
  await other.close()
})

async function calls(work: (req: Request) => Promise<Response>): Promise<Called> {
  call = work
  const page = await fixture.agent.fetch(`${fixture.site.url}/call`)
  return { status: page.status, response: page.json() }
}

const fetches = (path: string, init?: RequestInit, options?: ApiFetchOptions) =>
  calls(req => req.oidc.fetch(api.origin + path, init, options))

test('the token goes along, and so does everything else', async () => {
  await fetches('/orders?a=1', { method: 'POST', body: 'text', headers: { 'x-own': '1', authorization: 'Basic x' } })
  const { value } = await fixture.token()
  const [request] = api.requests
  assert.deepEqual(
    [request?.method, request?.url, request?.body, request?.headers['x-own'], request?.token],
    ['POST', '/orders?a=1', 'text', '1', value],
  )
})

for (const [description, address] of [
  ['another origin', () => other.origin],
  ['another port', () => `${api.origin.slice(0, -1)}`],
  ['another scheme', () => api.origin.replace('http:', 'https:')],
  ['a name in front', () => api.origin.replace('//', '//user@')],
  ['a relative address', () => '/orders'],
  ['a file', () => 'file:///etc/passwd'],
] as const) {
  test(`the token goes nowhere else: ${description}`, async () => {
    const { response } = await calls(req => req.oidc.fetch(`${address()}`))
    assert.equal(response.code, 'ERR_OIDC_API_ORIGIN')
    assert.equal(other.requests.length + api.requests.length, 0)
  })
}

test('a redirect to another origin is handed over, not followed', async () => {
  api.respond((_request, response) => void response.writeHead(302, { location: `${other.origin}/steal` }).end())
  assert.equal((await fetches('/a')).response.status, 302)
  assert.equal(other.requests.length, 0)
})

test('a redirect within the origin is followed with the token, for GET', async () => {
  api.respond((request, response) => {
    if (request.url === '/a') response.writeHead(307, { location: '/b' }).end()
    else response.end('there')
  })
  assert.equal((await fetches('/a')).response.text, 'there')
  assert.equal((await fetches('/a', { method: 'POST', body: 'x' })).response.status, 307)
  assert.equal((await fetches('/a', { redirect: 'manual' })).response.status, 307)
  assert.equal((await fetches('/a', { redirect: 'error' })).status, 500)
})

test('redirects in a circle come to an end', async () => {
  api.respond((_request, response) => void response.writeHead(302, { location: '/again' }).end())
  assert.equal((await fetches('/a')).response.status, 302)
  assert.equal(api.requests.length, 6)
})

test('a 401 that says the token is invalid: one refresh, one more attempt', async () => {
  const { value } = await fixture.token()
  api.respond((request, response) =>
    request.token === value ? refuseToken(response) : void response.end(request.body),
  )
  const { response } = await fetches('/a', { method: 'POST', body: 'again' })
  assert.deepEqual([response.status, response.text], [200, 'again'])
  assert.deepEqual([api.requests.length, fixture.refreshes().length], [2, 1])
})

const form = new FormData()
form.set('a', '1')
for (const [name, body, method, expected] of [
  ['no body', undefined, 'GET', ''],
  ['null', null, 'GET', ''],
  ['text', 'text', 'POST', 'text'],
  ['parameters', new URLSearchParams({ a: '1' }), 'POST', 'a=1'],
  ['a form', form, 'POST', /name="a"/],
  ['a blob', new Blob(['blob']), 'POST', 'blob'],
  ['a buffer', new TextEncoder().encode('buffer').buffer, 'POST', 'buffer'],
  ['bytes', new TextEncoder().encode('bytes'), 'POST', 'bytes'],
] as const) {
  test(`a call with ${name} is made again after a refresh, with all that belongs to it`, async () => {
    const { value } = await fixture.token()
    api.respond((request, response) => (request.token === value ? refuseToken(response) : void response.end('good')))
    const init = { method, ...(body !== undefined && { body }) } as RequestInit
    assert.equal((await fetches('/a', init)).response.text, 'good')
    assert.equal(api.requests.length, 2)
    for (const request of api.requests) {
      if (expected instanceof RegExp) assert.match(request.body, expected)
      else assert.equal(request.body, expected)
    }
  })
}

test('an API that refuses every token is called twice, and its response is returned', async () => {
  api.respond((_request, response) => refuseToken(response))
  const { response } = await fetches('/a')
  assert.deepEqual([response.status, response.text], [401, 'expired'])
  assert.deepEqual([api.requests.length, fixture.refreshes().length], [2, 1])
})

test('many calls that are refused at once share one refresh', async () => {
  const { value } = await fixture.token()
  api.respond((request, response) => (request.token === value ? refuseToken(response) : void response.end('good')))
  call = req => req.oidc.fetch(`${api.origin}/a`)
  const pages = await Promise.all(Array.from({ length: 20 }, () => fixture.agent.fetch(`${fixture.site.url}/call`)))
  for (const page of pages) assert.equal(page.json<{ status: number }>().status, 200)
  assert.equal(fixture.refreshes().length, 1)
})

for (const [description, status, challenge] of [
  ['a 401 for another reason', 401, 'Bearer error="insufficient_scope"'],
  ['a 401 without a reason', 401, undefined],
  ['a 403', 403, 'Bearer error="invalid_token"'],
] as const) {
  test(`${description} is no reason to refresh`, async () => {
    api.respond((_request, response) => {
      response.writeHead(status, challenge === undefined ? {} : { 'www-authenticate': challenge }).end()
    })
    assert.equal((await fetches('/a')).response.status, status)
    assert.deepEqual([api.requests.length, fixture.refreshes().length], [1, 0])
  })
}

test('a stream is sent as it comes, and not sent again', async () => {
  api.respond((_request, response) => refuseToken(response))
  const { response } = await calls(req => {
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('part one, '))
        controller.enqueue(new TextEncoder().encode('part two'))
        controller.close()
      },
    })
    return req.oidc.fetch(`${api.origin}/a`, { method: 'POST', body })
  })
  assert.equal(response.status, 401)
  assert.deepEqual([api.requests.length, api.requests[0]?.body], [1, 'part one, part two'])
})

test('a response is returned before its body has ended', async () => {
  let finish = () => {}
  api.take((_request, response) => {
    response.write('first')
    finish = () => void response.end(' last')
  })
  const { response } = await calls(async req => {
    const response = await req.oidc.fetch(`${api.origin}/a`)
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    const { value } = await reader.read()
    assert.equal(Buffer.from(value ?? []).toString(), 'first')
    finish()
    const rest = await reader.read()
    return new Response(Buffer.from(rest.value ?? []).toString())
  })
  assert.equal(response.text, ' last')
})

test('a failed refresh leaves the response of the API; one that ends the session is an error', async () => {
  api.respond((_request, response) => refuseToken(response))
  fixture.provider.break({ token: { status: 503 } })
  assert.equal((await fetches('/a')).response.status, 401)
  fixture.provider.heal()
  fixture.advance(5)
  fixture.provider.revokeGrants()
  const { status, response } = await fetches('/a')
  assert.deepEqual([status, response.code], [401, 'ERR_OIDC_REFRESH_REJECTED'])
})

test('a token for a resource goes along when asked for', async () => {
  await fetches('/a', {}, { resource: 'https://orders.example.com' })
  assert.equal(fixture.refreshes()[0]?.form.resource, 'https://orders.example.com')
  assert.notEqual(api.requests[0]?.token, (await fixture.token()).value)
})

test('without a user there is no call', async () => {
  await fixture.agent.post(`${fixture.site.url}/logout?local`, {})
  assert.equal((await fetches('/a')).response.code, 'ERR_OIDC_LOGIN_REQUIRED')
  assert.equal(api.requests.length, 0)
})
