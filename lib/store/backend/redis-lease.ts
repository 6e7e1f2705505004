import type { CommitOutcome, LeaseOutcome, Leases } from './lease.js'
import { ACQUIRE, COMMIT, REMOVE_IF } from './lease-scripts.js'
import type { RemoveResult } from './record-fields.js'
import type { Script } from './redis-scripts.js'

type Call = (script: Script, key: string, ...args: (string | Buffer | number)[]) => Promise<unknown>

const CLAIMED: Readonly<Record<number, LeaseOutcome>> = { 1: 'claimed', 0: 'held', 2: 'changed' }
const SETTLED: Readonly<Record<number, CommitOutcome>> = { 1: 'done', 2: 'changed' }

export function createRedisLeases(call: Call, parseRemove: (reply: unknown) => RemoveResult): Leases {
  const flag = (value: boolean) => (value ? '1' : '0')
  return {
    async acquire(key, { owner, duration, tokensVersion: tokensSeen, failureVersion: failureSeen, needsTicket }) {
      const reply = await call(ACQUIRE, key, owner, Math.ceil(duration), tokensSeen, failureSeen, flag(needsTicket))
      return CLAIMED[Number(reply)] ?? 'absent'
    },
    async commit(
      key,
      {
        owner,
        needsTicket,
        tokensVersion: tokensSeen = '*',
        ticketVersion: ticketSeen = '*',
        fields,
        clearsFailure,
        ttl = 0,
      },
    ) {
      const conditions = [tokensSeen, ticketSeen, flag(needsTicket), flag(clearsFailure), Math.ceil(ttl)]
      const reply = await call(COMMIT, key, owner, ...conditions, ...Object.entries(fields).flat())
      return SETTLED[Number(reply)] ?? 'absent'
    },
    removeIf: async (key, tokensSeen) => parseRemove(await call(REMOVE_IF, key, tokensSeen)),
  }
}
