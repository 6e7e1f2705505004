import type { Backend } from './backend/backend.js'
import type { EndedRecord } from './end-sessions.js'
import type { ExpiredSessions } from './expired-sessions.js'
import type { RedisKeys } from './keys.js'
import type { SessionIndex, SessionQuery } from './session-index.js'

interface RecordEnderSettings {
  readonly backend: Pick<Backend, 'remove'>
  readonly redisKeys: Pick<RedisKeys, 'handle'>
  readonly index: Pick<SessionIndex, 'openSummary' | 'remove'>
  readonly expired: Pick<ExpiredSessions, 'whileForgotten'>
}

/** Ends the session of a key, with what leads to it. Leaves the entries in the index of `query`, if given, where they are. */
export type EndRecord = (key: string, query?: SessionQuery) => Promise<EndedRecord>

export function createRecordEnder({ backend, redisKeys, index, expired }: RecordEnderSettings): EndRecord {
  return async (key, query) => {
    const { existed, summary: sealed, tokens } = await expired.whileForgotten(key, () => backend.remove(key))
    const summary = index.openSummary(key, sealed)
    // The session has ended; an entry that leads nowhere does no harm and is forgotten in time.
    if (summary) await index.remove(key, summary, query).catch(() => {})
    return { existed, summary: summary && { ...summary, handle: redisKeys.handle(key) }, tokens }
  }
}
