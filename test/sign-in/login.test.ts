import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withFixture } from '../support/handler-fixture.js'

test(
  'a script that asks for /login is told so, and starts nothing',
  withFixture({}, async ({ agent, site, provider }) => {
    await agent.open(`${site.url}/`)
    const response = await agent.fetch(`${site.url}/login`)
    assert.equal(response.status, 401)
    assert.equal(site.lastCode(), 'ERR_OIDC_LOGIN_REQUIRED')
    assert.equal(provider.count('authorize'), 0)
    assert.deepEqual(agent.cookies(site.url), [])
  }),
)
