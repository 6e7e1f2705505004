import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClientKey, readSettings } from '../../sample-app/settings.js'
import { startSample } from '../../sample-app/start-sample.js'
import { createAgent } from '../support/agent.js'

test('the flag --fapi2 makes a key, and another provider has to bring its own settings', () => {
  assert.equal(readSettings({}, ['node', 'start']).fapi2, undefined)
  assert.equal(readSettings({}, ['node', 'start', '--fapi2']).fapi2?.asymmetricKeyType, 'ec')
  assert.equal(readSettings({ OIDC_ISSUER: 'https://op.example' }, ['--fapi2']).fapi2, undefined)
})

test('the sample as FAPI 2.0: pushed, with a signed response, and an API that demands a proof', async () => {
  const fapi2 = createClientKey()
  const sample = await startSample({ sitePort: 0, identityPort: 0, apiPort: 0, redis: false, fapi2 })
  try {
    const agent = createAgent()
    const login = await agent.visit(`${sample.siteUrl}/claims`)
    const authorize = login.hops.find(({ url }) => url.includes('request_uri='))
    assert.ok(authorize, login.text)
    const names = [...new URL(authorize.url).searchParams.keys()]
    assert.deepEqual(names, ['client_id', 'request_uri'])
    const signIn = /action="(\/interaction\/[^"]+\/sign-in)"/.exec(login.text)?.[1] ?? ''
    const consent = await agent.post(`${sample.identityUrl}${signIn}`, { username: 'alice', password: 'alice' })
    const allow = /action="(\/interaction\/[^"]+\/consent)"/.exec(consent.text)?.[1]
    const claims = allow === undefined ? consent : await agent.post(`${sample.identityUrl}${allow}`, {})
    assert.equal(claims.url, `${sample.siteUrl}/claims`)
    const callback = claims.hops.find(({ url }) => url.includes('/callback?'))
    assert.deepEqual([...new URL(callback?.url ?? '').searchParams.keys()], ['response'])
    assert.match((await agent.visit(`${sample.siteUrl}/call-api`)).text, /status <strong>200</)
    const response = await fetch(`${sample.apiUrl}/identity`, { headers: { authorization: 'DPoP nonsense' } })
    assert.equal(response.status, 401)
  } finally {
    await sample.close()
  }
})
