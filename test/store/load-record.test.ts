import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Backend } from '../../lib/store/backend/backend.js'
import { createMemoryBackend } from '../../lib/store/backend/memory-backend.js'
import { createRedisKeys } from '../../lib/store/keys.js'
import { createLoader } from '../../lib/store/load-record.js'
import { createSealer } from '../../lib/store/seal.js'
import { sealingSecret } from './fixtures.js'

const START = 1000
const IDLE = 600

/** A record whose extension is due, and a store that does not do what is wanted of it as long as `isAway`. */
async function open() {
  const clock = { now: START }
  const memory = createMemoryBackend(() => clock.now)
  const forgotten: string[] = []
  const sealer = { ...createSealer([sealingSecret]), forget: (id: string) => void forgotten.push(id) }
  const redisKeys = createRedisKeys('oidc:', sealer)
  const calls: string[] = []
  const store = { isAway: true }
  const attempt = (call: string) => {
    calls.push(call)
    if (store.isAway) throw new Error('away')
  }
  const backend: Backend = {
    ...memory,
    async extend(key, now, idle) {
      attempt('extend')
      return memory.extend(key, now, idle)
    },
    async removeField(key, field) {
      attempt(`remove ${field}`)
      return memory.removeField(key, field)
    },
  }
  const loader = createLoader({
    backend,
    redisKeys,
    sealer,
    idle: IDLE,
    now: () => clock.now,
    log: () => {},
    readsDemands: false,
    readsDevices: false,
    async endRecord(key) {
      attempt(`end ${key}`)
    },
  })
  await memory.create(redisKeys.record('id'), { e: `${START}:${START + 9000}`, n: '1', p: 'earlier,first' }, IDLE)
  clock.now += IDLE / 2
  return { loader, calls, store, clock, forgotten }
}

test('a session is there although the earlier ones cannot be ended and its life not be extended, and the next request tries again', async () => {
  const { loader, calls, store } = await open()
  for (let request = 0; request < 2; request += 1) {
    assert.equal((await loader.load('id'))?.id, 'id')
    // The reads that are not awaited have failed by then; an unhandled rejection would end this test.
    await new Promise(setImmediate)
    assert.deepEqual(calls.splice(0).sort(), ['end earlier', 'end first', 'extend'])
  }
  store.isAway = false
  assert.equal((await loader.load('id'))?.id, 'id')
  await new Promise(setImmediate)
  assert.deepEqual(calls.splice(0).sort(), ['end earlier', 'end first', 'extend', 'remove p'])
  assert.equal((await loader.load('id'))?.id, 'id')
  assert.deepEqual(calls, [])
})

test('a session that is read without being extended ends no earlier one either', async () => {
  const { loader, calls } = await open()
  assert.equal((await loader.load('id', { extend: false }))?.id, 'id')
  assert.deepEqual(calls, [])
})

test('requests of one session at the same time extend it once', async () => {
  const { loader, calls, store } = await open()
  store.isAway = false
  await Promise.all(Array.from({ length: 5 }, () => loader.load('id')))
  await new Promise(setImmediate)
  assert.equal(calls.filter(call => call === 'extend').length, 1)
})

test('what was decrypted of a session is forgotten when it is found to have ended', async () => {
  const { loader, clock, forgotten } = await open()
  assert.equal((await loader.load('id', { extend: false }))?.id, 'id')
  assert.deepEqual(forgotten, [])
  assert.equal(await loader.load('other id'), undefined)
  clock.now += 10_000
  assert.equal(await loader.load('id'), undefined)
  assert.deepEqual(forgotten, ['other id', 'id'])
})
