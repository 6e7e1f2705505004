import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { type Agent, createAgent } from '../support/agent.js'
import { openFixture } from '../support/handler-fixture.js'
import { createProofChecks, demandNonce } from '../support/hostile-proofs.js'
import type { EndpointResponse, RecordedRequest } from '../support/hostile-provider.js'
import { json, record } from '../support/hostile-responses.js'
import { startLoopbackServer } from '../support/loopback-server.js'
import { scale } from './scale.js'

const USERS = 10
const RESOURCES = 10
/** Of each kind: a call of an API, and an exchange of the token. 200 trials in all, and 10,000 in the long run. */
const ROUNDS = scale === 1 ? 1 : 5 * scale

/** Trials that run at the same time: more connections than a server accepts at once are reset. */
const AT_ONCE = 200

const hashOf = (text: string) => createHash('sha256').update(text).digest('base64url')

/** The public key in the header of a proof. */
function keyOf({ headers }: RecordedRequest): string {
  const [header = ''] = String(headers.dpop).split('.')
  return (JSON.parse(Buffer.from(header, 'base64url').toString()) as { jwk: { x: string } }).jwk.x
}

function nonceOf({ headers }: RecordedRequest): string | undefined {
  const [, body = ''] = String(headers.dpop).split('.')
  return (JSON.parse(Buffer.from(body, 'base64url').toString()) as { nonce?: string }).nonce
}

/** The strictest server there can be: a nonce is good for one key, one address and one request. */
function createStrictNonces(isApi: boolean) {
  const issued = new Map<string, string>()
  return (request: RecordedRequest, good: () => EndpointResponse): EndpointResponse => {
    const place = `${keyOf(request)} ${request.url}`
    const nonce = nonceOf(request)
    const isGood = nonce !== undefined && issued.get(nonce) === place
    if (isGood) issued.delete(nonce)
    const next = randomBytes(9).toString('base64url')
    issued.set(next, place)
    if (!isGood) return demandNonce(next, { isApi })
    const response = good()
    return { ...response, headers: { ...response.headers, 'dpop-nonce': next } }
  }
}

async function startApi() {
  const checks = createProofChecks(() => Math.floor(Date.now() / 1000))
  const strict = createStrictNonces(true)
  const problems: string[] = []
  const server = await startLoopbackServer(async (incoming, response) => {
    const request = await record(incoming)
    const [, token = ''] = (request.headers.authorization ?? '').split(' ')
    await checks.check(request, request.url, token).catch(error => problems.push(String(error)))
    const { status, headers, body } = strict(request, () => json(200, { key: keyOf(request), token: hashOf(token) }))
    setImmediate(() => response.writeHead(status, headers).end(body))
  })
  return { origin: `http://127.0.0.1:${server.port}`, problems, close: server.stop }
}

test('CVE-2026-40155: users, resources and exchanges in parallel: no user gets the nonce, the proof or the token of another', async () => {
  const api = await startApi()
  const exchanges = createStrictNonces(false)
  const exchange = (request: RecordedRequest) =>
    exchanges(request, () =>
      json(200, {
        access_token: `exchanged.${keyOf(request)}.${request.form.audience}`,
        issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        token_type: 'DPoP',
        expires_in: 60,
      }),
    )
  const fixture = await openFixture({
    oidc: { dpop: true, responseType: 'code', apis: [api.origin] },
    site: {
      routes(app) {
        app.get('/api', (req, res, next) => {
          req.oidc
            .fetch(`${api.origin}/${req.query.resource}`)
            .then(async response => res.status(response.status).json(await response.json()), next)
        })
        app.get('/exchange', (req, res, next) => {
          req.oidc.exchange({ audience: String(req.query.resource) }).then(({ value }) => res.json({ value }), next)
        })
      },
    },
  })
  const { site, provider } = fixture
  try {
    const users = await Promise.all(Array.from({ length: USERS }, () => signIn(site.url)))
    provider.break({
      token: {
        respond: (response, request) =>
          request.form.grant_type?.endsWith('token-exchange') ? exchange(request) : response,
      },
    })
    const trials = users.flatMap(user =>
      Array.from({ length: RESOURCES * ROUNDS }, (_, index) => ({
        ...user,
        resource: `r${index % RESOURCES}-${index}`,
      })),
    )
    const keys = new Set<string>()
    const run = async ({ agent, token, resource }: (typeof trials)[number]) => {
      const called = await agent.fetch(`${site.url}/api?resource=${resource}`, { from: site.url })
      assert.equal(called.status, 200, called.text)
      const seen = called.json<{ key: string; token: string }>()
      assert.equal(seen.token, token, 'the token of another user')
      keys.add(`${seen.token} ${seen.key}`)
      const exchanged = await agent.fetch(`${site.url}/exchange?resource=${resource}`, { from: site.url })
      assert.equal(exchanged.status, 200, exchanged.text)
      const { value } = exchanged.json<{ value: string }>()
      assert.equal(value, `exchanged.${seen.key}.${resource}`, 'an exchange with the key of another user')
    }
    const waiting = trials.values()
    const work = async () => {
      for (const trial of waiting) await run(trial)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    assert.equal(trials.length, USERS * RESOURCES * ROUNDS)
    assert.equal(keys.size, USERS, 'a user has another key at times')
    assert.deepEqual(api.problems, [])
  } finally {
    await fixture.close()
    await api.close()
  }
})

async function signIn(url: string): Promise<{ readonly agent: Agent; readonly token: string }> {
  const agent = createAgent()
  assert.equal((await agent.visit(`${url}/claims`)).status, 200)
  const page = await agent.fetch(`${url}/token`)
  return { agent, token: hashOf(page.json<{ value: string }>().value) }
}
