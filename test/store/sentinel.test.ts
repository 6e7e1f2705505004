import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { type SentinelSetup, startSentinel, until } from '../support/redis.js'
import {
  dataOf,
  replaceTokens,
  StoreFixture,
  save,
  savedSession,
  signIn,
  storedData,
  tokens,
  visit,
} from './fixtures.js'

const fixture = new StoreFixture()
let setup: SentinelSetup
before(async () => {
  setup = await startSentinel()
  fixture.onClose(() => setup.stop())
})
after(() => fixture.close())

test('when the primary dies sessions are unavailable at first, and then go on at the replica, ended ones stay ended', async () => {
  const { sentinels, name, primary, replica } = setup
  const options = { sentinels: [...sentinels], name, sentinelRetryStrategy: () => 100, retryStrategy: () => 100 }
  const clients = [new Redis(options), new Redis5(options)] as const
  for (const client of clients) {
    client.on('error', () => {})
    fixture.onClose(() => client.disconnect())
  }
  const states = clients.map(redis => fixture.state({ redis }))
  // Gives up long before the sentinel has even noticed.
  const hasty = clients.map(redis => fixture.state({ redis, timeout: 100 }))
  for (const store of states)
    await until('it is connected', () =>
      store.ping().then(
        () => true,
        () => false,
      ),
    )
  const sessions = await Promise.all(
    states.map(async store => ({ store, live: await savedSession(store, { a: 1 }), ended: await signIn(store) })),
  )
  const slow = await Promise.all(sessions.map(({ store, ended }) => visit(store, ended)))
  for (const { store, ended } of sessions) await store.end(ended)
  await primary.command('WAIT', 1, 5000)
  await primary.kill()
  await Promise.all(hasty.map(store => assert.rejects(store.ping(), { code: 'ERR_OIDC_STORE_UNAVAILABLE' })))
  await until('the replica is the primary', async () => String(await replica.command('ROLE')).startsWith('master'))
  for (const [at, { store, live, ended }] of sessions.entries()) {
    await until('it can be written again', () =>
      store.consume('x', `${at}`, 60).then(
        () => true,
        () => false,
      ),
    )
    assert.deepEqual(await storedData(store, live), { a: 1 })
    const req = slow[at] ?? (await visit(store))
    dataOf(req).a = 2
    await save(req)
    assert.equal(await replaceTokens(store, ended, { tokens: tokens() }), false)
    assert.equal(await store.load(ended), undefined)
    assert.notEqual((await store.load(await signIn(store)))?.ticket(), undefined)
  }
})
