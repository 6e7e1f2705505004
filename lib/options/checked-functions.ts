import type { IncomingMessage } from 'node:http'
import { types } from 'node:util'
import { describeValue } from '../validation/describe-value.js'
import { refuse } from '../validation/place.js'

// Functions of the site whose results this package depends on. What a function returns is known only when it is called.

/**
 * The clock. It is asked once at the start, so that one that can never work is refused there.
 * @throws {OidcError} ERR_OIDC_OPTIONS, also later, when it returns anything but a valid Date
 */
export function createClock(given: (() => Date) | undefined): () => Date {
  if (given === undefined) return () => new Date()
  const clock = () => {
    const time: unknown = given()
    if (types.isDate(time) && !Number.isNaN(time.getTime())) return time
    const found = types.isDate(time) ? 'an invalid Date' : describeValue(time)
    return refuse(`now must return a Date, but it returned ${found}`)
  }
  try {
    clock()
  } catch (error) {
    refuse(error instanceof Error && 'code' in error ? error.message : 'now cannot be called: it throws an error', {
      cause: error,
    })
  }
  return clock
}

/** A request is polling only where the site says `true`: a promise, for instance, says nothing. One line in the log says so. */
export function createPollingCheck(
  given: ((req: IncomingMessage) => boolean) | undefined,
  log: (line: string) => void,
): (req: IncomingMessage) => boolean {
  if (given === undefined) return () => false
  let hasWarned = false
  return req => {
    const result: unknown = given(req)
    if (typeof result !== 'boolean' && !hasWarned) {
      hasWarned = true
      log(`session.isPolling must return true or false, but it returned ${describeValue(result)}; that counts as false`)
    }
    return result === true
  }
}
