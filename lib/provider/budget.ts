/** What may be spent now and then, and not all the time: a token bucket. */
export interface Budget {
  /** Whether there was one left to take. */
  take(): boolean
}

/** @param interval seconds until one more can be taken, up to `burst` */
export function createBudget({ burst, interval, now }: { burst: number; interval: number; now: () => Date }): Budget {
  let left = burst
  let countedAt = now().getTime()

  function refill(): void {
    const at = now().getTime()
    const earned = Math.floor((at - countedAt) / (interval * 1000))
    if (earned === 0) return
    // Negative after the clock was set back: counting starts anew from there.
    left = Math.min(burst, left + Math.max(0, earned))
    countedAt = earned > 0 ? countedAt + earned * interval * 1000 : at
  }

  return {
    take() {
      refill()
      if (left === 0) return false
      left -= 1
      return true
    },
  }
}
