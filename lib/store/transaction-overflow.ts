import type { Backend } from './backend/backend.js'
import { FIELD } from './backend/record-fields.js'
import type { RedisKeys } from './keys.js'
import type { Sealer } from './seal.js'

/** Seconds for which something is kept. A later response finds nothing. */
const LIFETIME = 60 * 60

/** Texts one process keeps within {@link LIFETIME}: with those of the longest, some megabytes. */
const MOST_TEXTS = 1000

/** Keeps what does not fit into `state`: long page addresses and requests for many claims. */
export interface TransactionOverflow {
  /** Whether there was room. Never throws: a sign-in does not depend on it. */
  keep(transactionId: string, text: string): Promise<boolean>
  /** @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE */
  find(transactionId: string): Promise<string | undefined>
}

/** @param now epoch s */
export function createTransactionOverflow(
  backend: Backend,
  redisKeys: RedisKeys,
  sealer: Sealer,
  now: () => number,
): TransactionOverflow {
  /** When each of them is gone, oldest first. */
  const parked: number[] = []
  return {
    async keep(transactionId, text) {
      const time = now()
      while (parked[0] !== undefined && parked[0] <= time) parked.shift()
      if (parked.length >= MOST_TEXTS) return false
      parked.push(time + LIFETIME)
      const sealed = sealer.seal('transaction', `parked ${transactionId}`, text)
      return backend.create(redisKeys.overflow(transactionId), { [FIELD.session]: sealed }, LIFETIME).catch(() => false)
    },
    async find(transactionId) {
      const [sealed] = await backend.read(redisKeys.overflow(transactionId), [FIELD.session])
      return sealed ? sealer.open('transaction', `parked ${transactionId}`, sealed)?.toString() : undefined
    },
  }
}
