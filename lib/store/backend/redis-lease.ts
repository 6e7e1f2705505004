import type { CommitOutcome, LeaseOutcome, Leases } from './lease.js'
import { ACQUIRE, COMMIT, REMOVE_IF } from './lease-scripts.js'
import type { RemoveResult } from './record-fields.js'
import type { Script } from './redis-scripts.js'

type Call = (script: Script, key: string, ...args: (string | Buffer | number)[]) => Promise<unknown>

const ACQUIRED: Readonly<Record<number, LeaseOutcome>> = { 1: 'acquired', 0: 'held', 2: 'changed' }
const COMMITTED: Readonly<Record<number, CommitOutcome>> = { 1: 'done', 2: 'changed' }

/** @param news - the channel of removals, and what it is told */
export function createRedisLeases(
  call: Call,
  parseRemove: (reply: unknown) => RemoveResult,
  news: (key: string, reason?: string) => readonly [channel: string, text: string],
): Leases {
  const flag = (value: boolean) => (value ? '1' : '0')
  return {
    async acquire(key, { owner, duration, tokensVersion, failureVersion, needsTicket }) {
      const reply = await call(
        ACQUIRE,
        key,
        owner,
        Math.ceil(duration),
        tokensVersion,
        failureVersion,
        flag(needsTicket),
      )
      return ACQUIRED[Number(reply)] ?? 'absent'
    },
    async commit(
      key,
      { owner, needsTicket, tokensVersion = '*', ticketVersion = '*', fields, clearsFailure, ttl = 0, end },
    ) {
      const conditions = [tokensVersion, ticketVersion, flag(needsTicket), flag(clearsFailure), Math.ceil(ttl)]
      const { endsAt, now } = end ?? { endsAt: 0, now: 0 }
      const reply = await call(COMMIT, key, owner, ...conditions, endsAt, now, ...Object.entries(fields).flat())
      return COMMITTED[Number(reply)] ?? 'absent'
    },
    removeIf: async (key, tokensVersion, reason) =>
      parseRemove(await call(REMOVE_IF, key, tokensVersion, ...news(key, reason))),
  }
}
