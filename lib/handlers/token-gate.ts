import { OidcError } from '../errors.js'
import { backOff } from './back-off.js'

/** How many token requests of this process may be under way at once. */
const MOST_AT_ONCE = 50

/** Failures in a row, of whichever sessions, after which the provider is given a rest. */
const FAILURES_UNTIL_REST = 3

/**
 * The way to the token endpoint for renewals. It lets a bounded number pass at once, and after several failures in a row none for a
 * while and then one at a time, so that ten thousand sessions that expire together are no storm.
 */
export interface TokenGate {
  /**
   * Waits for its turn.
   * @returns a function that ends the turn
   * @throws {OidcError} the last failure, while the provider has its rest; ERR_OIDC_PROVIDER_UNAVAILABLE after `patience` ms
   */
  enter(patience: number): Promise<() => void>
  /** How a request that was let pass has ended. */
  report(error: unknown): void
}

export function createTokenGate(now: () => Date): TokenGate {
  const queue = new Set<() => void>()
  let active = 0
  let failures = 0
  let rest: { readonly until: number; readonly error: OidcError } | undefined

  const isResting = () => rest !== undefined && now().getTime() < rest.until
  const room = () => (failures >= FAILURES_UNTIL_REST ? 1 : MOST_AT_ONCE)

  function admit(): void {
    for (const start of queue) {
      if (!isResting() && active >= room()) return
      queue.delete(start)
      start()
    }
  }

  function pass(): () => void {
    if (rest !== undefined && isResting()) throw rest.error
    active += 1
    return () => {
      active -= 1
      admit()
    }
  }

  function waitForTurn(patience: number): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        queue.delete(start)
        reject(new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'too many renewals are waiting for the provider'))
      }, patience)
      const start = () => {
        clearTimeout(timer)
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
    enter: async patience => (isResting() || active < room() ? pass() : waitForTurn(patience)),
    report(error) {
      if (!isOutage(error)) {
        failures = 0
        rest = undefined
        return
      }
      failures += 1
      if (failures < FAILURES_UNTIL_REST) return
      const seconds = backOff(failures - FAILURES_UNTIL_REST + 1, error)
      rest = { error, until: now().getTime() + seconds * 1000 }
    },
  }
}

/** Failures that the next session would meet as well. */
function isOutage(error: unknown): error is OidcError {
  return (
    error instanceof OidcError &&
    (error.code === 'ERR_OIDC_PROVIDER_UNAVAILABLE' || error.code === 'ERR_OIDC_CLIENT_REJECTED')
  )
}
