import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Claims } from '../support/hostile-provider.js'
import { startTokenFixture, type TokenFixture } from '../tokens/token-fixture.js'
import { type ResponseType, withCode } from './suite.js'

const idTokenOf = (change: (claims: Claims) => Claims) => ({ refreshedIdToken: change })

async function inSite(responseType: ResponseType, run: (fixture: TokenFixture) => Promise<void>): Promise<void> {
  const fixture = await startTokenFixture({
    oidc: { responseType, userInfo: { token: 'token-endpoint' } },
    provider: { sendsIss: false, refreshTokens: 'always' },
    routes: app => {
      app.get('/renewed', (req, res, next) => {
        req.oidc.userInfo({ refresh: true }).then(userInfo => res.json(userInfo), next)
      })
    },
  })
  try {
    await fixture.signIn()
    await run(fixture)
  } finally {
    await fixture.close()
  }
}

for (const responseType of withCode) {
  test(`oidcc-client-test-refresh-token (${responseType}, form_post)`, () =>
    inSite(responseType, async ({ provider, site, agent, advance, refreshes }) => {
      const before = provider.count('userinfo')
      for (let round = 1; round <= 2; round += 1) {
        advance(400)
        const page = await agent.fetch(`${site.url}/renewed`)
        assert.equal(page.status, 200, page.text)
        assert.equal(refreshes().length, round)
        assert.equal(provider.count('userinfo') - before, round)
      }
      assert.deepEqual(provider.reusedRefreshTokens, [], 'the newest refresh token each time')
      const granted = new Set(provider.requestsTo('authorize')[0]?.query.scope?.split(' '))
      const asked = refreshes().flatMap(({ form }) => form.scope?.split(' ') ?? [])
      assert.ok(
        asked.every(word => granted.has(word)),
        asked.join(' '),
      )
    }))

  for (const [suffix, change] of [
    ['invalid-issuer', (claims: Claims) => ({ ...claims, iss: `${claims.iss}1` })],
    ['invalid-sub', (claims: Claims) => ({ ...claims, sub: `${claims.sub}1` })],
  ] as const) {
    const id = {
      'invalid-issuer': 'oidcc-client-test-refresh-token-invalid-issuer',
      'invalid-sub': 'oidcc-client-test-refresh-token-invalid-sub',
    }[suffix]
    test(`${id} (${responseType}, form_post)`, () =>
      inSite(responseType, async ({ provider, site, agent, advance, refreshes }) => {
        const before = provider.count('userinfo')
        provider.break(idTokenOf(change))
        advance(400)
        const page = await agent.fetch(`${site.url}/renewed`)
        assert.ok(page.status >= 400, page.text)
        assert.equal(refreshes().length, 1)
        assert.equal(provider.count('userinfo'), before, 'no userinfo after the refresh')
        const { user } = (await agent.fetch(`${site.url}/user`)).json<{ user: { sub: string } | null }>()
        assert.ok(user === null || user.sub === 'alice-0001', `${user?.sub}`)
      }))
  }
}
