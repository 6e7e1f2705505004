import type { Backend } from './backend.js'
import type { Names } from './names.js'
import { FIELD } from './record-fields.js'
import type { Sealer } from './seal.js'

/** Seconds for which something is kept. A later answer finds nothing. */
const LIFETIME = 60 * 60

/** Texts one process keeps within {@link LIFETIME}: with those of the longest, some megabytes. */
const MAX_PARKED = 1000

/** Keeps what does not fit into `state`: long page addresses and requests for many claims. */
export interface Parking {
  /** Whether there was room. Never throws: a sign-in does not depend on it. */
  park(attempt: string, text: string): Promise<boolean>
  /** @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE */
  unpark(attempt: string): Promise<string | undefined>
}

/** @param now epoch s */
export function createParking(backend: Backend, names: Names, sealer: Sealer, now: () => number): Parking {
  /** When each of them is gone, oldest first. */
  const parked: number[] = []
  return {
    async park(attempt, text) {
      const time = now()
      while (parked[0] !== undefined && parked[0] <= time) parked.shift()
      if (parked.length >= MAX_PARKED) return false
      parked.push(time + LIFETIME)
      const sealed = sealer.seal('transaction', `parked ${attempt}`, text)
      return backend.create(names.parked(attempt), { [FIELD.session]: sealed }, LIFETIME).catch(() => false)
    },
    async unpark(attempt) {
      const [sealed] = await backend.read(names.parked(attempt), [FIELD.session])
      return sealed ? sealer.open('transaction', `parked ${attempt}`, sealed)?.toString() : undefined
    },
  }
}
