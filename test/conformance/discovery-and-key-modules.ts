import assert from 'node:assert/strict'
import { startLoopbackServer } from '../support/loopback-server.js'
import { assertRefuses, assertSignsIn, type Module, responseTypes } from './suite.js'

export const discoveryAndKeyModules: readonly Module[] = [
  {
    id: 'oidcc-client-test-discovery-openid-config',
    appliesTo: responseTypes,
    async run({ site, provider }) {
      await site.oidc.ready()
      assert.equal(provider.count('discovery'), 1)
      assert.equal(provider.requests[0]?.path, '/test/a/alias/.well-known/openid-configuration')
      assert.equal((await site.oidc.health()).provider.reachable, true)
    },
  },
  {
    id: 'oidcc-client-test-discovery-jwks-uri-keys',
    appliesTo: responseTypes,
    async prepare(provider) {
      const server = await startLoopbackServer((req, res) => {
        const inOrder = provider.count('discovery') === 1 && req.url === '/jwksqwertzuiop'
        res.writeHead(inOrder ? 200 : 404, { 'content-type': 'application/json' })
        res.end(JSON.stringify({ keys: provider.keys.published.map(({ publicJwk }) => publicJwk) }))
      })
      const jwks_uri = `http://127.0.0.1:${server.port}/jwksqwertzuiop`
      provider.break({ metadata: document => ({ ...document, jwks_uri }) })
      return server.stop
    },
    async run(run) {
      await assertSignsIn(run)
      assert.equal(run.provider.count('jwks'), 0, 'the usual place was not asked')
    },
  },
  {
    id: 'oidcc-client-test-discovery-issuer-mismatch',
    appliesTo: responseTypes,
    faults: { metadata: document => ({ ...document, issuer: `${document.issuer}INVALID` }) },
    async run(run) {
      await assertRefuses(run, 'ERR_OIDC_METADATA_ISSUER', { token: 0 })
      assert.equal(run.provider.count('authorize'), 0)
    },
  },
  {
    id: 'oidcc-client-test-signing-key-rotation-just-before-signing',
    appliesTo: responseTypes,
    faults: { rotateBefore: 'both' },
    async run(run) {
      await assertSignsIn(run)
      const tokens = run.responseType.includes('id_token') && run.responseType !== 'id_token' ? 2 : 1
      assert.ok(run.provider.count('jwks') >= tokens, `${run.provider.count('jwks')} fetches for ${tokens} new keys`)
    },
  },
  {
    id: 'oidcc-client-test-signing-key-rotation',
    appliesTo: responseTypes,
    async run(run) {
      await assertSignsIn(run)
      await run.provider.keys.rotate()
      const page = await run.agent.visit(`${run.site.url}/login?returnTo=/claims`)
      assert.equal(page.status, 200, page.text)
      assert.equal(page.json<{ sub: string }>().sub, 'user-subject-1234531')
      assert.ok(run.provider.count('jwks') >= 2, `${run.provider.count('jwks')} fetches of keys`)
    },
  },
  {
    id: 'oidcc-client-test-3rd-party-init-login',
    appliesTo: responseTypes,
    async run({ site, provider, agent }) {
      // The iss is not percent-encoded there.
      const page = await agent.open(`${site.url}/login?iss=${provider.issuer}`, { from: provider.issuer })
      if (page.forms[0]) await agent.submitForm()
      const user = await agent.fetch(`${site.url}/user`)
      assert.equal(user.json<{ isAuthenticated: boolean }>().isAuthenticated, true)
      assert.equal(agent.page?.url, `${site.url}/`)
    },
  },
]
