import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createRecordStore, type RecordStore } from '../../lib/store/store.js'
import { secret } from '../support/secrets.js'

async function inStore(run: (store: RecordStore) => Promise<void>): Promise<void> {
  const store = createRecordStore({
    secrets: [secret('session secret')],
    idle: 60,
    absolute: 600,
    timeout: 800,
    now: () => new Date(),
    log: () => {},
  })
  try {
    // The clock of the store is read for the first time.
    await store.browserSignOuts.mark({ browser: 'other', id: 'other' }, 60)
    await run(store)
  } finally {
    await store.close()
  }
}

const nextMillisecond = () => new Promise(resolve => setTimeout(resolve, 5))
const first = { browser: 'first', id: 'first' }
const second = { browser: 'first', id: 'second' }

describe('the sessions of a browser', () => {
  test('are found with every binding that the browser has had, and those that came with another one as well', () =>
    inStore(async ({ browserSessions, startTime }) => {
      await browserSessions.add(first, 'one')
      await browserSessions.add(second, 'two')
      await nextMillisecond()
      const now = startTime()
      for (const binding of [first, second])
        assert.deepEqual([...(await browserSessions.of(binding, now))].sort(), ['one', 'two'])
      assert.deepEqual(await browserSessions.ofOtherBindings(second, now), ['one'])
      assert.deepEqual(await browserSessions.ofOtherBindings(first, now), ['two'])
      assert.deepEqual(await browserSessions.ofOtherBindings(second, now - 60_000_000), [])
      assert.deepEqual(await browserSessions.of({ browser: 'second' }, now), [])
    }))
})

describe('a sign-out of a browser', () => {
  test('counts for every binding of it, and not for what began with the binding that it has made', () =>
    inStore(async ({ browserSignOuts, startTime }) => {
      const before = startTime()
      const markedAt = await browserSignOuts.mark(first, 60)
      assert.equal(await browserSignOuts.isSignedOutSince(first, before), true)
      assert.equal(await browserSignOuts.isSignedOutSince({ ...second, markedAt }, before), false)
      await nextMillisecond()
      const between = startTime()
      await browserSignOuts.mark(second, 60)
      assert.equal(await browserSignOuts.isSignedOutSince({ ...second, markedAt }, between), true)
      assert.equal(
        await browserSignOuts.isSignedOutSince(first, between),
        true,
        'a binding that a late response brought back',
      )
      await nextMillisecond()
      assert.equal(await browserSignOuts.isSignedOutSince(first, startTime()), false)
      assert.equal(await browserSignOuts.isSignedOutSince({ browser: 'other', id: 'x' }, between), false)
    }))
})
