import type { Backend } from './backend/backend.js'
import type { SignOutReason } from './end-reason.js'
import type { ExpiredSessions } from './expired-sessions.js'
import type { RedisKeys } from './keys.js'
import type { SessionIndex, SessionQuery } from './session-index.js'
import type { EndedSummary } from './ticket.js'

/** What was there when a record was removed. */
export interface EndedRecord {
  readonly existed: boolean
  /** `undefined` where no user was signed in, or where it cannot be read. */
  readonly summary: EndedSummary | undefined
  /** Sealed, and only who knows the session id can open them. */
  readonly tokens: Buffer | undefined
}

interface RecordEnderSettings {
  readonly backend: Pick<Backend, 'remove'>
  readonly redisKeys: Pick<RedisKeys, 'handle'>
  readonly index: Pick<SessionIndex, 'openSummary' | 'remove'>
  readonly expired: Pick<ExpiredSessions, 'whileForgotten'>
}

/**
 * Ends the session of a key, with what leads to it. Leaves the entries in the index of `query`, if given, where they are. `reason` is for those
 * who watch the session.
 */
export type EndRecord = (
  key: string,
  options?: { readonly query?: SessionQuery | undefined; readonly reason?: SignOutReason | undefined },
) => Promise<EndedRecord>

export function createRecordEnder({ backend, redisKeys, index, expired }: RecordEnderSettings): EndRecord {
  return async (key, { query, reason } = {}) => {
    const { existed, summary: sealed, tokens } = await expired.whileForgotten(key, () => backend.remove(key, reason))
    const summary = index.openSummary(key, sealed)
    // The session has ended; an entry that leads nowhere does no harm and is forgotten in time.
    if (summary) await index.remove(key, summary, query).catch(() => {})
    return { existed, summary: summary && { ...summary, handle: redisKeys.handle(key) }, tokens }
  }
}
