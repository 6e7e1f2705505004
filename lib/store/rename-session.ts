import type { Backend } from './backend/backend.js'
import type { CommitOutcome } from './backend/lease.js'
import { isLater } from './backend/logout-time.js'
import { FIELD, type Fields } from './backend/record-fields.js'
import type { SessionIndex } from './session-index.js'

type Rename = (sid: string, write: (fields: Fields) => Promise<CommitOutcome>) => Promise<CommitOutcome>

/**
 * A provider may give its session another name as it refreshes tokens, and names it by that when it signs a user out. As at a sign-in,
 * the index comes first, then the record, then a look for a logout by the new name that came in between, and that wins. The old name
 * goes on leading here until its time has come.
 *
 * @param end - ends the session of this key
 */
export function createRename(backend: Backend, index: SessionIndex, key: string, end: () => Promise<void>): Rename {
  return async function rename(sid, write) {
    const [sealed] = await backend.read(key, [FIELD.summary])
    const before = index.openSummary(key, sealed)
    // Without a summary nothing leads to the record by any name.
    if (before === undefined) return write({})
    const summary = { ...before, sid }
    await index.add(key, summary)
    const outcome = await write({ [FIELD.summary]: index.sealSummary(key, summary) })
    if (outcome !== 'done') return outcome
    const logouts = await index.logoutsOf(summary)
    if (logouts.every(logout => isLater(summary, logout))) return 'done'
    await end()
    return 'absent'
  }
}
