import assert from 'node:assert/strict'
import { afterEach, mock, test } from 'node:test'
import { createMemoryBackend } from '../../lib/store/backend/memory-backend.js'
import { StoreFixture, savedSession, settings, signIn, startOfTest, ticket } from './fixtures.js'

const fixture = new StoreFixture()
afterEach(async () => {
  await fixture.close()
  mock.timers.reset()
  fixture.clock.seconds = startOfTest
})

test('a session that is not used ends after its idle life, and one that is used does not', async () => {
  const store = fixture.state()
  const [unused, used] = [await savedSession(store, { a: 1 }), await signIn(store)]
  for (let count = 0; count < 4; count += 1) {
    fixture.clock.seconds += settings.idle / 4
    if (count < 3) assert.notEqual(await store.load(used), undefined)
  }
  assert.equal(await store.load(unused), undefined)
  assert.notEqual(await store.load(used), undefined)
  fixture.clock.seconds += settings.idle
  assert.equal(await store.load(used), undefined)
})

test('use does not move the absolute end', async () => {
  const store = fixture.state()
  const id = await signIn(store, { ticket: ticket({ expiresAt: startOfTest + 2 * settings.idle }) })
  for (fixture.clock.seconds = startOfTest; fixture.clock.seconds < startOfTest + 2 * settings.idle; ) {
    assert.notEqual(await store.load(id), undefined)
    fixture.clock.seconds += 600
  }
  assert.equal(await store.load(id), undefined)
})

test('something may happen again when its mark has expired', async () => {
  const store = fixture.state()
  assert.equal(await store.consume('state', 'x', 60), true)
  fixture.clock.seconds += 59
  assert.equal(await store.consume('state', 'x', 60), false)
  fixture.clock.seconds += 1
  assert.equal(await store.consume('state', 'x', 60), true)
})

test('what has expired is swept out of memory now and then, until it is closed', async () => {
  mock.timers.enable({ apis: ['setInterval'] })
  let now = 0
  let asked = 0
  const backend = createMemoryBackend(() => {
    asked += 1
    return now
  })
  await backend.create('a', { e: '0:100' }, 10)
  await backend.consume('b', 10)
  now = 20
  asked = 0
  mock.timers.tick(30_000)
  assert.equal(asked, 2)
  mock.timers.tick(30_000)
  assert.equal(asked, 2)
  await backend.consume('c', 10)
  await backend.close()
  asked = 0
  mock.timers.tick(300_000)
  assert.equal(asked, 0)
})

test('an extension of what is gone or has no readable end changes nothing', async () => {
  const backend = createMemoryBackend(() => 0)
  assert.equal(await backend.extend('a', 0, 10), false)
  await backend.create('b', { n: '1' }, 10)
  assert.equal(await backend.extend('b', 0, 10), false)
  await backend.create('c', { e: '0:100' }, 10)
  assert.equal(await backend.extend('c', 100, 10), false)
  assert.equal(await backend.extend('c', 50, 10), true)
  await backend.close()
})
