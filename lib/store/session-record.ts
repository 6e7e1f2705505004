import { type DeviceBinding, openDevice } from './device-keys.js'
import type { Sealer } from './seal.js'
import type { SignInDemand } from './sign-in-demands.js'
import { parseTicket, type Ticket } from './ticket.js'

/** One session as it was when it was loaded. What it holds is opened when asked for, and once. */
export interface SessionRecord {
  readonly id: string
  /** Who is signed in; `undefined` where no user is, past the absolute end, and for a value that cannot be opened. */
  ticket(): Ticket | undefined
  /** The site's session data as JSON; `undefined` where there is none or it cannot be opened. */
  sessionText(): string | undefined
  /** What the user has to do before the next guarded page. */
  readonly demand: SignInDemand | undefined
  /** What the session is bound to; `undefined` where it is not, and where the site binds no sessions. */
  device(): DeviceBinding | undefined
  /** Counts the writes of the session data. */
  readonly version: number
  /** When it expires, however busy it is, in seconds since the epoch. */
  readonly endsAt: number
  /** When its lifetime was last extended, by this request also, in seconds since the epoch. */
  readonly extendedAt: number
}

interface Loaded {
  readonly id: string
  readonly ticket: Buffer | null
  readonly session: Buffer | null
  readonly version: number
  readonly endsAt: number
  readonly extendedAt: number
  readonly demand: SignInDemand | undefined
  readonly device: Buffer | null
  /** Told when the ticket is there and cannot be opened. */
  readonly onDamaged: () => void
}

/** @param now epoch s */
export function createSessionRecord(loaded: Loaded, sealer: Sealer, now: () => number): SessionRecord {
  return new LoadedRecord(loaded, sealer, now)
}

/** A class, because there is one for every request and a closure for each of its parts adds up. */
class LoadedRecord implements SessionRecord {
  readonly id: string
  readonly version: number
  readonly endsAt: number
  readonly extendedAt: number
  readonly demand: SignInDemand | undefined
  readonly #loaded: Loaded
  readonly #sealer: Sealer
  readonly #now: () => number
  #ticket: Opened<Ticket>
  #text: Opened<string>

  constructor(loaded: Loaded, sealer: Sealer, now: () => number) {
    this.id = loaded.id
    this.version = loaded.version
    this.endsAt = loaded.endsAt
    this.extendedAt = loaded.extendedAt
    this.demand = loaded.demand
    this.#loaded = loaded
    this.#sealer = sealer
    this.#now = now
  }

  ticket(): Ticket | undefined {
    if (this.#ticket === undefined) {
      this.#ticket = { value: parseTicket(this.#open('ticket', this.#loaded.ticket)) }
      if (this.#ticket.value === undefined && this.#loaded.ticket !== null) this.#loaded.onDamaged()
    }
    const { value } = this.#ticket
    return value !== undefined && value.expiresAt > this.#now() ? value : undefined
  }

  sessionText(): string | undefined {
    this.#text ??= { value: objectText(this.#open('session', this.#loaded.session)) }
    return this.#text.value
  }

  device(): DeviceBinding | undefined {
    const { device } = this.#loaded
    return device === null ? undefined : openDevice(this.#sealer, this.id, device)
  }

  #open(purpose: 'ticket' | 'session', sealed: Buffer | null): string | undefined {
    return sealed === null ? undefined : this.#sealer.openAgain(purpose, this.id, sealed)
  }
}

/** What is sealed is what was written; only another version of this package may have written something else than an object. */
function objectText(json: string | undefined): string | undefined {
  return json?.startsWith('{') ? json : undefined
}

/** What was opened already, even where nothing came of it. */
type Opened<T> = { readonly value: T | undefined } | undefined
