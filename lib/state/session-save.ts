import type { Backend } from './backend.js'
import { formatLife, ttlOf } from './life.js'
import type { Names } from './names.js'
import { FIELD } from './record-fields.js'
import type { Sealer } from './seal.js'
import { diffSessions, formatSession, mergeSession } from './session-changes.js'
import { createTurnQueue } from './turn-queue.js'
import { unavailable, withDeadline } from './unavailable.js'

/** What is known about a session object that a request works with. */
export interface TrackedSession {
  readonly id: string
  /** Whether this request made up the id; only then may a save create the record. */
  readonly generated: boolean
  exists: boolean
  /** The data as this request saw it last; `undefined` when it never did. */
  seen: string | undefined
  /** What the store held when this request last looked; a save that finds it unchanged needs one command. */
  stored: StoredSession | undefined
}

interface StoredSession {
  readonly version: number
  readonly text: string
}

export interface SaveSettings {
  readonly backend: Backend
  readonly sealer: Sealer
  readonly names: Names
  /** Seconds. */
  readonly idle: number
  /** Seconds. */
  readonly absolute: number
  /** Milliseconds a save may take as a whole, waiting for its turn included. */
  readonly timeout: number
  /** Epoch s. */
  readonly now: () => number
}

/** Saves what a request changed, and nothing else, into what the store holds now. */
export type SaveSession = (tracked: TrackedSession, session: object) => Promise<void>

const MAX_ATTEMPTS = 32
const ATTEMPTS_WITHOUT_PAUSE = 3
const LONGEST_PAUSE = 8

/**
 * Saves of one session take turns within this process, so that only other processes can come in between; against those a save is a
 * compare-and-set that is tried again with what it found. A record that is gone stays gone, and the save counts as done.
 */
export function createSessionSaver(settings: SaveSettings): SaveSession {
  const { backend, sealer, names, idle, absolute, timeout, now } = settings
  const takeTurn = createTurnQueue()

  function open(id: string, sealed: Buffer | null | undefined): string {
    return (sealed ? sealer.open('session', id, sealed)?.toString() : undefined) ?? '{}'
  }

  async function create(id: string, text: string): Promise<boolean> {
    const extendedAt = now()
    const endsAt = extendedAt + absolute
    const fields = {
      [FIELD.session]: sealer.seal('session', id, text),
      [FIELD.version]: '1',
      [FIELD.life]: formatLife({ extendedAt, endsAt }),
    }
    return backend.create(names.record(id), fields, ttlOf(endsAt, extendedAt, idle))
  }

  async function read(id: string): Promise<StoredSession> {
    const [session, version] = await backend.read(names.record(id), [FIELD.session, FIELD.version])
    return { version: Number(version ?? 0), text: open(id, session) }
  }

  async function merge(tracked: TrackedSession, current: string, checkTime: () => void): Promise<void> {
    const { id } = tracked
    let base = tracked.stored ?? (await read(id))
    const changes = diffSessions(tracked.seen ?? base.text, current)
    if (changes.size === 0) return
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      await pauseBefore(attempt)
      checkTime()
      const text = mergeSession(base.text, changes)
      const swap = await backend.swap(names.record(id), base.version, sealer.seal('session', id, text))
      if (swap.outcome === 'done') tracked.stored = { version: base.version + 1, text }
      if (swap.outcome !== 'conflict') return
      base = { version: swap.version, text: open(id, swap.session) }
    }
    throw unavailable('save', 'too many conflicts')
  }

  async function save(tracked: TrackedSession, session: object, isLate: () => boolean): Promise<void> {
    // What its caller has given up must not be done later, nor count as done.
    const checkTime = () => {
      if (isLate()) throw unavailable('save', 'timeout')
    }
    checkTime()
    const current = formatSession(session)
    const isCreated = !tracked.exists && (await create(tracked.id, current))
    if (isCreated) tracked.stored = { version: 1, text: current }
    else await merge(tracked, current, checkTime)
    tracked.exists = true
    tracked.seen = current
  }

  return (tracked, session) =>
    withDeadline('save', timeout, isLate => takeTurn(tracked.id, () => save(tracked, session, isLate)))
}

async function pauseBefore(attempt: number): Promise<void> {
  if (attempt < ATTEMPTS_WITHOUT_PAUSE) return
  await new Promise(resolve => setTimeout(resolve, Math.min(attempt, LONGEST_PAUSE)))
}
