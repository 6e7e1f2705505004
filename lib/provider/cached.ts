import { OidcError } from '../errors.js'
import { createElapsed, jitter } from '../time.js'

/** A cache for what the provider publishes, fetched again before it is too old. All times are in seconds. */
export interface CachedSettings<T> {
  readonly load: () => Promise<T>
  readonly now: () => Date
  /** From this age on, reading starts a fetch and does not wait for it. */
  readonly refreshAfter: number
  /** From this age on, reading waits for a fetch, and uses the old value if it fails. */
  readonly maxAge: number
  /** From this age on, an old value is not good enough any more. Default: never. */
  readonly staleLimit?: number
  /** From 0 to 1, for the pauses. Default: `Math.random`. */
  readonly random?: () => number
}

export interface Cached<T> {
  get(): Promise<T>
  peek(): T | undefined
  /** Loads now, or joins the load that is under way. What was known before survives a failure. */
  reload(): Promise<T>
  isLoading(): boolean
  /** The number of the load the value comes from, and of the newest load that was started: equal where nothing newer is on its way. */
  generation(): { held: number; started: number }
  status(): CachedStatus
}

export interface CachedStatus {
  /** Why the last attempt failed. Absent where it did not. */
  readonly error?: unknown
}

interface Held<T> {
  readonly value: T
  /** Elapsed seconds. */
  readonly loadedAt: number
  readonly generation: number
}

interface Failure {
  readonly error: unknown
  /** Elapsed seconds. */
  readonly at: number
  /** Failed attempts in a row. */
  readonly count: number
  /** Seconds until the next attempt in the background. */
  readonly pause: number
}

/** Seconds. The longest pause doubles with every failure, from 1 s on, up to this. */
const LONGEST_BACK_OFF = 30

function failureAfter(
  earlier: Failure | undefined,
  { error, at }: Pick<Failure, 'error' | 'at'>,
  random: () => number,
): Failure {
  const count = (earlier?.count ?? 0) + 1
  return { error, at, count, pause: jitter(Math.min(LONGEST_BACK_OFF, 2 ** (count - 1)), random) }
}

export function createCached<T>({
  load,
  now,
  refreshAfter,
  maxAge,
  staleLimit = Infinity,
  random = Math.random,
}: CachedSettings<T>): Cached<T> {
  let held: Held<T> | undefined
  let failure: Failure | undefined
  let flight: Promise<T> | undefined
  let started = 0

  const elapsed = createElapsed(now)
  const seconds = () => elapsed() / 1000

  async function run(): Promise<T> {
    started += 1
    try {
      const value = await load()
      held = { value, loadedAt: seconds(), generation: started }
      failure = undefined
      return value
    } catch (error) {
      failure = failureAfter(failure, { error, at: seconds() }, random)
      throw error
    }
  }

  function reload(): Promise<T> {
    flight ??= run().finally(() => {
      flight = undefined
    })
    return flight
  }

  function isBackingOff(): boolean {
    return failure !== undefined && isYoung(failure.at, failure.pause)
  }

  function isYoung(since: number, duration: number): boolean {
    return seconds() - since < duration
  }

  async function getFirst(): Promise<T> {
    if (flight === undefined && failure !== undefined && isYoung(failure.at, 1)) throw failure.error
    return reload()
  }

  async function getReloaded({ value, loadedAt }: Held<T>): Promise<T> {
    try {
      if (!isBackingOff()) return await reload()
    } catch {}
    if (seconds() - loadedAt < staleLimit) return value
    throw (
      failure?.error ??
      new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'the document that the provider published is too old')
    )
  }

  async function get(): Promise<T> {
    if (held === undefined) return getFirst()
    if (seconds() - held.loadedAt >= maxAge) return getReloaded(held)
    if (!isYoung(held.loadedAt, refreshAfter) && !isBackingOff()) reload().catch(() => undefined)
    return held.value
  }

  return {
    get,
    peek: () => held?.value,
    reload,
    isLoading: () => flight !== undefined,
    generation: () => ({ held: held?.generation ?? 0, started }),
    status: () => ({ ...(failure && { error: failure.error }) }),
  }
}
