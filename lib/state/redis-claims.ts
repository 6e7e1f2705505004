import { CLAIM, REMOVE_IF, SETTLE } from './claim-scripts.js'
import type { ClaimOutcome, Claims, SettleOutcome } from './claims.js'
import type { RemoveResult } from './record-fields.js'
import type { Script } from './redis-scripts.js'

type Call = (script: Script, key: string, ...args: (string | Buffer | number)[]) => Promise<unknown>

const CLAIMED: Readonly<Record<number, ClaimOutcome>> = { 1: 'claimed', 0: 'held', 2: 'changed' }
const SETTLED: Readonly<Record<number, SettleOutcome>> = { 1: 'done', 2: 'changed' }

export function createRedisClaims(call: Call, parseRemove: (reply: unknown) => RemoveResult): Claims {
  const flag = (value: boolean) => (value ? '1' : '0')
  return {
    async claim(key, { owner, life, tokensSeen, failureSeen, needsTicket }) {
      const reply = await call(CLAIM, key, owner, Math.ceil(life), tokensSeen, failureSeen, flag(needsTicket))
      return CLAIMED[Number(reply)] ?? 'absent'
    },
    async settle(key, { owner, needsTicket, tokensSeen = '*', ticketSeen = '*', fields, clearsFailure, ttl = 0 }) {
      const conditions = [tokensSeen, ticketSeen, flag(needsTicket), flag(clearsFailure), Math.ceil(ttl)]
      const reply = await call(SETTLE, key, owner, ...conditions, ...Object.entries(fields).flat())
      return SETTLED[Number(reply)] ?? 'absent'
    },
    removeIf: async (key, tokensSeen) => parseRemove(await call(REMOVE_IF, key, tokensSeen)),
  }
}
