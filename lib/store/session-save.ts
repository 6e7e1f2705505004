import type { Backend } from './backend/backend.js'
import { formatExpiry, ttlOf } from './backend/expiry.js'
import { FIELD } from './backend/record-fields.js'
import { CONFLICTS, isAway, unavailable, withDeadline } from './backend/unavailable.js'
import type { RedisKeys } from './keys.js'
import type { Sealer } from './seal.js'
import { diffSessions, formatSession, mergeSession, type SessionChanges } from './session-changes.js'

/** What is known about a session object that a request works with. */
export interface TrackedSession {
  readonly id: string
  /** Whether this request made up the id; only then may a save create the record. */
  readonly generated: boolean
  exists: boolean
  /** The data as this request saw it last; `undefined` when it never did. */
  base: string | undefined
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
  readonly redisKeys: RedisKeys
  /** Seconds. */
  readonly idle: number
  /** Seconds. */
  readonly absolute: number
  /** Milliseconds a save may take as a whole, waiting for earlier saves of the same session included. */
  readonly timeout: number
  /** Epoch s. */
  readonly now: () => number
  /** The session that took the place of one; what was changed in the earlier one is saved there. */
  readonly successorOf: (id: string) => Promise<string | undefined>
}

/** Saves what a request changed, and nothing else, into what the store holds now. */
export type SaveSession = (tracked: TrackedSession, session: object) => Promise<void>

/** One save that waits for its turn. */
interface Save {
  readonly tracked: TrackedSession
  /** The data when the save was asked for. */
  readonly text: string
  readonly isLate: () => boolean
  readonly finish: (error?: unknown) => void
}

/** More sessions than this in a row do not follow each other within minutes. */
const MOST_SUCCESSORS = 16

/** Each lost attempt is a change that another process has stored meanwhile. */
const MAX_ATTEMPTS = 64
const ATTEMPTS_WITHOUT_PAUSE = 3
/** Milliseconds. */
const LONGEST_PAUSE = 16

/**
 * Saves of one session that come while another is under way wait, and are then stored together by one write. So only other processes
 * can come in between, one write of each at a time. Against those a save is a compare-and-set that is tried again, after a random
 * pause, with what it found. A record that is gone stays gone, and the save counts as done.
 */
export function createSessionSaver(settings: SaveSettings): SaveSession {
  const { timeout } = settings
  const writer = createSessionWriter(settings)
  const waiting = new Map<string, Save[]>()

  async function drain(id: string, saves: Save[]): Promise<void> {
    while (saves.length > 0) {
      const batch = saves.splice(0)
      await writer(id, batch).catch(error => {
        // What waited behind a store that is away has waited long enough: sent later, it would be done after its caller has given up.
        const alsoLate = isAway(error) ? saves.splice(0) : []
        for (const { finish } of [...batch, ...alsoLate]) finish(error)
      })
    }
    waiting.delete(id)
  }

  function enqueue(save: Save): void {
    const { id } = save.tracked
    const others = waiting.get(id)
    if (others !== undefined) {
      others.push(save)
      return
    }
    const saves = [save]
    waiting.set(id, saves)
    void drain(id, saves)
  }

  return async (tracked, session) => {
    // What is changed later belongs to a later save.
    const text = formatSession(session)
    const save = (isLate: () => boolean) =>
      new Promise<void>((resolve, reject) => {
        enqueue({ tracked, text, isLate, finish: error => (error === undefined ? resolve() : reject(error)) })
      })
    return withDeadline('save', timeout, save)
  }
}

/** Reads session data, and merges changes into it. */
function createMerger({ backend, sealer, redisKeys, successorOf }: SaveSettings) {
  function open(id: string, sealed: Buffer | null | undefined): string {
    return (sealed ? sealer.open('session', id, sealed)?.toString() : undefined) ?? '{}'
  }

  async function read(id: string): Promise<StoredSession> {
    const [session, version] = await backend.read(redisKeys.record(id), [FIELD.session, FIELD.version])
    return { version: Number(version ?? 0), text: open(id, session) }
  }

  /** What is stored afterwards. `undefined`: the record is gone. @param changes asked anew before each attempt */
  async function merge(
    id: string,
    start: StoredSession,
    changes: () => readonly SessionChanges[],
    hops = 0,
  ): Promise<StoredSession | undefined> {
    let base = start
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      await pauseBefore(attempt)
      const text = changes().reduce(mergeSession, base.text)
      const swap = await backend.swap(redisKeys.record(id), base.version, sealer.seal('session', id, text))
      if (swap.outcome === 'done') return { version: base.version + 1, text }
      if (swap.outcome !== 'conflict') {
        const successor = hops < MOST_SUCCESSORS ? await successorOf(id) : undefined
        if (successor !== undefined) await merge(successor, await read(successor), changes, hops + 1)
        return undefined
      }
      base = { version: swap.version, text: open(id, swap.session) }
    }
    throw unavailable('save', CONFLICTS)
  }

  return { read, merge }
}

/** Stores saves of one session, in order, and finishes them. */
function createSessionWriter(settings: SaveSettings): (id: string, saves: readonly Save[]) => Promise<void> {
  const { backend, sealer, redisKeys, idle, absolute, now } = settings
  const { read, merge } = createMerger(settings)

  async function create({ tracked, text }: Save): Promise<boolean> {
    const { id } = tracked
    const extendedAt = now()
    const endsAt = extendedAt + absolute
    const fields = {
      [FIELD.session]: sealer.seal('session', id, text),
      [FIELD.version]: '1',
      [FIELD.expiry]: formatExpiry({ extendedAt, endsAt }),
    }
    const isCreated = await backend.create(redisKeys.record(id), fields, ttlOf(endsAt, extendedAt, idle))
    if (isCreated) tracked.stored = { version: 1, text }
    return isCreated
  }

  /** @returns those that are stored; the others were given up by their callers */
  async function change(id: string, saves: readonly Save[]): Promise<readonly Save[]> {
    const known = saves.map(({ tracked }) => tracked.stored).filter(stored => stored !== undefined)
    const newest = known.toSorted((a, b) => b.version - a.version)[0]
    const base = newest ?? (await read(id))
    const changes = changesOf(saves, base.text)
    let live = saves
    const pending = () => {
      // What its caller has given up must not be done later, nor count as done.
      live = live.filter(({ isLate }) => !isLate())
      if (live.length === 0) throw unavailable('save', 'timeout')
      return live.map(save => changes.get(save) ?? new Map())
    }
    const isChanged = [...changes.values()].some(({ size }) => size > 0)
    const stored = isChanged ? await merge(id, base, pending) : base
    for (const { tracked } of live) if (stored !== undefined) tracked.stored = stored
    return live
  }

  return async (id, all) => {
    const merged: Save[] = []
    const done: Save[] = []
    for (const save of all) {
      if (save.isLate()) save.finish(unavailable('save', 'timeout'))
      else if (!save.tracked.exists && (await create(save))) done.push(save)
      else merged.push(save)
    }
    if (merged.length > 0) done.push(...(await change(id, merged)))
    for (const { tracked, text, finish } of done) {
      tracked.exists = true
      tracked.base = text
      finish()
    }
  }
}

/** What each save changes. A request that saves twice changes, the second time, what it saved first. */
function changesOf(saves: readonly Save[], stored: string): ReadonlyMap<Save, SessionChanges> {
  const base = new Map<TrackedSession, string>()
  const changes = new Map<Save, SessionChanges>()
  for (const save of saves) {
    const { tracked, text } = save
    changes.set(save, diffSessions(base.get(tracked) ?? tracked.base ?? stored, text))
    base.set(tracked, text)
  }
  return changes
}

async function pauseBefore(attempt: number): Promise<void> {
  if (attempt < ATTEMPTS_WITHOUT_PAUSE) return
  const longest = Math.min(attempt, LONGEST_PAUSE)
  await new Promise(resolve => setTimeout(resolve, Math.random() * longest))
}
