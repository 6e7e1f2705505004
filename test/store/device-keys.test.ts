import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import type { DeviceKey } from '../../lib/protocol/device-proof.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { issuer, StoreFixture, signIn, startOfTest, storeKinds, ticket, tokens } from './fixtures.js'

let server: RedisServer
let fixture: StoreFixture

before(async () => {
  server = await startRedis()
  fixture = new StoreFixture()
})
afterEach(() => fixture.close())
after(() => server.stop())

const key: DeviceKey = { alg: 'ES256', x: 'x'.repeat(43), y: 'y'.repeat(43) }
const other: DeviceKey = { alg: 'RS256', n: 'n'.repeat(342) }

for (const kind of storeKinds)
  describe(`the key of a device, kept by ${kind}`, () => {
    const create = () => fixture.stateOf(kind, server, { prefix: `keys ${kind}:`, readsDevices: true })

    test('is written once: the first one counts', async () => {
      const store = create()
      const id = await signIn(store)
      assert.equal((await store.load(id))?.device(), undefined)
      assert.deepEqual(await store.bindDevice(id, key), { outcome: 'done' })
      const device = { key, boundAt: startOfTest }
      assert.deepEqual(await store.bindDevice(id, other), { outcome: 'taken', device })
      assert.deepEqual((await store.load(id))?.device(), device)
    })

    test('brings no session back that has ended, and begins none', async () => {
      const store = create()
      const id = await signIn(store)
      await store.end(id)
      assert.deepEqual(await store.bindDevice(id, key), { outcome: 'absent' })
      assert.equal(await store.load(id), undefined)
    })

    test('stays where tokens are refreshed and the session gets another name at the provider', async () => {
      const store = create()
      const id = await signIn(store)
      await store.bindDevice(id, key)
      const view = await store.tokenStore(id).open()
      assert.ok(view)
      const renamed = { ticket: ticket({ sid: 'op-session-2' }), tokens: tokens() }
      assert.equal(await store.tokenStore(id).commit('', view, renamed), 'done')
      assert.deepEqual((await store.load(id))?.device()?.key, key)
      const [listed] = await store.list({ issuer, sid: 'op-session-2' })
      assert.equal(listed?.isDeviceBound, true)
    })
  })

test('a key that cannot be opened binds the session all the same, and a site that binds none does not read it', async () => {
  const store = fixture.stateOf('URL', server, { prefix: 'damaged:', readsDevices: true })
  const id = await signIn(store)
  await store.bindDevice(id, key)
  const client = fixture.client(server)
  const [name = ''] = (await client.keys('damaged:*')).filter(({ length }) => length === 'damaged:'.length + 43)
  await client.hset(name, 'b', 'damaged')
  assert.deepEqual((await store.load(id))?.device(), { key: undefined, boundAt: 0 })
  assert.deepEqual(await store.bindDevice(id, key), { outcome: 'taken', device: { key: undefined, boundAt: 0 } })
  const without = fixture.stateOf('URL', server, { prefix: 'damaged:' })
  assert.equal((await without.load(id))?.device(), undefined)
})
