import { hash } from 'node:crypto'
import type { Backend } from './backend.js'
import type { Names } from './names.js'
import type { Sealer } from './seal.js'

/**
 * What an answer of the provider finds. `first`: nothing, it is the first one. `finished`: it came before, and a session began. `pending`: it
 * came before, and is being worked on. `unknown`: it came before, and how that ended is not known. `other`: another answer to the same
 * `state` was used.
 */
export type AnswerTurn =
  | { readonly kind: 'first' | 'pending' | 'unknown' | 'other' }
  | { readonly kind: 'finished'; readonly sessionId: string }

/** Which answer a sign-in attempt has used: only the same one is a repeat. Every method is one command, `take` two for a repeat. */
export interface AnswerMarks {
  /** @param answer what tells an answer from another: its code, its ID Token */
  take(attempt: string, answer: string, ttl: number): Promise<AnswerTurn>
  finish(attempt: string, answer: string, sessionId: string, ttl: number): Promise<void>
  /** The answer was refused, and the attempt is open again. */
  release(attempt: string): Promise<void>
  /** What the answer has brought about is not known: it is not used again. */
  leave(attempt: string, answer: string, ttl: number): Promise<void>
}

const PENDING = 'p'
const FINISHED = 'f'
const UNKNOWN = 'u'
const FINGERPRINT_LENGTH = 22

export function createAnswerMarks(backend: Backend, names: Names, sealer: Sealer): AnswerMarks {
  const keyOf = (attempt: string) => names.once('state', attempt)
  const contextOf = (attempt: string) => `answer ${attempt}`

  function read(attempt: string, answer: string, mark: string): AnswerTurn {
    const [status, fingerprint, sealed] = [
      mark[0],
      mark.slice(1, 1 + FINGERPRINT_LENGTH),
      mark.slice(1 + FINGERPRINT_LENGTH),
    ]
    if (fingerprint !== fingerprintOf(answer)) return { kind: 'other' }
    if (status === PENDING) return { kind: 'pending' }
    const opened = sealer.open('transaction', contextOf(attempt), Buffer.from(sealed, 'base64url'))
    return opened === undefined ? { kind: 'unknown' } : { kind: 'finished', sessionId: opened.toString() }
  }

  return {
    async take(attempt, answer, ttl) {
      // A mark that goes away between the two commands was released: the second round finds nothing, or the next answer's.
      for (let round = 0; round < 2; round += 1) {
        if (await backend.once(keyOf(attempt), ttl, PENDING + fingerprintOf(answer))) return { kind: 'first' }
        const mark = await backend.readMark(keyOf(attempt))
        if (mark !== undefined) return read(attempt, answer, mark)
      }
      return { kind: 'unknown' }
    },
    async finish(attempt, answer, sessionId, ttl) {
      const sealed = sealer.seal('transaction', contextOf(attempt), sessionId).toString('base64url')
      await backend.writeMark(keyOf(attempt), FINISHED + fingerprintOf(answer) + sealed, ttl)
    },
    release: attempt => backend.removeMark(keyOf(attempt)),
    leave: (attempt, answer, ttl) => backend.writeMark(keyOf(attempt), UNKNOWN + fingerprintOf(answer), ttl),
  }
}

function fingerprintOf(answer: string): string {
  return hash('sha256', answer, 'base64url').slice(0, FINGERPRINT_LENGTH)
}
