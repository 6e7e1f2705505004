import type { RedisKeys } from './keys.js'
import type { Loader } from './load-record.js'
import { diffSessions, mergeSession, pickSession } from './session-changes.js'
import type { SessionRecord } from './session-record.js'
import type { SaveSession } from './session-save.js'

interface AdoptionSettings {
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

export function createAdoption({ redisKeys, absolute, load, save, endRecord }: AdoptionSettings): Adopt {
  return async function adopt(record, anonymousId, keep) {
    const anonymous = await load(anonymousId, { extend: false })
    if (anonymous === undefined || anonymous.ticket() !== undefined) return
    const signedInAt = record.ticket()?.signedInAt ?? 0
    const kept = pickSession(anonymous.sessionText() ?? '{}', anonymous.endsAt - absolute <= signedInAt ? keep : [])
    const text = record.sessionText() ?? '{}'
    const { id, version } = record
    const tracked = { id, generated: false, exists: true, base: text, stored: { version, text } }
    await save(tracked, JSON.parse(mergeSession(kept, diffSessions('{}', text))))
    await endRecord(redisKeys.record(anonymousId))
  }
}
