import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createAgent } from '../support/agent.js'
import { startProvider, type TestProvider } from '../support/provider.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { startSite } from '../support/site.js'

const signIns = [
  ['code', 'query'],
  ['code', 'form_post'],
  ['code id_token', 'form_post'],
  ['code token', 'form_post'],
  ['code id_token token', 'form_post'],
  ['id_token', 'form_post'],
] as const

describe('against oidc-provider and a real Redis', () => {
  let redis: RedisServer
  let provider: TestProvider

  before(async () => {
    redis = await startRedis()
    provider = await startProvider()
  })
  after(async () => {
    await provider.close()
    await redis.stop()
  })

  for (const [responseType, responseMode] of signIns) {
    test(`${responseType} by ${responseMode}: signed in, signed out, signed in as another user`, async () => {
      const { issuer, clientId, clientSecret } = provider
      const site = await startSite({
        oidc: {
          issuer,
          clientId,
          clientSecret,
          responseType,
          responseMode,
          redis: redis.url,
          scope: 'openid profile email',
        },
      })
      provider.register(site.url)
      const agent = createAgent()
      try {
        const tokensBefore = provider.count('token')
        provider.user = 'alice'
        const page = await agent.visit(`${site.url}/claims`)
        assert.equal(page.status, 200, `${page.text} ${provider.errors.join()}`)
        const claims = page.json<Record<string, unknown>>()
        for (const name of ['iss', 'aud', 'exp', 'iat', 'nonce', 'c_hash', 'at_hash', 's_hash', 'azp']) {
          assert.ok(!(name in claims), `${name} is stripped`)
        }
        assert.equal(claims.sub, 'alice')
        if (responseType !== 'id_token') assert.equal(claims.email, 'alice@example.com')
        assert.equal(provider.count('token') - tokensBefore, responseType === 'id_token' ? 0 : 1)

        for (let out = await agent.post(`${site.url}/logout`, {}); out.forms[0]?.isAutomatic; )
          out = await agent.submitForm()
        const user = await agent.fetch(`${site.url}/user`)
        assert.equal(user.json<{ isAuthenticated: boolean }>().isAuthenticated, false)
        provider.user = 'bob'
        assert.equal((await agent.visit(`${site.url}/claims`)).json<{ sub: string }>().sub, 'bob')
      } finally {
        await site.close()
      }
    })
  }
})
