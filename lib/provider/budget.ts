import { createElapsed } from '../time.js'

/** What may be spent now and then, and not all the time: a token bucket. */
export interface Budget {
  /** Whether there was one left to take. */
  take(): boolean
  /** What was taken was well spent: it counts as not taken. */
  refund(): void
}

/** @param interval seconds until one more can be taken, up to `burst` */
export function createBudget({ burst, interval, now }: { burst: number; interval: number; now: () => Date }): Budget {
  const elapsed = createElapsed(now)
  let left = burst
  let countedAt = elapsed()

  function refill(): void {
    const earned = Math.floor((elapsed() - countedAt) / (interval * 1000))
    left = Math.min(burst, left + earned)
    countedAt += earned * interval * 1000
  }

  return {
    take() {
      refill()
      if (left === 0) return false
      left -= 1
      return true
    },
    refund() {
      left = Math.min(burst, left + 1)
    },
  }
}
