import { type Elapsed, monotonic } from '../../time.js'
import type { Backend } from './backend.js'

/**
 * The clock that orders events of different processes: that of the store, in microseconds since the epoch. The clocks of the processes
 * have no part in it. A start is given no later than it was, so that in doubt a logout wins.
 */
export interface StoreClock {
  /** A time that is not later than now, without a command. `0` until the store has responded for the first time. */
  earliest(): number
  /** The time between the call and the response. One command. @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE */
  latest(): Promise<number>
}

/** What is known about the clock of the store. */
interface Reading {
  /** Microseconds by which it is ahead of the elapsed time, at least. */
  readonly offset: number
  /** Elapsed milliseconds. */
  readonly receivedAt: number
}

/** Milliseconds after which a reading is taken anew: machines count a little differently, and the store may have failed over. */
const READING_LIFETIME = 60_000

/** By which part of a duration the clocks of two machines may count differently. Quartz without NTP is better than this. */
const DRIFT = 0.0001

/** Milliseconds that the way to the store may take before it is asked again: the store may have responded at any time in between. */
const SLOW = 2

/** How often it is asked, at most, until a response comes fast. */
const MOST_READINGS = 4

/** Milliseconds between two attempts to read the clock of a store that does not respond. */
const PAUSE = 1_000

export function createStoreClock(backend: Pick<Backend, 'time'>, elapsed: Elapsed = monotonic): StoreClock {
  let reading: Reading | undefined
  let isReading = false
  let triedAt = Number.NEGATIVE_INFINITY

  /** Of two responses the one that says more counts, unless the clock of the store was set back between them. */
  async function read(): Promise<{ readonly time: number; readonly way: number }> {
    const sentAt = elapsed()
    const time = await backend.time()
    const receivedAt = elapsed()
    const known = reading === undefined ? Number.NEGATIVE_INFINITY : offsetAt(reading, receivedAt)
    const isSetBack = known > time - sentAt * 1000
    const offset = isSetBack ? time - receivedAt * 1000 : Math.max(known, time - receivedAt * 1000)
    reading = { offset, receivedAt }
    return { time, way: receivedAt - sentAt }
  }

  async function readClosely(): Promise<void> {
    for (let count = 1; count <= MOST_READINGS; count += 1) {
      const { way } = await read()
      if (way <= SLOW) return
    }
  }

  /** In the background. A store that is away is asked again at the next call, but not at each. */
  function refresh(): void {
    const at = elapsed()
    if (isReading || at - triedAt < PAUSE) return
    isReading = true
    triedAt = at
    readClosely()
      .catch(() => {})
      .finally(() => {
        isReading = false
      })
  }

  refresh()
  return {
    earliest() {
      if (reading === undefined || elapsed() - reading.receivedAt > READING_LIFETIME) refresh()
      if (reading === undefined) return 0
      const at = elapsed()
      return Math.floor(at * 1000 + offsetAt(reading, at))
    },
    latest: async () => (await read()).time,
  }
}

function offsetAt({ offset, receivedAt }: Reading, at: number): number {
  return offset - (at - receivedAt) * 1000 * DRIFT
}
