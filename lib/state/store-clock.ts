import { type Elapsed, monotonic } from '../time.js'
import type { Backend } from './backend.js'

/**
 * The clock that orders events of different processes: that of the store, in microseconds since the epoch. The clocks of the processes
 * have no part in it. A start is given no later than it was, so that in doubt a logout wins.
 */
export interface StoreClock {
  /** A time that is not later than now, without a command. `0` until the store has answered for the first time. */
  earliest(): number
  /** The time between the call and the answer. One command. @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE */
  latest(): Promise<number>
}

interface Reading {
  /** What the store said. */
  readonly time: number
  readonly receivedAt: number
}

/** Milliseconds after which a reading is taken anew: machines count a little differently, and the store may have failed over. */
const READING_LIFE = 60_000

/** By which part of a duration the clocks of two machines may count differently. Quartz without NTP is better than this. */
const DRIFT = 0.0001

/** Milliseconds between two attempts to read the clock of a store that does not answer. */
const PAUSE = 1_000

export function createStoreClock(backend: Pick<Backend, 'time'>, elapsed: Elapsed = monotonic): StoreClock {
  let reading: Reading | undefined
  let isReading = false
  let triedAt = Number.NEGATIVE_INFINITY

  async function read(): Promise<Reading> {
    reading = { time: await backend.time(), receivedAt: elapsed() }
    return reading
  }

  /** In the background. A store that is away is asked again at the next call, but not at each. */
  function refresh(): void {
    const at = elapsed()
    if (isReading || at - triedAt < PAUSE) return
    isReading = true
    triedAt = at
    read()
      .catch(() => {})
      .finally(() => {
        isReading = false
      })
  }

  refresh()
  return {
    earliest() {
      if (reading === undefined || elapsed() - reading.receivedAt > READING_LIFE) refresh()
      if (reading === undefined) return 0
      return Math.floor(reading.time + (elapsed() - reading.receivedAt) * 1000 * (1 - DRIFT))
    },
    latest: async () => (await read()).time,
  }
}
