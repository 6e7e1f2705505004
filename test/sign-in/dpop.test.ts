import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { decodeProtectedHeader } from 'jose'
import { createAgent } from '../support/agent.js'
import { startProvider, type TestProvider } from '../support/provider.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { startSite } from '../support/site.js'

describe('DPoP against oidc-provider and a real Redis', () => {
  let redis: RedisServer
  let provider: TestProvider

  before(async () => {
    const client = { dpop_bound_access_tokens: true, response_types: ['code', 'code id_token'] }
    redis = await startRedis()
    provider = await startProvider({ proofNonces: true, client })
  })
  after(async () => {
    await provider.close()
    await redis.stop()
  })

  const optionsOf = ({ issuer, clientId, clientSecret }: TestProvider) => ({
    issuer,
    clientId,
    clientSecret,
    redis: redis.url,
    scope: 'openid profile offline_access',
    dpop: true,
  })
  const proofsAt = (path: string) =>
    provider.requests.filter(request => request.path === path).map(({ headers }) => String(headers.dpop))

  for (const dpop of [true, { algorithm: 'EdDSA' }, { algorithm: 'Ed25519' }] as const) {
    const algorithm = dpop === true ? 'ES256' : dpop.algorithm
    for (const responseType of ['code', 'code id_token']) {
      test(`a sign-in by ${responseType} with proofs of ${algorithm}, at a provider that wants nonces`, async () => {
        const hooked: unknown[] = []
        const hooks = { signIn: ({ tokens }: { tokens: object }) => void hooked.push(tokens) }
        const site = await startSite({ oidc: { ...optionsOf(provider), dpop, responseType, hooks } })
        provider.register(site.url)
        const [tokenCalls, userInfoCalls] = [proofsAt('/token').length, proofsAt('/userinfo').length]
        try {
          const page = await createAgent().visit(`${site.url}/claims`)
          assert.equal(page.status, 200, `${page.text} ${provider.errors.join()}`)
          const proofs = [...proofsAt('/token').slice(tokenCalls), ...proofsAt('/userinfo').slice(userInfoCalls)]
          assert.ok(proofs.length >= 2, `${proofs.length} proofs`)
          assert.equal(new Set(proofs).size, proofs.length)
          for (const proof of proofs) assert.equal(decodeProtectedHeader(proof).alg, algorithm)
          assert.equal((hooked[0] as { tokenType: string }).tokenType, 'DPoP')
          assert.ok(!('proofKey' in Object(hooked[0])), 'a hook gets the key')
        } finally {
          await site.close()
        }
      })
    }
  }

  test('a sign-in that begins in one process ends in another, with the key of its beginning', async () => {
    const shared = { ...optionsOf(provider), secret: secret('session secret') }
    const first = await startSite({ oidc: shared })
    const second = await startSite({ oidc: { ...shared, baseUrl: first.url, dpop: false } })
    provider.register(first.url)
    const agent = createAgent()
    try {
      const form = await agent.open(`${first.url}/claims`)
      const { action = '', fields = [] } = form.forms[0] ?? {}
      assert.ok(form.hops.some(({ url }) => /[?&]dpop_jkt=[\w-]{43}(&|$)/.test(url)))
      const cookies = agent
        .cookies(first.url)
        .map(({ name, value }) => `${name}=${value}`)
        .join('; ')
      const response = await fetch(action.replace(first.url, second.url), {
        method: 'POST',
        body: new URLSearchParams(Object.fromEntries(fields)),
        headers: { cookie: cookies },
        redirect: 'manual',
      })
      assert.equal(response.status, 303, `${await response.text()} ${second.log.join()}`)
    } finally {
      await first.close()
      await second.close()
    }
  })
})
