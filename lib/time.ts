/**
 * The three kinds of time, and what each may be used for.
 *
 * - A **date** comes from `now()`: what other parties say and read (`exp`, `auth_time`, the end of a session). The clock behind it can be
 *   wrong, and can jump in either direction. Dates of two machines are compared only with a tolerance.
 * - A **duration** is measured by {@link Elapsed}: the age of a cache, a pause, a budget. It never goes backwards.
 * - A **deadline** is a {@link Deadline}: how long something else may take to respond. It does not count the time of this process's own pauses.
 * - An **order** of events in different processes comes from the clock of the store: see `store/backend/store-clock.ts`.
 */

/** Milliseconds since an arbitrary time. A later call never gives less than an earlier one. */
export type Elapsed = () => number

/** Milliseconds since the process started, from the monotonic clock of the machine. */
export const monotonic: Elapsed = () => performance.now()

/** Milliseconds since the epoch as they were when the process started, and counted on from there by the monotonic clock. */
export function monotonicDate(): number {
  return performance.timeOrigin + performance.now()
}

/**
 * Measures durations by `now`, step by step. Where it is set forward, or a suspended machine wakes up, that time counts as passed: what
 * waits ends. Where it is set back, no time passes in that step, and nothing lasts longer.
 */
export function createElapsed(now: () => Date): Elapsed {
  let elapsed = 0
  let last = now().getTime()
  return () => {
    const current = now().getTime()
    elapsed += Math.max(0, current - last)
    last = current
    return elapsed
  }
}

/** Seconds since the epoch, without a fraction: the unit of every date on the wire and in the store. */
export function toEpochSeconds(date: Date): number {
  return Math.floor(date.getTime() / 1000)
}

/** Milliseconds or seconds, as the caller counts: no pause is shorter than this part of its longest. */
const SHORTEST_PART = 0.1

/**
 * A random pause, up to `longest`. Processes that failed at the same time, because the same server was away, do not try again at the same
 * time.
 */
export function jitter(longest: number, random: () => number = Math.random): number {
  return longest * (SHORTEST_PART + (1 - SHORTEST_PART) * random())
}

/** What a {@link Deadline} is for. */
export interface Expirable {
  /** Called when the time is over. */
  expire(): void
}

/** A deadline is waited for in so many parts. */
const PARTS = 4

/** One part alone: a pause of the process counts in whole. What has arrived is read first all the same. */
export const COUNTING_PAUSES = 1

/**
 * Calls `expire` after `milliseconds` in which this process ran.
 *
 * A process may stand still: it computes for long, collects garbage, gets no CPU, or its machine is suspended. When it goes on, its timers
 * run before it reads what arrived meanwhile. A single timer would then give up a response that is already there, such as that to a refresh,
 * which has used up the refresh token. So a pause, however long, counts as one part of the time, and what has arrived is read before the end.
 *
 * Where a lease of the store runs out meanwhile, {@link COUNTING_PAUSES} makes a pause count in whole.
 */
export class Deadline {
  readonly #subject: Expirable
  readonly #part: number
  #partsLeft: number
  #timer: NodeJS.Timeout
  #end: NodeJS.Immediate | undefined
  #isOver = false

  /** @param parts - default: pauses do not count */
  constructor(milliseconds: number, subject: Expirable, parts = PARTS) {
    this.#subject = subject
    this.#partsLeft = parts
    // Node leaves out fractions, and a deadline must not come early.
    this.#part = Math.ceil(milliseconds / parts)
    this.#timer = setTimeout(passPart, this.#part, this)
  }

  /** Whether the time is over, whether or not `expire` was called. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** What was waited for has come. */
  clear(): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#end)
  }

  /** One part is over. */
  passPart(): void {
    this.#partsLeft -= 1
    if (this.#partsLeft > 0) {
      this.#timer = setTimeout(passPart, this.#part, this)
      return
    }
    this.#isOver = true
    // Node reads from its sockets between its timers and this.
    this.#end = setImmediate(expire, this.#subject)
  }
}

function passPart(deadline: Deadline): void {
  deadline.passPart()
}

function expire(subject: Expirable): void {
  subject.expire()
}

/**
 * Waits for `work`, at most `milliseconds` by a {@link Deadline}. Work that takes longer is not stopped.
 *
 * @param late - called when the time is over; its value, or what it throws, is the result then
 * @param parts - default: pauses of the process do not count
 */
export async function withTimeLimit<T, L>(
  work: Promise<T>,
  milliseconds: number,
  late: () => L,
  parts?: typeof COUNTING_PAUSES,
): Promise<T | Awaited<L>> {
  let deadline: Deadline | undefined
  const isOver = new Promise<typeof OVER>(resolve => {
    deadline = new Deadline(milliseconds, { expire: () => resolve(OVER) }, parts)
  })
  const first = await Promise.race([work, isOver]).finally(() => deadline?.clear())
  return first === OVER ? await late() : (first as T)
}

const OVER = Symbol('the time is over')
