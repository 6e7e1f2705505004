import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createElapsed, toEpochSeconds } from '../lib/time.js'

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

test('a date in seconds has no fraction', () => {
  assert.equal(toEpochSeconds(new Date(1999)), 1)
})
