import type { Backend } from './backend/backend.js'
import { isLater, type LogoutTime } from './backend/logout-time.js'
import { FIELD } from './backend/record-fields.js'
import type { StoreClock } from './backend/store-clock.js'
import { ifThereIsRoom } from './backend/unavailable.js'
import { batchesOf } from './batches.js'
import type { StoreClient } from './connect-redis-client.js'
import type { SignOutReason } from './end-reason.js'
import type { EndRecord } from './end-record.js'
import type { RedisKeys } from './keys.js'
import type { SessionIndex, SessionQuery } from './session-index.js'
import type { EndedSummary, SessionSummary } from './ticket.js'

/** How far the end of several sessions reaches. */
export interface EndAllOptions {
  /** What those who watch the sessions are told. */
  readonly reason?: SignOutReason
  /** The logout was decided elsewhere: sessions of a sign-in that is later than it stay. Left out: all that are there end. */
  readonly logout?: Omit<LogoutTime, 'at'>
  /** Seconds for which sign-ins that are still on their way, and not later than `logout`, are refused. Default: not at all. */
  readonly remember?: number
  /** Handle of a session that stays. */
  readonly except?: string
  /** Which of them. Of one that cannot be read nothing is known, so it is none of them. */
  readonly only?: (summary: SessionSummary) => boolean
  /** Told of every session that ended here, once. */
  readonly onEnded?: (summary: EndedSummary) => void
}

/** With the time on the clock of the store, which a caller does not know. */
interface TimedOptions extends Omit<EndAllOptions, 'logout'> {
  readonly logout?: LogoutTime | undefined
}

interface SessionEnderSettings {
  readonly backend: Backend
  readonly index: SessionIndex
  readonly redisKeys: Pick<RedisKeys, 'handle'>
  readonly client: Pick<StoreClient, 'keyOfHandle'>
  readonly clock: Pick<StoreClock, 'latest'>
  readonly endRecord: EndRecord
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
    options: Required<Pick<EndAllOptions, 'only'>> & Pick<EndAllOptions, 'onEnded' | 'reason'>,
  ): Promise<number>
}

export function createSessionEnder({
  backend,
  redisKeys,
  index,
  client,
  clock,
  endRecord,
}: SessionEnderSettings): SessionEnder {
  async function isMeant(key: string, { logout, remember, except, only }: TimedOptions): Promise<boolean> {
    if (redisKeys.handle(key) === except) return false
    // Nothing that is there already began after a logout that is just being decided here.
    if (logout?.issuedAt === undefined && only === undefined) return true
    const [sealed, expiry] = await backend.read(key, [FIELD.summary, FIELD.expiry])
    // A sign-in that is just being written has its entry already. It will find the mark, or else its entry gone.
    if (!expiry) return remember === undefined && only === undefined
    const summary = index.openSummary(key, sealed)
    if (summary === undefined) return only === undefined
    return !(logout !== undefined && isLater(summary, logout)) && (only?.(summary) ?? true)
  }

  /** Whether it was there, and `undefined` for one that stays. */
  async function endIfMeant(key: string, options: TimedOptions, query?: SessionQuery): Promise<boolean | undefined> {
    if (!(await isMeant(key, options))) return undefined
    const { reason } = options
    let { existed, summary } = await endRecord(key, { query, reason })
    if (!existed && query !== undefined) {
      // A sign-in that is just being written: without its entry it will not come to be, and if it was quicker, it ends now.
      await index.forget(query, key)
      ;({ existed, summary } = await endRecord(key, { reason }))
    }
    if (existed && summary !== undefined) options.onEnded?.(summary)
    return existed
  }

  async function endFound(query: SessionQuery, options: TimedOptions): Promise<number> {
    let count = 0
    for (const keys of batchesOf(await index.find(query))) {
      const outcomes = await Promise.all(keys.map(key => endIfMeant(key, options, query)))
      const ended = keys.filter((_, at) => outcomes[at])
      count += ended.length
      await index.forget(query, ...ended)
    }
    return count
  }

  return {
    async endAll(query, options = {}) {
      const { remember } = options
      const logout = options.logout && { ...options.logout, at: await clock.latest() }
      const mark = () =>
        logout === undefined || remember === undefined
          ? Promise.resolve(true)
          : ifThereIsRoom(() => index.markLogout(query, logout, remember))
      const isMarked = await mark()
      const count = await endFound(query, { ...options, logout })
      // Redis was full. Ending needs no room, and has made some: what came in between ends now. A sign-in needs room as well.
      return !isMarked && (await mark()) ? count + (await endFound(query, { ...options, logout })) : count
    },
    async endOne(handle, options) {
      const key = client.keyOfHandle(handle)
      return key !== undefined && (await endIfMeant(key, options)) ? 1 : 0
    },
  }
}
