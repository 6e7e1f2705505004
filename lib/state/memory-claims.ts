import { type Claims, fingerprint, formatHold, parseHold } from './claims.js'
import { FIELD, type FieldName } from './record-fields.js'

type Record = Map<FieldName, Buffer>

export interface MemoryRecords {
  get(key: string): { readonly value: Record } | undefined
  set(key: string, value: Record, expiresAt: number): void
  delete(key: string): void
}

/** @param now epoch s */
export function createMemoryClaims(records: MemoryRecords, now: () => number): Claims {
  const textOf = (record: Record, name: FieldName) => String(record.get(name) ?? '')

  return {
    async claim(key, { owner, life, tokensSeen, failureSeen, needsTicket }) {
      const record = records.get(key)?.value ?? new Map()
      if (needsTicket && !record.has(FIELD.ticket)) return 'absent'
      const isSame = fingerprint(record.get(FIELD.tokens)) === tokensSeen
      if (!isSame || textOf(record, FIELD.failure) !== failureSeen) return 'changed'
      const held = parseHold(textOf(record, FIELD.hold))
      const left = held.endsAt - now() * 1000
      if (held.owner !== owner && left > 0 && left <= 2 * life) return 'held'
      record.set(FIELD.hold, Buffer.from(formatHold(now() * 1000 + life, owner)))
      if (records.get(key) === undefined) records.set(key, record, now() + life / 1000)
      return 'claimed'
    },
    async settle(key, { owner, needsTicket, tokensSeen, ticketSeen, fields, clearsFailure, ttl }) {
      const record = records.get(key)?.value ?? new Map()
      if (needsTicket && !record.has(FIELD.ticket)) return 'absent'
      if (tokensSeen !== undefined && fingerprint(record.get(FIELD.tokens)) !== tokensSeen) return 'changed'
      if (ticketSeen !== undefined && fingerprint(record.get(FIELD.ticket)) !== ticketSeen) return 'changed'
      for (const [name, value] of Object.entries(fields)) record.set(name as FieldName, Buffer.from(value))
      if (clearsFailure) record.delete(FIELD.failure)
      if (parseHold(textOf(record, FIELD.hold)).owner === owner) record.delete(FIELD.hold)
      if (ttl !== undefined) records.set(key, record, now() + ttl / 1000)
      return 'done'
    },
    async removeIf(key, tokensSeen) {
      const record = records.get(key)?.value
      if (record === undefined || fingerprint(record.get(FIELD.tokens)) !== tokensSeen) {
        return { existed: false, summary: undefined }
      }
      records.delete(key)
      return { existed: true, summary: record.get(FIELD.summary) }
    },
  }
}
