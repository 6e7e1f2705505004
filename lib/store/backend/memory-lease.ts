import { formatExpiry, parseExpiry } from './expiry.js'
import { fingerprint, formatLease, type Leases, parseLease } from './lease.js'
import { FIELD, type FieldName } from './record-fields.js'
import type { LocalRemovals } from './removals.js'

type Record = Map<FieldName, Buffer>

export interface MemoryRecords {
  get(key: string): { readonly value: Record } | undefined
  set(key: string, value: Record, expiresAt: number): void
  delete(key: string): void
}

/** @param now epoch s */
export function createMemoryLeases(records: MemoryRecords, now: () => number, tell: LocalRemovals['tell']): Leases {
  const textOf = (record: Record, name: FieldName) => String(record.get(name) ?? '')

  return {
    async acquire(key, { owner, duration, tokensVersion, failureVersion, needsTicket }) {
      const record = records.get(key)?.value ?? new Map()
      if (needsTicket && !record.has(FIELD.ticket)) return 'absent'
      const isSame = fingerprint(record.get(FIELD.tokens)) === tokensVersion
      if (!isSame || textOf(record, FIELD.failure) !== failureVersion) return 'changed'
      const lease = parseLease(textOf(record, FIELD.lease))
      const left = lease.endsAt - now() * 1000
      if (lease.owner !== owner && left > 0 && left <= 2 * duration) return 'held'
      record.set(FIELD.lease, Buffer.from(formatLease(now() * 1000 + duration, owner)))
      if (records.get(key) === undefined) records.set(key, record, now() + duration / 1000)
      return 'acquired'
    },
    async commit(key, { owner, needsTicket, tokensVersion, ticketVersion, fields, clearsFailure, ttl, end }) {
      const record = records.get(key)?.value ?? new Map()
      if (needsTicket && !record.has(FIELD.ticket)) return 'absent'
      if (tokensVersion !== undefined && fingerprint(record.get(FIELD.tokens)) !== tokensVersion) return 'changed'
      if (ticketVersion !== undefined && fingerprint(record.get(FIELD.ticket)) !== ticketVersion) return 'changed'
      for (const [name, value] of Object.entries(fields)) record.set(name as FieldName, Buffer.from(value))
      if (clearsFailure) record.delete(FIELD.failure)
      if (parseLease(textOf(record, FIELD.lease)).owner === owner) record.delete(FIELD.lease)
      if (ttl !== undefined) records.set(key, record, now() + ttl / 1000)
      if (end !== undefined) shorten(record, end.endsAt)
      return 'done'
    },
    async removeIf(key, tokensVersion, reason) {
      const record = records.get(key)?.value
      if (record === undefined || fingerprint(record.get(FIELD.tokens)) !== tokensVersion) {
        return { existed: false, summary: undefined }
      }
      records.delete(key)
      tell({ key, reason })
      return { existed: true, summary: record.get(FIELD.summary) }
    },
  }
}

/** The sweep finds the record later; by its expiry it has ended. */
function shorten(record: Record, endsAt: number): void {
  const limit = record.get(FIELD.limit)
  if (limit !== undefined && endsAt < Number(limit)) record.set(FIELD.limit, Buffer.from(String(endsAt)))
  const expiry = parseExpiry(String(record.get(FIELD.expiry) ?? ''))
  if (expiry !== undefined && endsAt < expiry.endsAt) {
    record.set(FIELD.expiry, Buffer.from(formatExpiry({ ...expiry, endsAt })))
  }
}
