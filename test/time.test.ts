import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { COUNTING_PAUSES, createElapsed, Deadline, toEpochSeconds, withTimeLimit } from '../lib/time.js'
import { passTime } from './support/pass-time.js'

function createClock() {
  const clock = { date: 1_800_000_000_000 }
  return { clock, elapsed: createElapsed(() => new Date(clock.date)) }
}

describe('elapsed time', () => {
  test('is what passed, however often it is asked for', () => {
    const { clock, elapsed } = createClock()
    for (let step = 0; step < 10_000; step += 1) {
      clock.date += step % 3
      elapsed()
    }
    assert.equal(elapsed(), 9_999)
  })

  test('goes on where the date is set back, and counts what is skipped where it is set forward', () => {
    const { clock, elapsed } = createClock()
    clock.date -= 3_600_000
    assert.equal(elapsed(), 0)
    clock.date += 2_000
    assert.equal(elapsed(), 2_000)
    clock.date += 7_000_000
    assert.equal(elapsed(), 7_002_000)
  })

  test('never goes back and never gives less than what really passed between two calls, whatever the clock does', () => {
    const jumps = fc.array(fc.record({ jump: fc.integer({ min: -1e7, max: 1e7 }), pass: fc.nat(10_000) }))
    fc.assert(
      fc.property(jumps, steps => {
        const { clock, elapsed } = createClock()
        let real = 0
        let before = elapsed()
        for (const step of steps) {
          clock.date += step.jump
          const afterJump = elapsed()
          clock.date += step.pass
          real += step.pass
          const now = elapsed()
          assert.ok(afterJump >= before && now >= afterJump, 'it went backwards')
          assert.ok(now >= real, 'less than what really passed')
          before = now
        }
      }),
    )
  })
})

describe('a deadline', () => {
  /** The process stands still. */
  const block = (milliseconds: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
  const turn = () => new Promise(setImmediate)

  test('has its time in whole, and says when it is over', async t => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    let expired = 0
    const deadline = new Deadline(1_000, { expire: () => (expired += 1) })
    passTime(t, 999)
    await turn()
    assert.deepEqual([expired, deadline.isOver], [0, false])
    passTime(t, 1)
    assert.deepEqual([expired, deadline.isOver], [0, true], 'what has arrived is read first')
    await turn()
    assert.equal(expired, 1)
    passTime(t, 10_000)
    await turn()
    assert.equal(expired, 1)
  })

  test('does not come early, and at most three milliseconds late, where the time cannot be divided', async t => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    for (const milliseconds of [1, 2, 3, 10, 801, 1_003]) {
      const deadline = new Deadline(milliseconds, { expire() {} })
      passTime(t, milliseconds - 1)
      assert.equal(deadline.isOver, false, `${milliseconds} ms, early`)
      passTime(t, 4)
      assert.equal(deadline.isOver, true, `${milliseconds} ms, late`)
    }
  })

  test('is not heard of after it was cleared, at any time', async t => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    for (const passed of [0, 1, 250, 251, 999, 1_000]) {
      const deadline = new Deadline(1_000, { expire: () => assert.fail(`expired after ${passed} ms`) })
      passTime(t, passed)
      deadline.clear()
      passTime(t, 2_000)
      await turn()
    }
  })

  test('counts a pause in whole where a lease runs out meanwhile, and reads what has arrived first', async t => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const pending = new Promise<never>(() => {})
    const outcomes: string[] = []
    const note = (outcome: string) => void outcomes.push(outcome)
    withTimeLimit(pending, 1_000, () => 'late', COUNTING_PAUSES).then(note)
    withTimeLimit(pending, 1_000, () => 'late, and pauses do not count').then(note)
    withTimeLimit(
      turn().then(() => 'arrived'),
      1_000,
      () => 'given up',
      COUNTING_PAUSES,
    ).then(note)
    // All timers of the pause are due at once, as after one.
    t.mock.timers.tick(1_000)
    await turn()
    await turn()
    assert.deepEqual(outcomes.sort(), ['arrived', 'late'])
  })

  test('does not count a pause of the process, whenever that begins', async () => {
    for (const before of [0, 10, 60, 110]) {
      const result = withTimeLimit(
        new Promise<string>(resolve => setTimeout(() => setTimeout(resolve, 20, 'in time'), before + 200)),
        200,
        () => 'late',
      )
      await new Promise(resolve => setTimeout(resolve, before))
      await turn()
      block(400)
      assert.equal(await result, 'in time', `a pause after ${before} ms`)
    }
  })
})

test('a date in seconds has no fraction', () => {
  assert.equal(toEpochSeconds(new Date(1999)), 1)
})
