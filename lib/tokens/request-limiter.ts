import { OidcError } from '../errors.js'
import { createElapsed } from '../time.js'
import { late, retryAfterOf } from './back-off.js'

/** How many token requests of this process may be under way at once. */
const MOST_AT_ONCE = 50

/** Failures in a row, of whichever sessions, after which no request is sent for a while: the circuit is open. Failures at the same time count once. */
const FAILURES_UNTIL_OPEN = 3

/** Seconds between two probes of a provider that is away, at most: how long it may go unnoticed that it is back. */
const LONGEST_OPEN = 5

/** Seconds between two probes, at least. */
const SHORTEST_OPEN = 0.2

/** Milliseconds for which others wait for the one request that finds out how the provider is. Most responses are there earlier. */
const LONGEST_WAIT_FOR_PROBE = 2_000

/** Milliseconds after the last failure, or the pause after it, in which another failure makes the next pause longer. */
const MEMORY = 60_000

/**
 * The way to the token endpoint for refreshes. It lets a bounded number pass at once, and after several failures in a row none for a
 * while and then one at a time, so that ten thousand sessions that expire together are no storm.
 */
export interface RequestLimiter {
  /**
   * Waits for its turn.
   * @returns a function that ends the turn
   * @throws {OidcError} the last failure, while the circuit is open or the provider does not respond to the request that finds out how it is;
   *   ERR_OIDC_PROVIDER_UNAVAILABLE after `patience` ms
   */
  enter(patience: number): Promise<() => void>
  /** Called when a request is sent. @returns what {@link report} needs to know about it */
  begin(): number
  /**
   * How a request that was let pass has ended.
   * @param began - of {@link begin}. A failure of a request that began before the last failure was reported says nothing new. Default: now
   */
  report(error: unknown, began?: number): void
}

export function createRequestLimiter(now: () => Date): RequestLimiter {
  const queue = new Set<() => void>()
  let active = 0
  const elapsed = createElapsed(now)
  let failures = 0
  let reported = 0
  let failedAt = 0
  let lastFailure: OidcError | undefined
  let circuit: { readonly until: number; readonly error: OidcError } | undefined

  const isOpen = () => circuit !== undefined && elapsed() < circuit.until
  // After the first failure one request finds out, for all that wait, how the provider is.
  const room = () => (failures > 0 ? 1 : MOST_AT_ONCE)

  function admit(): void {
    for (const start of queue) {
      if (!isOpen() && active >= room()) return
      queue.delete(start)
      start()
    }
  }

  function pass(): () => void {
    if (circuit !== undefined && isOpen()) throw circuit.error
    active += 1
    return () => {
      active -= 1
      admit()
    }
  }

  function waitForTurn(patience: number): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const stop = startPatience(
        patience,
        () => failures > 0,
        () => {
          queue.delete(start)
          const full = 'too many refreshes are waiting for the provider'
          reject(failures > 0 && lastFailure ? lastFailure : new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', full))
        },
      )
      const start = () => {
        stop()
        try {
          resolve(pass())
        } catch (error) {
          reject(error)
        }
      }
      queue.add(start)
    })
  }

  return {
    enter: async patience => (isOpen() || active < room() ? pass() : waitForTurn(patience)),
    begin: () => reported,
    report(error, began = reported) {
      if (!isOutage(error)) {
        failures = 0
        circuit = undefined
        return
      }
      if (began < reported) return
      reported += 1
      if (elapsed() - Math.max(failedAt, circuit?.until ?? 0) > MEMORY)
        failures = Math.min(failures, FAILURES_UNTIL_OPEN - 1)
      failures += 1
      lastFailure = error
      failedAt = elapsed()
      if (failures < FAILURES_UNTIL_OPEN) return
      circuit = { error, until: elapsed() + openFor(failures - FAILURES_UNTIL_OPEN, error) * 1000 }
    },
  }
}

/** Gives up after `patience` ms, or earlier where the provider is being probed: also if that began after this wait. @returns a function that ends the wait */
function startPatience(patience: number, isProbed: () => boolean, giveUp: () => void): () => void {
  let left = patience
  let timer: NodeJS.Timeout
  const wait = () => {
    const step = Math.min(left, LONGEST_WAIT_FOR_PROBE)
    left -= step
    timer = setTimeout(() => (left > 0 && !isProbed() ? wait() : giveUp()), step)
  }
  wait()
  return () => clearTimeout(timer)
}

/** Seconds. All of it is random, so that many processes do not ask at the same time; `Retry-After` is heeded up to its bound, and a little longer. */
function openFor(earlier: number, error: OidcError): number {
  const longest = Math.min(LONGEST_OPEN, 2 ** earlier)
  return Math.max(late(retryAfterOf(error) ?? 0), SHORTEST_OPEN + Math.random() * (longest - SHORTEST_OPEN))
}

/** Failures that the next session would meet as well. */
function isOutage(error: unknown): error is OidcError {
  return (
    error instanceof OidcError &&
    (error.code === 'ERR_OIDC_PROVIDER_UNAVAILABLE' || error.code === 'ERR_OIDC_CLIENT_REJECTED')
  )
}
