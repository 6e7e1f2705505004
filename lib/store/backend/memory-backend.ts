import { monotonicDate } from '../../time.js'
import type { Backend } from './backend.js'
import { createMemoryEntries } from './bounded-entries.js'
import { createExpiringMap, type ExpiringMap } from './expiring-map.js'
import { formatExpiry, parseExpiry, ttlOf } from './expiry.js'
import { formatLogoutTime, laterOf, parseLogoutTime } from './logout-time.js'
import { createMemoryLeases } from './memory-lease.js'
import { FIELD, type FieldName, type Fields } from './record-fields.js'
import { createLocalRemovals } from './removals.js'

const SWEEP_INTERVAL = 30_000
const SWEEP_LIMIT = 1000

/**
 * The contract of the Redis backend in the memory of this process, for development. It holds the same sealed values.
 * @param now epoch s
 */
export function createMemoryBackend(now: () => number): Backend {
  const records = createExpiringMap<Map<FieldName, Buffer>>(now)
  const marks = createExpiringMap<string>(now)
  const texts = createExpiringMap<string>(now)
  const sets = createExpiringMap<Map<string, number>>(now)
  const entries = createExpiringMap<Map<string, Buffer>>(now)
  const { watchRemovals, tell } = createLocalRemovals()
  const sweep = setInterval(() => {
    for (const map of [records, marks, texts, sets, entries]) map.sweep(SWEEP_LIMIT)
  }, SWEEP_INTERVAL).unref()

  return {
    ...createMemoryLeases(records, now, tell),
    watchRemovals,
    read: async (key, fields) => fields.map(field => records.get(key)?.value.get(field) ?? null),
    async create(key, fields, ttl) {
      if (records.get(key) !== undefined) return false
      records.set(key, write(new Map(), fields), now() + ttl)
      return true
    },
    async swap(key, version, session) {
      const record = records.get(key)?.value
      if (record === undefined || record.has(FIELD.replaced)) return { outcome: 'absent' }
      const current = Number(record.get(FIELD.version) ?? 0)
      if (current !== version) return { outcome: 'conflict', version: current, session: record.get(FIELD.session) }
      write(record, { [FIELD.version]: String(version + 1), [FIELD.session]: session })
      return { outcome: 'done' }
    },
    async extend(key, at, idle) {
      const entry = records.get(key)
      const expiry = parseExpiry(String(entry?.value.get(FIELD.expiry) ?? ''))
      const ttl = expiry === undefined ? 0 : ttlOf(expiry.endsAt, at, idle)
      if (entry === undefined || expiry === undefined || ttl <= 0) return false
      write(entry.value, { [FIELD.expiry]: formatExpiry({ ...expiry, extendedAt: at }) })
      entry.expiresAt = now() + ttl
      return true
    },
    async limit(key, wanted, at, idle) {
      const entry = records.get(key)
      const expiry = parseExpiry(String(entry?.value.get(FIELD.expiry) ?? ''))
      if (entry === undefined || expiry === undefined || entry.value.has(FIELD.replaced)) return false
      const limit = Number(entry.value.get(FIELD.limit) ?? expiry.endsAt)
      const endsAt = Math.min(wanted, limit)
      write(entry.value, { [FIELD.expiry]: formatExpiry({ ...expiry, endsAt }), [FIELD.limit]: String(limit) })
      entry.expiresAt = now() + Math.min(expiry.extendedAt + idle, endsAt) - at
      return true
    },
    async remove(key, reason) {
      const record = records.get(key)?.value
      records.delete(key)
      if (record !== undefined) tell({ key, reason })
      return { existed: record !== undefined, summary: record?.get(FIELD.summary), tokens: record?.get(FIELD.tokens) }
    },
    ...createMemorySuccession(records, texts, now),
    ...createMemoryMarks(marks, now),
    ...createMemoryEntries(entries, now),
    async addMember(key, member, expiresAt, at) {
      const entry = sets.get(key)
      const set = new Map([...(entry?.value ?? [])].filter(([, end]) => end > at)).set(member, expiresAt)
      sets.set(key, set, Math.max(entry?.expiresAt ?? 0, expiresAt))
    },
    async removeMember(key, ...members) {
      const set = sets.get(key)?.value
      for (const member of members) set?.delete(member)
      if (set?.size === 0) sets.delete(key)
    },
    members: async (key, at) =>
      [...(sets.get(key)?.value ?? [])].filter(([, end]) => end > at).map(([member]) => member),
    hasMember: async (key, member) => sets.get(key)?.value.has(member) ?? false,
    keys: async (prefix, length) =>
      records.keys().filter(key => key.startsWith(prefix) && key.length === prefix.length + length),
    time: async () => Math.floor(monotonicDate() * 1000),
    ping: async () => {},
    async close() {
      clearInterval(sweep)
    },
  }
}

/** What takes the place of what. */
function createMemorySuccession(
  records: ExpiringMap<Map<FieldName, Buffer>>,
  texts: ExpiringMap<string>,
  now: () => number,
): Pick<Backend, 'retire' | 'demand' | 'addField' | 'removeField' | 'setText' | 'getText'> {
  return {
    async retire(key, at, longest) {
      const entry = records.get(key)
      const expiry = parseExpiry(String(entry?.value.get(FIELD.expiry) ?? ''))
      if (!entry?.value.has(FIELD.ticket) || expiry === undefined || expiry.endsAt <= at) return undefined
      const endsAt = Math.min(expiry.endsAt, at + longest)
      write(entry.value, { [FIELD.replaced]: '1', [FIELD.expiry]: formatExpiry({ ...expiry, endsAt }) })
      entry.expiresAt = Math.min(entry.expiresAt, now() + longest)
      return { version: Number(entry.value.get(FIELD.version) ?? 0), session: entry.value.get(FIELD.session) }
    },
    async demand(key, demand) {
      const record = records.get(key)?.value
      if (!record?.has(FIELD.expiry)) return false
      if (record.get(FIELD.demand)?.toString() !== 'reauthenticate') write(record, { [FIELD.demand]: demand })
      return true
    },
    async addField(key, field, value) {
      const record = records.get(key)?.value
      if (!record?.has(FIELD.ticket)) return { outcome: 'absent' }
      if (record.has(field)) return { outcome: 'taken', value: record.get(field) }
      write(record, { [field]: value })
      return { outcome: 'done' }
    },
    async removeField(key, field) {
      records.get(key)?.value.delete(field)
    },
    async setText(key, text, ttl) {
      if (texts.get(key) === undefined) texts.set(key, text, now() + ttl)
    },
    getText: async key => texts.get(key)?.value,
  }
}

function createMemoryMarks(
  marks: ExpiringMap<string>,
  now: () => number,
): Pick<Backend, 'consume' | 'readMark' | 'writeMark' | 'removeMark' | 'isConsumed' | 'markLogout' | 'readLogout'> {
  return {
    isConsumed: async key => marks.get(key) !== undefined,
    async markLogout(key, logout, ttl) {
      const earlier = parseLogoutTime(marks.get(key)?.value ?? null)
      marks.set(key, formatLogoutTime(laterOf(earlier, logout)), now() + ttl)
    },
    readLogout: async key => parseLogoutTime(marks.get(key)?.value ?? null),
    async consume(key, ttl, value = '1') {
      if (marks.get(key) !== undefined) return false
      marks.set(key, value, now() + ttl)
      return true
    },
    readMark: async key => marks.get(key)?.value,
    async writeMark(key, value, ttl) {
      marks.set(key, value, now() + ttl)
    },
    async removeMark(key) {
      marks.delete(key)
    },
  }
}

function write(record: Map<FieldName, Buffer>, fields: Fields): Map<FieldName, Buffer> {
  for (const [name, value] of Object.entries(fields)) record.set(name as FieldName, Buffer.from(value))
  return record
}
