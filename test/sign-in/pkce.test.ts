import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startAttempt } from '../attacks/fixture.js'
import { createAgent } from '../support/agent.js'
import { withFixture } from '../support/handler-fixture.js'
import { startHostileProvider } from '../support/hostile-provider.js'
import { startProvider } from '../support/provider.js'
import { startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { startSite } from '../support/site.js'

const responseTypes = ['code', 'code id_token', 'code token', 'code id_token token'] as const

describe('without PKCE', () => {
  test('each response type with a code signs in at oidc-provider, and a verifier is never sent', async () => {
    const provider = await startProvider({ pkceRequired: false })
    const { issuer, clientId, clientSecret } = provider
    try {
      for (const responseType of responseTypes) {
        const site = await startSite({ oidc: { issuer, clientId, clientSecret, responseType, pkce: false } })
        provider.register(site.url)
        try {
          const page = await createAgent().visit(`${site.url}/claims`)
          assert.equal(page.status, 200, `${responseType}: ${page.text} ${provider.errors.join()}`)
          const [authorize] = provider.requests.filter(({ path }) => path.startsWith('/authorize')).slice(-1)
          assert.ok(authorize !== undefined && !authorize.path.includes('code_challenge'))
        } finally {
          await site.close()
        }
      }
    } finally {
      await provider.close()
    }
  })

  test(
    'a provider that refuses code_verifier signs people in, refreshes their tokens and signs them out',
    withFixture(
      {
        provider: { pkce: 'refused' },
        oidc: { pkce: false, scope: 'openid offline_access' },
        site: {
          routes: app =>
            app.get('/fresh', (req, res) => req.oidc.accessToken({ forceRefresh: true }).then(t => res.json(t.scope))),
        },
      },
      async ({ provider, site, agent }) => {
        assert.equal((await agent.visit(`${site.url}/claims`)).status, 200)
        assert.equal((await agent.fetch(`${site.url}/fresh`)).status, 200)
        assert.ok(provider.requestsTo('token').some(({ form }) => form.grant_type === 'refresh_token'))
        for (let out = await agent.post(`${site.url}/logout`, {}); out.forms[0]?.isAutomatic; )
          out = await agent.submitForm()
        assert.equal((await agent.fetch(`${site.url}/claims`)).status, 401)
        assert.deepEqual(provider.problems, [])
      },
    ),
  )

  test(
    'with PKCE the same provider refuses every code, and the log says what to set',
    withFixture({ provider: { pkce: 'refused' }, site: { handlesErrors: false } }, async ({ site, agent }) => {
      const page = await agent.visit(`${site.url}/claims`)
      assert.equal(page.status, 400)
      assert.match(site.log.join('\n'), /ERR_OIDC_CODE_REJECTED.*pkce: false.*HybridWithProofKey/)
      assert.doesNotMatch(page.text, /pkce|verifier/)
    }),
  )

  test('an attempt ends as it was begun, when PKCE is switched on or off by a deployment in between', async () => {
    const provider = await startHostileProvider({ pkce: 'optional' })
    const redis = await startRedis()
    const { issuer, clientId, clientSecret } = provider
    const oidc = { issuer, clientId, clientSecret, redis: redis.url, secret: secret('shared secret') }
    try {
      for (const begunWith of [false, true]) {
        const before = await startSite({ oidc: { ...oidc, pkce: begunWith } })
        const agent = createAgent()
        await startAttempt({ site: before }, agent)
        await before.close()
        const after = await startSite({ oidc: { ...oidc, pkce: !begunWith }, port: Number(new URL(before.url).port) })
        try {
          const page = await agent.submitForm()
          assert.equal(page.status, 200, `begun with ${begunWith}: ${page.text}`)
          assert.equal(provider.requestsTo('token').at(-1)?.form.code_verifier !== undefined, begunWith)
        } finally {
          await after.close()
        }
      }
    } finally {
      await provider.close()
      await redis.stop()
    }
  })
})
