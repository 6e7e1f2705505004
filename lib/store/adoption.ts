import type { Backend } from './backend/backend.js'
import { FIELD } from './backend/record-fields.js'
import type { RedisKeys } from './keys.js'
import type { Loader } from './load-record.js'
import { diffSessions, mergeSession, pickSession } from './session-changes.js'
import type { SessionRecord } from './session-record.js'
import type { SaveSession } from './session-save.js'

interface AdoptionSettings {
  readonly backend: Backend
  readonly redisKeys: RedisKeys
  /** Seconds. */
  readonly absolute: number
  readonly load: Loader['load']
  readonly save: SaveSession
  readonly endRecord: (key: string) => Promise<unknown>
}

/**
 * Moves the `keep` keys of an anonymous session into the session of the user who signed in meanwhile in the same browser, and ends it. Data
 * that came after the sign-in is not moved: it may be of a late response.
 */
export type Adopt = (record: SessionRecord, anonymousId: string, keep: readonly string[]) => Promise<void>

export function createAdoption({ backend, redisKeys, absolute, load, save, endRecord }: AdoptionSettings): Adopt {
  /** In seconds since the epoch. The site may have brought the end nearer. */
  async function beginOf({ id, endsAt }: SessionRecord): Promise<number> {
    const [limit] = await backend.read(redisKeys.record(id), [FIELD.limit])
    return (limit ? Number(limit) : endsAt) - absolute
  }

  return async function adopt(record, anonymousId, keep) {
    const anonymous = await load(anonymousId, { extend: false })
    if (anonymous === undefined || anonymous.ticket() !== undefined) return
    const signedInAt = record.ticket()?.signedInAt ?? 0
    const isEarlier = keep.length > 0 && (await beginOf(anonymous)) <= signedInAt
    const kept = pickSession(anonymous.sessionText() ?? '{}', isEarlier ? keep : [])
    const text = record.sessionText() ?? '{}'
    const { id, version } = record
    const tracked = { id, generated: false, exists: true, base: text, stored: { version, text } }
    await save(tracked, JSON.parse(mergeSession(kept, diffSessions('{}', text))))
    await endRecord(redisKeys.record(anonymousId))
  }
}
