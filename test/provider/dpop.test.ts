import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { decodeJwt } from 'jose'
import { deriveProofKey } from '../../lib/protocol/dpop.js'
import { createProofs } from '../../lib/provider/proofs.js'
import { createProvider, type ProviderSettings } from '../../lib/provider/provider.js'
import { createProofChecks, demandNonce } from '../support/hostile-proofs.js'
import { secret } from '../support/secrets.js'
import { createLocalProvider, createSigner, json, metadataOf, type Responder, rejected, reset } from './support.js'

const signer = await createSigner('RS256', 'one')
const proofKey = deriveProofKey('ES256', randomBytes(64))
const tokens = { access_token: 'at', token_type: 'DPoP', id_token: 'a.b.c', expires_in: 60 }
const code = () => ({
  code: secret('code'),
  codeVerifier: secret('verifier'),
  redirectUri: 'https://www.test/callback',
  proofKey,
})

async function setUp(t: TestContext, changes: Partial<ProviderSettings> = {}, metadata: Record<string, unknown> = {}) {
  const local = await createLocalProvider(t, signer)
  const { server, settings, clock } = local
  server.on('/.well-known/openid-configuration', json(metadataOf(server.origin, metadata)))
  server.on('/token', json(tokens))
  server.on('/userinfo', json({ sub: 'alice' }))
  const provider = createProvider({ ...settings, ...changes })
  const checks = createProofChecks(() => clock.now().getTime() / 1000)
  const requests = (path: string) => server.seen.filter(request => request.path === path)
  const proofsAt = async (path: string, accessToken?: string) => {
    const proofs = []
    for (const request of requests(path)) proofs.push(await checks.check(request, server.origin + path, accessToken))
    return proofs
  }
  return { ...local, provider, requests, proofsAt }
}

/** Wants another nonce from the first request on, and so often. */
function wantsNonces(times: number, then: Responder, isApi = false): Responder {
  let count = 0
  return (request, res) => {
    count += 1
    if (count > times) return then(request, res)
    const { status, headers, body } = demandNonce(`nonce-${count}`, { isApi })
    res.writeHead(status, headers).end(body)
  }
}

test('a proof goes with the code, and the token has to be bound', async t => {
  const { provider, proofsAt } = await setUp(t)
  assert.deepEqual(await provider.redeemCode(code()), tokens)
  const [proof] = await proofsAt('/token')
  assert.equal(proof?.alg, 'ES256')
  assert.equal(proof?.nonce, undefined)
})

test('the type of the token is compared whatever its letter case', async t => {
  const { provider, server } = await setUp(t)
  for (const token_type of ['DPOP', 'dpop', 'dPoP']) {
    server.on('/token', json({ ...tokens, token_type }))
    assert.equal((await provider.redeemCode(code())).token_type, token_type)
  }
})

test('a bearer token, and any other that does not fit, is refused where a proof went along', async t => {
  const { provider, server } = await setUp(t)
  for (const token_type of ['Bearer', 'bearer', 'N_A', 'mac', undefined]) {
    server.on('/token', json({ ...tokens, token_type }))
    await rejected(provider.redeemCode(code()), 'ERR_OIDC_TOKEN_RESPONSE')
    await rejected(provider.refreshTokens({ refreshToken: secret('rt'), proofKey }), 'ERR_OIDC_TOKEN_RESPONSE')
    await rejected(provider.exchangeToken({ subjectToken: secret('at'), proofKey }), 'ERR_OIDC_TOKEN_RESPONSE')
  }
})

test('a bound token is refused where no proof went along', async t => {
  const { provider } = await setUp(t)
  await rejected(provider.redeemCode({ ...code(), proofKey: undefined }), 'ERR_OIDC_TOKEN_RESPONSE')
  await rejected(provider.requestClientTokens({}), 'ERR_OIDC_TOKEN_RESPONSE')
})

test('a nonce that the token endpoint wants is used at once, with a fresh proof and a fresh client assertion', async t => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { provider, server, requests, proofsAt } = await setUp(t, { clientSecret: undefined, clientKey: privateKey })
  server.on('/token', wantsNonces(1, json(tokens)))
  assert.deepEqual(await provider.redeemCode(code()), tokens)
  assert.deepEqual(
    (await proofsAt('/token')).map(proof => proof?.nonce),
    [undefined, 'nonce-1'],
  )
  const assertions = requests('/token').map(({ body }) => new URLSearchParams(body).get('client_assertion') ?? '')
  assert.equal(new Set(assertions.map(assertion => decodeJwt(assertion).jti)).size, 2)
})

test('a server that is never content with a nonce is asked twice, and then it is an error', async t => {
  const { provider, server, requests } = await setUp(t)
  server.on('/token', wantsNonces(Infinity, json(tokens)))
  server.on('/userinfo', wantsNonces(Infinity, json({ sub: 'alice' }), true))
  const error = await rejected(provider.redeemCode(code()), 'ERR_OIDC_TOKEN_RESPONSE')
  assert.match(error.message, /nonce/)
  await rejected(provider.fetchUserInfo('at', proofKey), 'ERR_OIDC_USER_INFO_RESPONSE')
  assert.deepEqual([requests('/token').length, requests('/userinfo').length], [2, 2])
})

test('a server that wants a nonce and names none is not asked again', async t => {
  const { provider, server, requests } = await setUp(t)
  for (const headers of [{}, { 'dpop-nonce': 'a b' }, { 'dpop-nonce': 'x'.repeat(1000) }]) {
    server.on('/token', (_, res) => {
      res.writeHead(400, { 'content-type': 'application/json', ...headers }).end('{"error":"use_dpop_nonce"}')
    })
    await rejected(provider.redeemCode(code()), 'ERR_OIDC_TOKEN_RESPONSE')
  }
  assert.equal(requests('/token').length, 3)
})

test('the newest nonce of an origin goes into the next proof, whichever response brought it', async t => {
  const { provider, server, proofsAt } = await setUp(t)
  const bringing =
    (nonce: string, response: Responder): Responder =>
    (request, res) => {
      res.setHeader('dpop-nonce', nonce)
      response(request, res)
    }
  server.on('/token', bringing('from-token', json(tokens)))
  server.on('/userinfo', bringing('from-userinfo', json({ sub: 'alice' })))
  await provider.redeemCode(code())
  await provider.fetchUserInfo('at', proofKey)
  await provider.redeemCode(code())
  assert.deepEqual(
    (await proofsAt('/token')).map(proof => proof?.nonce),
    [undefined, 'from-userinfo'],
  )
  assert.deepEqual(
    (await proofsAt('/userinfo', 'at')).map(proof => proof?.nonce),
    ['from-token'],
  )
})

test('userinfo gets the token by its scheme, with a proof that has its hash', async t => {
  const { provider, server, requests, proofsAt } = await setUp(t)
  server.on('/userinfo', wantsNonces(1, json({ sub: 'alice' }), true))
  assert.deepEqual(await provider.fetchUserInfo('at', proofKey), { sub: 'alice' })
  assert.deepEqual(
    requests('/userinfo').map(({ headers }) => headers.authorization),
    ['DPoP at', 'DPoP at'],
  )
  assert.deepEqual(
    (await proofsAt('/userinfo', 'at')).map(proof => proof?.nonce),
    [undefined, 'nonce-1'],
  )
})

test('a request that is made again because the connection broke has a fresh proof', async t => {
  const { provider, server, proofsAt } = await setUp(t)
  let count = 0
  server.on('/userinfo', (request, res) => {
    count += 1
    const response = count === 1 ? reset() : json({ sub: 'alice' })
    response(request, res)
  })
  await provider.fetchUserInfo('at', proofKey)
  assert.equal((await proofsAt('/userinfo', 'at')).length, 2)
})

test('a refresh and an exchange send proofs of the same key as the code', async t => {
  const { provider, server, proofsAt } = await setUp(t)
  await provider.redeemCode(code())
  server.on('/token', json({ ...tokens, issued_token_type: 'urn:ietf:params:oauth:token-type:access_token' }))
  await provider.refreshTokens({ refreshToken: secret('refresh token'), proofKey })
  await provider.exchangeToken({ subjectToken: 'at', audience: 'other', proofKey })
  const proofs = await proofsAt('/token')
  assert.equal(proofs.length, 3)
  assert.equal(new Set(proofs.map(proof => proof?.jkt)).size, 1)
})

test('nothing of the key is sent', async t => {
  const { provider, server } = await setUp(t)
  await provider.redeemCode(code())
  await provider.refreshTokens({ refreshToken: secret('refresh token'), proofKey })
  const sent = JSON.stringify(server.seen)
  assert.ok(!sent.includes(proofKey.d), 'the private key is in a request')
  for (const { headers } of server.seen.filter(({ path }) => path === '/token')) {
    const [header = ''] = String(headers.dpop).split('.')
    assert.doesNotMatch(Buffer.from(header, 'base64url').toString(), /"d"/)
  }
})

test('a provider that lists other algorithms of proofs is refused with a sentence', async t => {
  const { provider } = await setUp(t, { proofAlgorithm: 'ES256' }, { dpop_signing_alg_values_supported: ['RS256'] })
  const error = await rejected(provider.metadata(), 'ERR_OIDC_UNSUPPORTED')
  assert.match(error.message, /"ES256".*"RS256".*dpop\.algorithm/)
})

test('10 000 requests of many users in parallel: no user gets the nonce, the proof or the response of another', async () => {
  const users = Array.from({ length: 50 }, (_, id) => ({ id, key: deriveProofKey('Ed25519', randomBytes(64)) }))
  const resources = Array.from({ length: 20 }, (_, id) => `https://api-${id % 4}.test/resource/${id}`)
  const proofs = createProofs({ now: () => new Date() })
  const issued = new Map<string, string>()
  const names = new Set<string>()
  const answered = new Map<string, number>()
  const tick = () => new Promise<void>(resolve => setImmediate(resolve))

  /** The strictest server there can be: a nonce is good for one key, one address and one request. */
  async function serve(url: string, accessToken: string, proof: string) {
    if (Math.random() < 0.5) await tick()
    const [head = '', body = ''] = proof.split('.')
    const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>
    const { jwk } = read(head) as { jwk: { x: string } }
    const { nonce, htu, jti } = read(body)
    assert.equal(htu, url)
    assert.ok(!names.has(String(jti)), 'a proof came twice')
    names.add(String(jti))
    const owner = users.find(({ key }) => key.x === jwk.x)
    assert.equal(accessToken, `token of ${owner?.id}`)
    const isGood = typeof nonce === 'string' && issued.get(nonce) === `${jwk.x} ${url}`
    if (isGood) issued.delete(nonce)
    const next = randomBytes(9).toString('base64url')
    issued.set(next, `${jwk.x} ${url}`)
    if (Math.random() < 0.5) await tick()
    const headers = new Headers({ 'dpop-nonce': next })
    if (isGood) return { status: 200, headers, body: `${owner?.id} ${url}` }
    headers.set('www-authenticate', 'DPoP error="use_dpop_nonce"')
    return { status: 401, headers, body: 'refused' }
  }

  const trials = users.flatMap(user => resources.flatMap(url => Array.from({ length: 10 }, () => ({ user, url }))))
  assert.equal(trials.length, 10_000)
  await Promise.all(
    trials.map(async ({ user: { id, key }, url }) => {
      const accessToken = `token of ${id}`
      const request = { key, method: 'GET', url, accessToken }
      const response = await proofs.send(request, async proof => {
        // As long as a client assertion takes: others are answered in the meantime.
        if (Math.random() < 0.5) await tick()
        return serve(url, accessToken, proof())
      })
      assert.equal(response.body, `${id} ${url}`)
      answered.set(response.body, (answered.get(response.body) ?? 0) + 1)
    }),
  )
  assert.equal(answered.size, 1000)
})
