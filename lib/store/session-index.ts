import type { Backend } from './backend/backend.js'
import type { LogoutTime } from './backend/logout-time.js'
import type { IndexKind, RedisKeys } from './keys.js'
import type { Sealer } from './seal.js'
import { parseSummary, type SessionSummary } from './ticket.js'

/** Which sessions: all of a person, or those that hang on one session at the provider. */
export type SessionQuery = (AtProvider & { readonly subject: string }) | (AtProvider & { readonly sid: string })

/** Where a user or a session is known by its name: at an issuer, and where the site has several providers, at one of them. */
export interface AtProvider {
  readonly issuer: string
  readonly provider?: string
}

/** An issuer has no space. */
const placeOf = ({ issuer, provider }: AtProvider) => (provider === undefined ? issuer : `${provider} ${issuer}`)

/** Sets of record keys by (issuer, subject) and by (issuer, sid). */
export interface SessionIndex {
  add(key: string, summary: SessionSummary): Promise<void>
  /** Whether the index still leads to the record: it does not once the sessions of the person were ended. */
  has(key: string, summary: SessionSummary): Promise<boolean>
  /** @param except entries that are left for {@link forget} */
  remove(key: string, summary: SessionSummary, except?: SessionQuery): Promise<void>
  /** Keys of records, some of which may be gone. */
  find(query: SessionQuery): Promise<readonly string[]>
  /** Remembers for `ttl` seconds that those sessions were ended, for sign-ins that are still on their way. */
  markLogout(query: SessionQuery, logout: LogoutTime, ttl: number): Promise<void>
  /** The logouts remembered that a session may fall under. */
  logoutsOf(summary: SessionSummary): Promise<readonly LogoutTime[]>
  /** Forgets records that are gone. */
  forget(query: SessionQuery, ...keys: readonly string[]): Promise<void>
  sealSummary(key: string, summary: SessionSummary): Buffer
  openSummary(key: string, sealed: Buffer | null | undefined): SessionSummary | undefined
}

const SHORTEST_ENTRY = 10

/** @param now epoch s */
export function createSessionIndex(
  backend: Backend,
  redisKeys: RedisKeys,
  sealer: Sealer,
  now: () => number,
): SessionIndex {
  /** A sign-in asks twice. */
  const known = new WeakMap<SessionSummary, readonly (readonly string[])[]>()
  const keysOf = (summary: SessionSummary): readonly (readonly string[])[] => {
    const keys = known.get(summary) ?? makeKeys(summary)
    known.set(summary, keys)
    return keys
  }
  const makeKeys = (summary: SessionSummary): readonly (readonly string[])[] => {
    const { subject, sid } = summary
    const place = placeOf(summary)
    const bySubject = redisKeys.index('sub', place, subject)
    return sid === undefined ? [bySubject] : [bySubject, redisKeys.index('sid', place, sid)]
  }
  const targetOf = (query: SessionQuery): [IndexKind, place: string, value: string] =>
    'sid' in query ? ['sid', placeOf(query), query.sid] : ['sub', placeOf(query), query.subject]
  const keysFor = (query: SessionQuery): readonly string[] => redisKeys.index(...targetOf(query))
  return {
    async add(key, summary) {
      const newest = keysOf(summary).map(keys => keys[0] as string)
      // Whole seconds, and in the future: an entry without a lifetime would be kept for ever, or not at all.
      const expiresAt = Math.max(Math.ceil(summary.expiresAt), now() + SHORTEST_ENTRY)
      await Promise.all(newest.map(index => backend.addMember(index, key, expiresAt, now())))
    },
    async has(key, summary) {
      const newest = keysOf(summary).map(keys => keys[0] as string)
      const found = await Promise.all(newest.map(index => backend.hasMember(index, key)))
      return found.every(Boolean)
    },
    async remove(key, summary, except) {
      const left = except === undefined ? [] : keysFor(except)
      const indexes = keysOf(summary)
        .flat()
        .filter(index => !left.includes(index))
      await Promise.all(indexes.map(index => backend.removeMember(index, key)))
    },
    async find(query) {
      const found = await Promise.all(keysFor(query).map(index => backend.members(index, now())))
      return [...new Set(found.flat())]
    },
    async markLogout(query, logout, ttl) {
      // Under every secret: a process with an older newest one looks there.
      await Promise.all(redisKeys.logout(...targetOf(query)).map(key => backend.markLogout(key, logout, ttl)))
    },
    async logoutsOf(summary) {
      const { subject, sid } = summary
      const keys = redisKeys.logout('sub', placeOf(summary), subject)
      const more = sid === undefined ? [] : redisKeys.logout('sid', placeOf(summary), sid)
      const found = await Promise.all([...keys, ...more].map(key => backend.readLogout(key)))
      return found.filter(logout => logout !== undefined)
    },
    async forget(query, ...keys) {
      if (keys.length > 0) await Promise.all(keysFor(query).map(index => backend.removeMember(index, ...keys)))
    },
    sealSummary: (key, summary) => sealer.seal('summary', key, JSON.stringify(summary)),
    openSummary: (key, sealed) => (sealed ? parseSummary(sealer.open('summary', key, sealed)) : undefined),
  }
}
