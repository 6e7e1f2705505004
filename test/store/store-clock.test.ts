import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createStoreClock } from '../../lib/store/backend/store-clock.js'

/** A store with a clock of its own, and a way to it that takes a while. */
function createStore() {
  const store = { time: 1_800_000_000_000_000, elapsed: 0, commands: 0, isAway: false, way: [0, 0] }
  const pass = (milliseconds: number) => {
    store.elapsed += milliseconds
    store.time += milliseconds * 1000
  }
  const backend = {
    async time() {
      store.commands += 1
      if (store.isAway) throw new Error('away')
      pass(store.way[0] ?? 0)
      const said = store.time
      pass(store.way[1] ?? 0)
      return said
    },
  }
  return { store, pass, create: () => createStoreClock(backend, () => store.elapsed) }
}

const settle = () => new Promise(resolve => setImmediate(resolve))

describe('the clock of the store', () => {
  test('gives a start no later than it was and a logout no earlier, whatever the way takes and whatever passes', async () => {
    const way = fc.tuple(fc.nat(800), fc.nat(800))
    const steps = fc.array(fc.record({ way, pass: fc.nat(200_000) }), { minLength: 1, maxLength: 20 })
    await fc.assert(
      fc.asyncProperty(steps, async sequence => {
        const { store, pass, create } = createStore()
        const clock = create()
        await settle()
        for (const step of sequence) {
          pass(step.pass)
          store.way = step.way
          assert.ok(clock.earliest() <= store.time)
          await settle()
          const before = store.time
          assert.ok((await clock.latest()) >= before)
        }
      }),
    )
  })

  test('orders what two processes do by one clock, and not by theirs', async () => {
    const { pass, create } = createStore()
    const one = create()
    pass(5)
    const other = create()
    await settle()
    const started = one.earliest()
    pass(50)
    const loggedOut = await other.latest()
    pass(50)
    const startedAfter = one.earliest()
    assert.ok(started < loggedOut)
    assert.ok(startedAfter > loggedOut)
  })

  test('is not known before the store has responded, which no logout is earlier than', async () => {
    const { store, create } = createStore()
    store.isAway = true
    const clock = create()
    await settle()
    assert.equal(clock.earliest(), 0)
    await assert.rejects(clock.latest())
  })

  test('is read once a minute at most for starts, and once a second from a store that is away', async () => {
    const { store, pass, create } = createStore()
    const clock = create()
    await settle()
    for (let start = 0; start < 100; start += 1) clock.earliest()
    assert.equal(store.commands, 1)
    pass(60_001)
    for (let start = 0; start < 100; start += 1) clock.earliest()
    await settle()
    assert.equal(store.commands, 2)
    store.isAway = true
    pass(60_001)
    for (let start = 0; start < 100; start += 1) {
      clock.earliest()
      await settle()
    }
    assert.equal(store.commands, 3)
    pass(1_000)
    clock.earliest()
    await settle()
    assert.equal(store.commands, 4)
  })

  test('is requested again while replies are slow, a few times, and the latest time counts', async () => {
    const { store, pass, create } = createStore()
    const ways = [300, 40, 1]
    Object.defineProperty(store, 'way', { get: () => [0, ways[store.commands - 1] ?? 0] })
    const clock = create()
    await settle()
    assert.equal(store.commands, 3)
    pass(5)
    // Each answer is as old as its way back took; the last one is the best.
    assert.ok(store.time - clock.earliest() <= 1_001, `${store.time - clock.earliest()} microseconds`)
  })

  test('is followed where it is set back', async () => {
    const { store, pass, create } = createStore()
    const clock = create()
    await settle()
    store.time -= 3_600_000_000
    pass(60_001)
    clock.earliest()
    await settle()
    assert.ok(clock.earliest() <= store.time)
  })
})
