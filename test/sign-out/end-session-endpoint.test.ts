import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Services } from '../../lib/options/config.js'
import type { ProviderMetadata } from '../../lib/protocol/wire.js'
import { endSessionEndpoint } from '../../lib/sign-out/end-session-endpoint.js'

const published = { end_session_endpoint: 'https://op.example/logout' } as ProviderMetadata

function find(known: ProviderMetadata | undefined, metadata: () => Promise<ProviderMetadata>) {
  let asked = 0
  const provider = {
    peekMetadata: () => known,
    metadata() {
      asked += 1
      return metadata()
    },
  } as Services['provider']
  return endSessionEndpoint({ provider }).then(endpoint => ({ endpoint, asked }))
}

const never = () => new Promise<never>(() => {})

test('an endpoint that is known is taken without a request, and so is that there is none', async () => {
  assert.deepEqual(await find(published, never), { endpoint: published.end_session_endpoint, asked: 0 })
  assert.deepEqual(await find({} as ProviderMetadata, never), { endpoint: undefined, asked: 0 })
})

test('an endpoint that is not known yet is asked for, and no timer is left', async () => {
  const timers = () => process.getActiveResourcesInfo().filter(resource => resource === 'Timeout').length
  const before = timers()
  assert.deepEqual(await find(undefined, async () => published), { endpoint: published.end_session_endpoint, asked: 1 })
  await new Promise(setImmediate)
  assert.ok(timers() <= before)
})

test('a provider that is away or says nothing keeps no user from signing out here', async () => {
  assert.equal((await find(undefined, () => Promise.reject(new Error('away')))).endpoint, undefined)
  assert.equal((await find(undefined, never)).endpoint, undefined)
})
