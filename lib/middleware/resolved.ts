import { OidcError, type OidcErrorCode } from '../errors.js'
import { monotonic } from '../time.js'
import { createSingleFlight } from '../tokens/single-flight.js'

/** What a function of the site has found by a name that is part of a request. */
export interface Found<T> {
  /** Tells whether it is the same as before: what was made of that is kept. */
  readonly returned: unknown
  make(): T
}

/** What was found by name lately. */
export interface Resolved<T> {
  /** @throws {OidcError} what the function has thrown, or the code of the settings; not for a name that was known before */
  find(name: string): Promise<T | undefined>
  values(): readonly T[]
}

interface ResolvedSettings<T> {
  readonly ask: (name: string) => Promise<Found<T> | undefined>
  /** Told of what is not kept any more. */
  readonly onForgotten?: (value: T) => void
  /** Where the function throws an error that is none of this package. */
  readonly failure: { readonly code: OidcErrorCode; readonly message: string }
}

/** Names that are kept. The one that was not used for the longest time makes room. */
const MOST = 500

/** Milliseconds for which the site is not asked again. */
const FRESH = 5 * 60 * 1000

/** The same after a failure: a site that cannot say makes one request wait, and not each one. */
const FRESH_AFTER_FAILURE = 10 * 1000

interface Entry<T> {
  readonly value: T
  readonly returned: unknown
  readonly freshUntil: number
}

/** Asks a function of the site once for all callers that need the same name at the same time, and keeps what it finds for a while. */
export function createResolved<T>({ ask, onForgotten, failure }: ResolvedSettings<T>): Resolved<T> {
  const entries = new Map<string, Entry<T>>()
  const flights = createSingleFlight<T | undefined>()

  function forget(name: string): void {
    const entry = entries.get(name)
    entries.delete(name)
    if (entry !== undefined) onForgotten?.(entry.value)
  }

  function keep(name: string, entry: Entry<T>): T {
    entries.delete(name)
    entries.set(name, entry)
    const [oldest] = entries.keys()
    if (entries.size > MOST && oldest !== undefined) forget(oldest)
    return entry.value
  }

  /** Nothing is kept of a name that the site does not know, so that callers cannot fill the memory with names. */
  async function askAgain(name: string): Promise<T | undefined> {
    const found = await ask(name)
    // Looked up now: what was known may have made room meanwhile.
    const known = entries.get(name)
    const freshUntil = monotonic() + FRESH
    if (found === undefined) {
      forget(name)
      return undefined
    }
    if (known !== undefined && known.returned === found.returned) return keep(name, { ...known, freshUntil })
    const value = found.make()
    forget(name)
    return keep(name, { value, returned: found.returned, freshUntil })
  }

  return {
    async find(name) {
      const known = entries.get(name)
      if (known !== undefined && known.freshUntil > monotonic()) return keep(name, known)
      try {
        return await flights.run(name, () => askAgain(name))
      } catch (error) {
        // Users of what is known go on while the site cannot say. Looked up now: it may have made room meanwhile.
        const still = entries.get(name)
        if (still !== undefined) return keep(name, { ...still, freshUntil: monotonic() + FRESH_AFTER_FAILURE })
        if (error instanceof OidcError) throw error
        throw new OidcError(failure.code, failure.message, { cause: error })
      }
    },
    values: () => [...entries.values()].map(({ value }) => value),
  }
}
