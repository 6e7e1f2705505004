import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Backend } from '../../lib/store/backend/backend.js'
import { createMemoryBackend } from '../../lib/store/backend/memory-backend.js'
import { createRedisKeys } from '../../lib/store/keys.js'
import { createSealer } from '../../lib/store/seal.js'
import { createSessionSaver, type TrackedSession } from '../../lib/store/session-save.js'
import { secret } from '../support/secrets.js'

const sealer = createSealer([secret('sealing secret')])
const redisKeys = createRedisKeys('', sealer)
const id = secret('session id')

/** A saver over a memory that can be made to misbehave, and what it has been asked. */
async function open({ timeout = 1000 } = {}) {
  const memory = createMemoryBackend(() => 0)
  const swaps: number[] = []
  const between: (() => Promise<unknown>)[] = []
  const backend: Backend = {
    ...memory,
    async swap(key, version, session) {
      swaps.push(version)
      await between.shift()?.()
      return memory.swap(key, version, session)
    },
  }
  await memory.close()
  const save = createSessionSaver({
    backend,
    sealer,
    redisKeys,
    idle: 60,
    absolute: 60,
    timeout,
    now: () => 0,
    successorOf: async () => undefined,
  })
  const first = tracked({ generated: true, exists: false, base: '{}' })
  await save(first, { a: 0 })
  const stored = async () => {
    const [sealed] = await memory.read(redisKeys.record(id), ['s'])
    return JSON.parse(String(sealed && sealer.open('session', id, sealed)))
  }
  return { save, swaps, between, stored, memory }
}

function tracked(overrides: Partial<TrackedSession> = {}): TrackedSession {
  return { id, generated: false, exists: true, base: '{"a":0}', stored: { version: 1, text: '{"a":0}' }, ...overrides }
}

/** What another process does: it changes the record without taking a turn here. */
async function saveElsewhere(memory: Backend, data: object): Promise<void> {
  const [version] = await memory.read(redisKeys.record(id), ['n'])
  await memory.swap(redisKeys.record(id), Number(version), sealer.seal('session', id, JSON.stringify(data)))
}

test('a conflict brings what is there, and the second attempt merges into that', async () => {
  const { save, swaps, between, stored, memory } = await open()
  between.push(() => saveElsewhere(memory, { a: 0, other: 1 }))
  await save(tracked(), { a: 1 })
  assert.deepEqual(swaps, [1, 2])
  assert.deepEqual(await stored(), { a: 1, other: 1 })
})

test('saves of one session in one process never conflict more than once each', async () => {
  const { save, swaps, stored } = await open()
  const keys = Array.from({ length: 20 }, (_, at) => `key ${at}`)
  await Promise.all(keys.map(key => save(tracked(), { a: 0, [key]: 1 })))
  assert.deepEqual(await stored(), { a: 0, ...Object.fromEntries(keys.map(key => [key, 1])) })
  assert.ok(swaps.length < 40, `${swaps.length} attempts`)
})

test('conflicts without end are given up, and a later save sends what was not saved', async () => {
  const { save, swaps, between, stored, memory } = await open({ timeout: 60_000 })
  for (let count = 0; count < 100; count += 1) between.push(() => saveElsewhere(memory, { a: 0, count }))
  const held = tracked()
  await assert.rejects(save(held, { a: 1 }), { code: 'ERR_OIDC_STORE_UNAVAILABLE' })
  assert.equal(swaps.length, 64)
  between.length = 0
  await save(held, { a: 1 })
  assert.equal((await stored()).a, 1)
})

test('what is late is given up between two attempts, and a later save sends what was not saved', async () => {
  const { save, swaps, between, stored, memory } = await open({ timeout: 20 })
  let answer = () => {}
  const answered = new Promise<void>(resolve => {
    answer = resolve
  })
  between.push(async () => {
    await saveElsewhere(memory, { a: 0, other: 1 })
    await answered
  })
  const held = tracked()
  await assert.rejects(save(held, { a: 1 }), { code: 'ERR_OIDC_STORE_UNAVAILABLE' })
  answer()
  await new Promise(setImmediate)
  assert.equal(swaps.length, 1)
  assert.deepEqual(await stored(), { a: 0, other: 1 })
  await save(held, { a: 1 })
  assert.deepEqual(await stored(), { a: 1, other: 1 })
})

test('a record that is gone is not made again, by a first save or a later one', async () => {
  const { save, swaps, memory } = await open()
  await memory.remove(redisKeys.record(id))
  const held = tracked()
  await save(held, { a: 1 })
  await save(held, { a: 2 })
  await save(tracked({ base: undefined, stored: undefined }), { a: 3 })
  assert.deepEqual(await memory.keys('', 43), [])
  assert.equal(swaps.length, 3)
})
