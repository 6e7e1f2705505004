import type { Backend } from './backend.js'
import type { IndexKind, Names } from './names.js'
import type { Sealer } from './seal.js'
import { parseSummary, type SessionSummary } from './ticket.js'

/** Which sessions: all of a person, or those that hang on one session at the provider. */
export type SessionQuery =
  | { readonly issuer: string; readonly subject: string }
  | { readonly issuer: string; readonly sid: string }

/** Sets of record keys by (issuer, subject) and by (issuer, sid). */
export interface SessionIndex {
  add(key: string, summary: SessionSummary): Promise<void>
  /** Whether the index still leads to the record: it does not once the sessions of the person were ended. */
  has(key: string, summary: SessionSummary): Promise<boolean>
  remove(key: string, summary: SessionSummary): Promise<void>
  /** Keys of records, some of which may be gone. */
  find(query: SessionQuery): Promise<readonly string[]>
  /** Forgets a record that is gone. */
  forget(query: SessionQuery, key: string): Promise<void>
  sealSummary(key: string, summary: SessionSummary): Buffer
  openSummary(key: string, sealed: Buffer | null | undefined): SessionSummary | undefined
}

/** @param now epoch s */
export function createSessionIndex(backend: Backend, names: Names, sealer: Sealer, now: () => number): SessionIndex {
  const keysOf = ({ issuer, subject, sid }: SessionSummary): (readonly string[])[] => {
    const bySubject = names.index('sub', issuer, subject)
    return sid === undefined ? [bySubject] : [bySubject, names.index('sid', issuer, sid)]
  }
  const keysFor = (query: SessionQuery): readonly string[] => {
    const [kind, value]: [IndexKind, string] = 'sid' in query ? ['sid', query.sid] : ['sub', query.subject]
    return names.index(kind, query.issuer, value)
  }
  return {
    async add(key, summary) {
      const newest = keysOf(summary).map(keys => keys[0] as string)
      await Promise.all(newest.map(index => backend.addMember(index, key, summary.expiresAt, now())))
    },
    async has(key, summary) {
      const newest = keysOf(summary).map(keys => keys[0] as string)
      const found = await Promise.all(newest.map(index => backend.hasMember(index, key)))
      return found.every(Boolean)
    },
    async remove(key, summary) {
      await Promise.all(
        keysOf(summary)
          .flat()
          .map(index => backend.removeMember(index, key)),
      )
    },
    async find(query) {
      const found = await Promise.all(keysFor(query).map(index => backend.members(index, now())))
      return [...new Set(found.flat())]
    },
    async forget(query, key) {
      await Promise.all(keysFor(query).map(index => backend.removeMember(index, key)))
    },
    sealSummary: (key, summary) => sealer.seal('summary', key, JSON.stringify(summary)),
    openSummary: (key, sealed) => (sealed ? parseSummary(sealer.open('summary', key, sealed)) : undefined),
  }
}
