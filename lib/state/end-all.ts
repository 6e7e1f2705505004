import { type Backend, FIELD } from './backend.js'
import { mapInBatches } from './batches.js'
import { isLater, type LogoutMoment } from './moments.js'
import type { SessionIndex, SessionQuery } from './session-index.js'
import type { StoreClient } from './store-client.js'
import type { SessionSummary } from './ticket.js'

/** How far the end of several sessions reaches. */
export interface EndAllOptions {
  /** When it was decided. Sessions of a later sign-in stay. Left out: all that are there end. */
  readonly logout?: LogoutMoment
  /** Seconds for which sign-ins that are still on their way, and not later than `logout`, are refused. Default: not at all. */
  readonly remember?: number
  /** Handle of a session that stays. */
  readonly except?: string
  /** Which of them. Of one that cannot be read nothing is known, so it is none of them. */
  readonly only?: (summary: SessionSummary) => boolean
  /** Told of every session that ended here, once. */
  readonly onEnded?: (summary: SessionSummary) => void
}

/** What was there when a record was removed. */
export interface EndedRecord {
  readonly existed: boolean
  /** `undefined` where nobody was signed in, or where it cannot be read. */
  readonly summary: SessionSummary | undefined
}

interface SessionEnderSettings {
  readonly backend: Backend
  readonly index: SessionIndex
  readonly client: Pick<StoreClient, 'handleOf' | 'keyOfHandle'>
  readonly endRecord: (key: string) => Promise<EndedRecord>
}

/** Ends sessions of which the ids are not known. */
export interface SessionEnder {
  /**
   * All of a person or of a session at the provider. The mark comes first and the index is read after it; a sign-in writes its index entry
   * and its record first and looks for marks after that. So one of the two always sees the other.
   */
  endAll(query: SessionQuery, options?: EndAllOptions): Promise<number>
  /** The one with this handle, if it is meant. */
  endOne(
    handle: string,
    options: Required<Pick<EndAllOptions, 'only'>> & Pick<EndAllOptions, 'onEnded'>,
  ): Promise<number>
}

export function createSessionEnder({ backend, index, client, endRecord }: SessionEnderSettings): SessionEnder {
  async function isMeant(key: string, { logout, remember, except, only }: EndAllOptions): Promise<boolean> {
    if (client.handleOf(key) === except) return false
    if (logout === undefined && only === undefined) return true
    const [sealed, life] = await backend.read(key, [FIELD.summary, FIELD.life])
    // A sign-in that is just being written has its entry already. It will find the mark, or else its entry gone.
    if (!life) return remember === undefined && only === undefined
    const summary = index.openSummary(key, sealed)
    if (summary === undefined) return only === undefined
    return !(logout !== undefined && isLater(summary, logout)) && (only?.(summary) ?? true)
  }

  async function endIfMeant(key: string, options: EndAllOptions): Promise<EndedRecord | undefined> {
    if (!(await isMeant(key, options))) return undefined
    const ended = await endRecord(key)
    if (ended.summary !== undefined) options.onEnded?.(ended.summary)
    return ended
  }

  return {
    async endAll(query, options = {}) {
      const { logout, remember } = options
      if (logout !== undefined && remember !== undefined) await index.markLogout(query, logout, remember)
      const ended = await mapInBatches(await index.find(query), async key => {
        const record = await endIfMeant(key, options)
        if (record !== undefined && record.summary === undefined) await index.forget(query, key)
        return record?.existed
      })
      return ended.filter(Boolean).length
    },
    async endOne(handle, options) {
      const key = client.keyOfHandle(handle)
      const record = key === undefined ? undefined : await endIfMeant(key, options)
      return record?.existed ? 1 : 0
    },
  }
}
