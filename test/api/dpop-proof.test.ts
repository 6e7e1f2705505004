import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Express } from 'express'
import type { OidcOptions } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import { createProofChecks, demandNonce, type ProofChecks } from '../support/hostile-proofs.js'
import { answering, startTokenFixture, type TokenFixture } from '../tokens/token-fixture.js'
import { type Api, startApi } from './api.js'

let api: Api
let fixture: TokenFixture
let checks: ProofChecks

/** The site calls the API with a client of its own. */
function routes(app: Express): void {
  app.get(
    '/call',
    answering(async req => {
      const url = `${api.origin}/orders?id=1`
      const token = await req.oidc.accessToken()
      const call = async (nonce?: string) => {
        const dpop = await req.oidc.dpopProof({ method: 'POST', url, token, ...(nonce && { nonce }) })
        const headers = { authorization: `${token.type} ${token.value}`, ...(dpop && { dpop }) }
        return fetch(url, { method: 'POST', headers })
      }
      const first = await call()
      const nonce = first.headers.get('dpop-nonce') ?? undefined
      const response = first.status === 401 && nonce !== undefined ? await call(nonce) : first
      return { status: response.status, text: await response.text() }
    }),
  )
  app.get(
    '/proof',
    answering(async req => (await req.oidc.dpopProof({ method: 'GET', url: new URL(api.origin) })) ?? null),
  )
  app.get(
    '/wrong',
    answering(async req => req.oidc.dpopProof(JSON.parse(String(req.query.options)) as never)),
  )
  app.get(
    '/copied',
    answering(async req => {
      const token = { ...(await req.oidc.accessToken()) }
      return req.oidc.dpopProof({ method: 'GET', url: api.origin, token })
    }),
  )
}

async function start(oidc: OidcOptions = { dpop: true }): Promise<void> {
  api = await startApi()
  fixture = await startTokenFixture({ provider: { refreshTokens: 'always' }, oidc, routes })
  checks = createProofChecks(fixture.now)
}

/** Takes what a verifying resource server takes. */
function verify(nonces: { current: string } | undefined = undefined): void {
  api.respond(({ method, headers, url }, response) => {
    const [scheme, token] = (headers.authorization ?? '').split(' ')
    const target = api.origin + url.replace(/\?.*/, '')
    checks.check({ method, headers }, target, token).then(
      proven => {
        if (scheme !== 'DPoP' || proven === undefined) return response.writeHead(401).end('no proof')
        if (nonces !== undefined && proven.nonce !== nonces.current) {
          const challenge = demandNonce(nonces.current, { isApi: true })
          return response.writeHead(challenge.status, challenge.headers).end(challenge.body)
        }
        return response.end(proven.jkt)
      },
      error => response.writeHead(400).end(String(error)),
    )
  })
}

afterEach(async () => {
  assert.deepEqual(fixture.provider.problems, [])
  await fixture.close()
  await api.close()
})

const call = async (agent = fixture.agent) =>
  (await agent.fetch(`${fixture.site.url}/call`)).json<{ status: number; text: string }>()

describe('req.oidc.dpopProof', () => {
  beforeEach(() => start())

  test('makes a fresh proof for every call that a resource server takes, with the key of the session', async () => {
    await fixture.signIn()
    verify()
    for (let count = 0; count < 3; count += 1) assert.equal((await call()).status, 200)
    const keys = new Set([...checks.seen, ...fixture.provider.proofs].map(({ jkt }) => jkt))
    assert.deepEqual([checks.seen.length, keys.size], [3, 1])
  })

  test('has the nonce that the API asks for, and remembers it', async () => {
    await fixture.signIn()
    const nonces = { current: 'nonce-1' }
    verify(nonces)
    assert.equal((await call()).status, 200)
    assert.equal((await call()).status, 200)
    nonces.current = 'nonce-2'
    assert.equal((await call()).status, 200)
    assert.deepEqual(
      checks.seen.map(({ nonce }) => nonce),
      [undefined, 'nonce-1', 'nonce-1', 'nonce-1', 'nonce-2'],
    )
  })

  test('signs for each user with the key of that user, also where all ask at once', async () => {
    verify()
    const agents = Array.from({ length: 5 }, () => createAgent({ now: () => fixture.now() * 1000 }))
    for (const agent of agents) assert.equal((await agent.visit(`${fixture.site.url}/claims`)).status, 200)
    const rounds = await Promise.all(Array.from({ length: 10 }, () => Promise.all(agents.map(agent => call(agent)))))
    const keysOf = agents.map((_, index) => new Set(rounds.map(round => round[index]?.text)))
    assert.ok(keysOf.every(({ size }) => size === 1))
    assert.equal(new Set(keysOf.flatMap(keys => [...keys])).size, agents.length)
  })

  test('takes the current token where none is given, and shows no private key', async () => {
    await fixture.signIn()
    const proof = (await fixture.agent.fetch(`${fixture.site.url}/proof`)).json<string>()
    const [header = ''] = proof.split('.')
    const { jwk } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { jwk: object }
    assert.deepEqual(Object.keys(jwk).sort(), ['crv', 'kty', 'x', 'y'])
  })

  test('refuses a copy of a token, which has no key, and options that it does not understand', async () => {
    await fixture.signIn()
    const failed = await fixture.agent.fetch(`${fixture.site.url}/copied`)
    assert.equal(failed.json<{ code: string }>().code, 'ERR_OIDC_OPTIONS')
    assert.doesNotMatch(String(fixture.site.errors[0]), /eyJ|access token/)
    for (const options of [
      {},
      { method: 'GET' },
      { url: api.origin },
      { method: 'get', url: api.origin },
      { method: 'GET', url: '/orders' },
      { method: 'GET', url: 'ftp://api.example' },
      { method: 'GET', url: api.origin, nonce: 'a "b"' },
      { method: 'GET', url: api.origin, nonse: 'x' },
      { method: 'GET', url: api.origin, token: 'text' },
    ]) {
      const query = encodeURIComponent(JSON.stringify(options))
      const page = await fixture.agent.fetch(`${fixture.site.url}/wrong?options=${query}`)
      assert.equal(page.json<{ code: string }>().code, 'ERR_OIDC_OPTIONS', JSON.stringify(options))
    }
  })

  test('is for users who are signed in', async () => {
    const page = await fixture.agent.fetch(`${fixture.site.url}/proof`)
    assert.equal(page.json<{ code: string }>().code, 'ERR_OIDC_LOGIN_REQUIRED')
  })
})

test('a bearer token needs no proof', async () => {
  await start({})
  await fixture.signIn()
  assert.equal((await fixture.agent.fetch(`${fixture.site.url}/proof`)).json(), null)
})
