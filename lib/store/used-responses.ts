import { hash } from 'node:crypto'
import type { Backend } from './backend/backend.js'
import type { RedisKeys } from './keys.js'
import type { Sealer } from './seal.js'

/**
 * What a response of the provider finds. `first`: nothing, it is the first one. `finished`: it came before, and a session began. `pending`: it
 * came before, and is being worked on. `unknown`: it came before, and how that ended is not known. `other`: another response to the same
 * `state` was used.
 */
export type ResponseUse =
  | { readonly kind: 'first' | 'pending' | 'unknown' | 'other' }
  | { readonly kind: 'finished'; readonly sessionId: string }

/** Which response a sign-in attempt has used: only the same one is a repeat. Every method is one command, `take` two for a repeat. */
export interface UsedResponses {
  /** @param response what tells a response from another: its code, its ID Token */
  take(transactionId: string, response: string, ttl: number): Promise<ResponseUse>
  finish(transactionId: string, response: string, sessionId: string, ttl: number): Promise<void>
  /** The response was refused, and the attempt is open again. */
  release(transactionId: string): Promise<void>
  /** What the response has brought about is not known: it is not used again. */
  leave(transactionId: string, response: string, ttl: number): Promise<void>
}

const PENDING = 'p'
const FINISHED = 'f'
const UNKNOWN = 'u'
const FINGERPRINT_LENGTH = 22

export function createUsedResponses(backend: Backend, redisKeys: RedisKeys, sealer: Sealer): UsedResponses {
  const keyOf = (transactionId: string) => redisKeys.consumed('state', transactionId)
  const contextOf = (transactionId: string) => `response ${transactionId}`

  function read(transactionId: string, response: string, mark: string): ResponseUse {
    const [status, fingerprint, sealed] = [
      mark[0],
      mark.slice(1, 1 + FINGERPRINT_LENGTH),
      mark.slice(1 + FINGERPRINT_LENGTH),
    ]
    if (fingerprint !== fingerprintOf(response)) return { kind: 'other' }
    if (status === PENDING) return { kind: 'pending' }
    const opened = sealer.open('transaction', contextOf(transactionId), Buffer.from(sealed, 'base64url'))
    return opened === undefined ? { kind: 'unknown' } : { kind: 'finished', sessionId: opened.toString() }
  }

  return {
    async take(transactionId, response, ttl) {
      // A mark that goes away between the two commands was released: the second round finds nothing, or the next response's.
      for (let round = 0; round < 2; round += 1) {
        if (await backend.consume(keyOf(transactionId), ttl, PENDING + fingerprintOf(response)))
          return { kind: 'first' }
        const mark = await backend.readMark(keyOf(transactionId))
        if (mark !== undefined) return read(transactionId, response, mark)
      }
      return { kind: 'unknown' }
    },
    async finish(transactionId, response, sessionId, ttl) {
      const sealed = sealer.seal('transaction', contextOf(transactionId), sessionId).toString('base64url')
      await backend.writeMark(keyOf(transactionId), FINISHED + fingerprintOf(response) + sealed, ttl)
    },
    release: transactionId => backend.removeMark(keyOf(transactionId)),
    leave: (transactionId, response, ttl) =>
      backend.writeMark(keyOf(transactionId), UNKNOWN + fingerprintOf(response), ttl),
  }
}

function fingerprintOf(response: string): string {
  return hash('sha256', response, 'base64url').slice(0, FINGERPRINT_LENGTH)
}
