import type { Sealer } from './seal.js'
import { parseTicket, type Ticket } from './ticket.js'

/** One session as it was when it was loaded. What it holds is opened when asked for, and once. */
export interface SessionRecord {
  readonly id: string
  /** Who is signed in; `undefined` for nobody, past the absolute end, and for a value that cannot be opened. */
  ticket(): Ticket | undefined
  /** The site's session data as JSON; `undefined` where there is none or it cannot be opened. */
  sessionText(): string | undefined
  /** Counts the writes of the session data. */
  readonly version: number
}

interface Loaded {
  readonly id: string
  readonly ticket: Buffer | null
  readonly session: Buffer | null
  readonly version: number
}

/** @param now epoch s */
export function createSessionRecord(loaded: Loaded, sealer: Sealer, now: () => number): SessionRecord {
  const { id, version } = loaded
  const openTicket = once(() => parseTicket(open('ticket', loaded.ticket)))
  const sessionText = once(() => open('session', loaded.session)?.toString())

  function open(purpose: 'ticket' | 'session', sealed: Buffer | null): Buffer | undefined {
    return sealed === null ? undefined : sealer.open(purpose, id, sealed)
  }

  function ticket(): Ticket | undefined {
    const opened = openTicket()
    return opened !== undefined && opened.expiresAt > now() ? opened : undefined
  }

  return { id, version, ticket, sessionText }
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}
