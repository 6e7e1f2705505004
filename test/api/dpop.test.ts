import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Request } from 'express'
import { createProofChecks, demandNonce, type Proven } from '../support/hostile-proofs.js'
import { answering, startTokenFixture, type TokenFixture } from '../tokens/token-fixture.js'
import { type Api, type ApiRequest, refuseToken, startApi } from './api.js'

let api: Api
let fixture: TokenFixture
let call: (req: Request) => Promise<Response>

beforeEach(async () => {
  api = await startApi()
  fixture = await startTokenFixture({
    provider: { refreshTokens: 'always' },
    oidc: { apis: [api.origin], dpop: true },
    routes(app) {
      app.get(
        '/call',
        answering(async req => {
          const response = await call(req)
          return { status: response.status, text: await response.text() }
        }),
      )
      app.use((req, res, next) =>
        fixture.site.oidc.proxy('/api', { target: `${api.origin}/v1`, headers: ['X-Own'] })(req, res, next),
      )
    },
  })
  await fixture.signIn()
})

afterEach(async () => {
  assert.deepEqual(fixture.provider.problems, [])
  await fixture.close()
  await api.close()
})

/** Checks every request as an API does, in the order they came. */
async function proofsAtApi(requests: readonly ApiRequest[] = api.requests): Promise<(Proven | undefined)[]> {
  const checks = createProofChecks(fixture.now)
  const proofs = []
  for (const { method, headers, url } of requests) {
    const [scheme, token] = (headers.authorization ?? '').split(' ')
    assert.equal(scheme, 'DPoP')
    proofs.push(await checks.check({ method, headers }, api.origin + url.replace(/\?.*/, ''), token))
  }
  const keys = new Set([...proofs, ...fixture.provider.proofs].map(proof => proof?.jkt))
  assert.equal(keys.size, 1, 'another key than that of the sign-in')
  return proofs
}

/** Wants a nonce from the first request on, and so often. */
function wantNonces(times: number, scheme = 'DPoP'): void {
  let count = 0
  api.respond((_request, response) => {
    count += 1
    if (count > times) return void response.setHeader('dpop-nonce', `next-${count}`).end('good')
    const { status, headers, body } = demandNonce(`nonce-${count}`, { isApi: true, scheme })
    response.writeHead(status, headers).end(body)
  })
}

describe('req.oidc.fetch with a token that is bound to a key', () => {
  async function fetches(path: string, init: () => RequestInit = () => ({})) {
    call = req => req.oidc.fetch(api.origin + path, init())
    return (await fixture.agent.fetch(`${fixture.site.url}/call`)).json<{ status: number; text: string }>()
  }

  test('sends a proof for this very request, whatever the caller set', async () => {
    await fetches('/orders?a=1', () => ({
      method: 'post',
      body: 'x',
      headers: { dpop: 'mine', authorization: 'Basic x' },
    }))
    await fetches('/orders', () => ({ method: 'PATCH', body: 'x' }))
    assert.deepEqual(
      (await proofsAtApi()).map(proof => proof?.nonce),
      [undefined, undefined],
    )
  })

  test('answers a nonce challenge of any letter case at once, and keeps the nonce for later', async () => {
    for (const scheme of ['DPoP', 'dPoP', 'DPOP']) {
      wantNonces(1, scheme)
      assert.deepEqual(await fetches('/a', () => ({ method: 'PUT', body: 'text' })), { status: 200, text: 'good' })
    }
    const nonces = (await proofsAtApi()).map(proof => proof?.nonce)
    assert.deepEqual(nonces, [undefined, 'nonce-1', 'next-2', 'nonce-1', 'next-2', 'nonce-1'])
    assert.deepEqual(
      api.requests.map(({ body }) => body),
      Array.from(nonces, () => 'text'),
    )
  })

  test('hands over the second challenge in a row', async () => {
    wantNonces(Infinity)
    assert.equal((await fetches('/a')).status, 401)
    assert.equal(api.requests.length, 2)
    assert.equal(fixture.refreshes().length, 0)
  })

  test('does not send a stream again, and the next request has the nonce', async () => {
    wantNonces(1)
    const stream = () => ({ method: 'POST', body: new Blob(['part']).stream() })
    assert.equal((await fetches('/a', stream)).status, 401)
    assert.equal((await fetches('/a', stream)).status, 200)
    assert.deepEqual(
      (await proofsAtApi()).map(proof => proof?.nonce),
      [undefined, 'nonce-1'],
    )
  })

  test('has a proof of its own for each step of a redirect', async () => {
    api.respond(({ url }, response) => {
      if (url === '/b?x=1') response.end('there')
      else response.writeHead(302, { location: '/b?x=1' }).end()
    })
    assert.deepEqual(await fetches('/a'), { status: 200, text: 'there' })
    assert.equal((await proofsAtApi()).length, 2)
  })

  test('refreshes a token that the API refuses, with the same key', async () => {
    let count = 0
    api.respond((_request, response) => {
      count += 1
      if (count === 1) refuseToken(response)
      else response.end('good')
    })
    assert.equal((await fetches('/a')).status, 200)
    assert.equal(fixture.refreshes().length, 1)
    assert.equal((await proofsAtApi()).length, 2)
  })
})

describe('oidc.proxy with a token that is bound to a key', () => {
  const calls = (path: string, { headers, ...options }: { method?: string; body?: string; headers?: object } = {}) =>
    fixture.agent.fetch(`${fixture.site.url}/api${path}`, { ...options, headers: { 'x-csrf': '1', ...headers } })

  test('sends a proof for the request as the API gets it, and none that a script made', async () => {
    await calls('/orders/7?a=1', { headers: { dpop: 'mine', 'x-own': 'yes' } })
    await calls('/orders%20b', { method: 'DELETE' })
    assert.equal((await proofsAtApi()).length, 2)
    assert.equal(api.requests[0]?.headers['x-own'], 'yes')
  })

  test('answers a nonce challenge at once, with a small body as well, and no nonce reaches the browser', async () => {
    wantNonces(1)
    const page = await calls('/a', { method: 'POST', body: 'text' })
    assert.deepEqual([page.status, page.text, page.headers['dpop-nonce']], [200, 'good', undefined])
    wantNonces(1)
    assert.equal((await calls('/a')).status, 200)
    assert.deepEqual(
      (await proofsAtApi()).map(proof => proof?.nonce),
      [undefined, 'nonce-1', 'next-2', 'nonce-1'],
    )
    assert.deepEqual(
      api.requests.map(({ body }) => body),
      ['text', 'text', '', ''],
    )
  })

  test('passes on the second challenge in a row, and what it cannot send again', async () => {
    wantNonces(Infinity)
    assert.equal((await calls('/a')).status, 401)
    assert.equal(api.requests.length, 2)
    const page = await calls('/a', { method: 'POST', body: 'x'.repeat(65 * 1024) })
    assert.deepEqual(
      [page.status, page.headers['www-authenticate'], page.headers['dpop-nonce']],
      [401, undefined, undefined],
    )
    assert.equal(api.requests.length, 3)
    assert.equal((await proofsAtApi()).length, 3)
  })

  test('refreshes a token that the API refuses, with the same key, and sends a small body again', async () => {
    let count = 0
    api.respond((_request, response) => {
      count += 1
      if (count === 1) refuseToken(response)
      else response.end('good')
    })
    assert.equal((await calls('/a', { method: 'POST', body: 'text' })).status, 200)
    assert.deepEqual([fixture.refreshes().length, (await proofsAtApi()).length], [1, 2])
  })
})
