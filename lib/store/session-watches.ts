import { monotonic } from '../time.js'
import type { Backend } from './backend/backend.js'
import { type Expiry, parseExpiry } from './backend/expiry.js'
import { FIELD } from './backend/record-fields.js'
import { batchesOf } from './batches.js'
import { parseEndReason, type SessionEndReason } from './end-reason.js'
import type { RedisKeys } from './keys.js'
import type { Successors } from './successors.js'

/** Called once. */
type OnEnd = (reason: SessionEndReason | undefined) => void

export interface SessionWatches {
  /** @returns what stops it */
  watch(id: string, onEnd: OnEnd): () => void
  /** Stops all of them. */
  close(): void
}

export interface SessionWatchSettings {
  readonly backend: Pick<Backend, 'read' | 'watchRemovals'>
  readonly redisKeys: Pick<RedisKeys, 'record'>
  readonly successors: Pick<Successors, 'of' | 'has'>
  /** Seconds. */
  readonly idle: number
  /** Epoch s. */
  readonly now: () => number
}

/** One watch. It moves from session to session as the user goes on with another. */
interface Watch {
  readonly onEnd: OnEnd
  session: WatchedSession
}

/** A session, however often it is watched. */
interface WatchedSession {
  readonly id: string
  readonly key: string
  readonly watches: Set<Watch>
  /** As it was read last. */
  expiry?: Expiry | undefined
  /** Whether its end was told, and why it ended as far as that was said. */
  isTold?: boolean
  reason?: SessionEndReason | undefined
}

/** Milliseconds between two looks at every session, where removals are told, and where they are not or Redis has not responded. */
const RARELY = 30_000
const OFTEN = 2_000
/** Milliseconds that an end which was seen waits for its reason. */
const TOLD_LATE = 100
/** Seconds until a session is looked at again whose time is over by the clock of this process, and which is still there. */
const SHORTEST = 0.5
/** Seconds for which it is. After that it is looked at with all others. */
const CLOCKS_APART = 3

/**
 * Whether a session lives is read from the store: when it was said to have been removed, when its time is over, and now and then. So a message
 * that was lost costs time only, and one that is wrong costs a read. One subscription, and one timer, serve all sessions.
 */
export function createSessionWatches(settings: SessionWatchSettings): SessionWatches {
  const watcher = new Watcher(settings)
  return { watch: (id, onEnd) => watcher.watch(id, onEnd), close: () => watcher.close() }
}

class Watcher implements SessionWatches {
  readonly #settings: SessionWatchSettings
  readonly #sessions = new Map<string, WatchedSession>()
  /** Those to be looked at now. */
  readonly #due = new Set<WatchedSession>()
  #stopListening: (() => void) | undefined
  #isListening = false
  #isLooking = false
  /** When all of them are looked at: elapsed milliseconds. */
  #nextRound = 0
  /** When the time of the next session may be over: epoch s. */
  #nextTimeOver = Number.POSITIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  constructor(settings: SessionWatchSettings) {
    this.#settings = settings
  }

  watch(id: string, onEnd: OnEnd): () => void {
    const session = this.#sessionOf(id)
    const watch: Watch = { onEnd, session }
    session.watches.add(watch)
    this.#listen()
    this.#lookAt(session)
    return () => {
      watch.session.watches.delete(watch)
      this.#forget(watch.session)
    }
  }

  close(): void {
    for (const { watches } of this.#sessions.values()) watches.clear()
    this.#sessions.clear()
    this.#due.clear()
    this.#rest()
  }

  #listen(): void {
    if (this.#stopListening !== undefined) return
    this.#nextRound = monotonic() + OFTEN
    this.#stopListening = this.#settings.backend.watchRemovals({
      removed: ({ key, reason }) => {
        const session = this.#sessions.get(key)
        if (session === undefined) return
        session.isTold = true
        session.reason = parseEndReason(reason)
        this.#lookAt(session)
      },
      listening: isNow => {
        this.#isListening = isNow
        // What happened before may not have been told.
        if (isNow) this.#lookAtAll()
        else this.#hurry()
      },
    })
  }

  #lookAt(session: WatchedSession): void {
    this.#due.add(session)
    void this.#look()
  }

  #lookAtAll(): void {
    this.#nextRound = monotonic() + (this.#isListening ? RARELY : OFTEN)
    this.#nextTimeOver = Number.POSITIVE_INFINITY
    for (const session of this.#sessions.values()) this.#due.add(session)
    void this.#look()
  }

  #lookAtThoseOver(): void {
    this.#nextTimeOver = Number.POSITIVE_INFINITY
    for (const session of this.#sessions.values())
      if (this.#isTimeOver(session)) this.#due.add(session)
      else this.#planFor(session)
    void this.#look()
  }

  /** A turn of the event loop gathers what is due. Sessions that come meanwhile are looked at by the same call. */
  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    await new Promise(resolve => setImmediate(resolve))
    try {
      while (this.#due.size > 0) {
        const [batch = []] = batchesOf([...this.#due])
        // One that is said to have ended from here on is looked at again.
        for (const session of batch) this.#due.delete(session)
        await Promise.all(batch.map(session => this.#check(session)))
      }
    } catch {
      this.#due.clear()
      this.#hurry()
      // This much is known without the store.
      for (const session of this.#sessions.values())
        if (isPast(session.expiry, this.#settings.now())) this.#end(session, 'expired')
        else this.#planFor(session)
    }
    this.#isLooking = false
    this.#wait()
  }

  async #check(session: WatchedSession): Promise<void> {
    const { backend, successors, now } = this.#settings
    const [text] = await backend.read(session.key, [FIELD.expiry])
    const expiry = text ? parseExpiry(text.toString()) : undefined
    if (expiry !== undefined && !isPast(expiry, now())) {
      session.expiry = expiry
      this.#planFor(session)
      // What was said while it was read is newer than what was read, and it is looked at again.
      if (this.#due.has(session)) return
      session.isTold = false
      session.reason = undefined
      return
    }
    const successor = await successors.of(session.id)
    if (successor !== undefined) return this.#follow(session, successor)
    const isReplaced = session.reason === undefined && (await successors.has(session.id))
    const likely = isReplaced ? 'replaced' : this.#isTimeOver(session) ? 'expired' : undefined
    const finish = () => this.#end(session, session.reason ?? likely)
    if (session.isTold || likely !== undefined) finish()
    // Why it ended comes over another connection, which may have been made just now. What has arrived is read first.
    else setTimeout(() => setImmediate(finish), TOLD_LATE).unref()
  }

  #isTimeOver({ expiry }: WatchedSession): boolean {
    const { idle, now } = this.#settings
    return expiry !== undefined && dueAt(expiry, idle) <= now()
  }

  /** The same user has signed in anew in the same browser, and goes on with another session. */
  #follow(session: WatchedSession, id: string): void {
    const next = this.#sessionOf(id)
    next.reason ??= session.reason
    for (const watch of session.watches) {
      watch.session = next
      next.watches.add(watch)
    }
    session.watches.clear()
    this.#forget(session)
    this.#lookAt(next)
  }

  #end(session: WatchedSession, reason: SessionEndReason | undefined): void {
    const ended = [...session.watches]
    session.watches.clear()
    this.#forget(session)
    for (const { onEnd } of ended) onEnd(reason)
  }

  #sessionOf(id: string): WatchedSession {
    const key = this.#settings.redisKeys.record(id)
    const session = this.#sessions.get(key) ?? { id, key, watches: new Set() }
    this.#sessions.set(key, session)
    return session
  }

  /** Lets go of a session that is not watched any more, and of the subscription with the last of them. */
  #forget(session: WatchedSession): void {
    if (session.watches.size > 0) return
    if (this.#sessions.get(session.key) === session) this.#sessions.delete(session.key)
    this.#due.delete(session)
    if (this.#sessions.size === 0) this.#rest()
  }

  #rest(): void {
    this.#stopListening?.()
    this.#stopListening = undefined
    this.#isListening = false
    clearTimeout(this.#timer)
  }

  /** All of them are looked at soon. */
  #hurry(): void {
    this.#nextRound = Math.min(this.#nextRound, monotonic() + OFTEN)
    this.#wait()
  }

  /** Has the session looked at when its time is over. */
  #planFor({ expiry }: WatchedSession): void {
    if (expiry === undefined) return
    const [due, now] = [dueAt(expiry, this.#settings.idle), this.#settings.now()]
    if (due > now - CLOCKS_APART) this.#nextTimeOver = Math.min(this.#nextTimeOver, Math.max(due, now + SHORTEST))
  }

  /** Until the time of the next session is over, or until all of them are looked at. */
  #wait(): void {
    clearTimeout(this.#timer)
    if (this.#sessions.size === 0 || this.#isLooking) return
    const untilRound = Math.max(this.#nextRound - monotonic(), 0)
    const untilTimeOver = (this.#nextTimeOver - this.#settings.now()) * 1000
    const look = () => (untilRound <= untilTimeOver ? this.#lookAtAll() : this.#lookAtThoseOver())
    this.#timer = setTimeout(look, Math.min(untilRound, untilTimeOver)).unref()
  }
}

/** When the store forgets it, unless it is extended: epoch s. */
function dueAt({ extendedAt, endsAt }: Expiry, idle: number): number {
  return Math.min(extendedAt + idle, endsAt)
}

function isPast(expiry: Expiry | undefined, now: number): boolean {
  return expiry !== undefined && expiry.endsAt <= now
}
