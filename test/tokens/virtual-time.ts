import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers/promises'

/** Time that passes only when nothing is left to do, and the same chance in every run. */
export interface VirtualTime {
  /** Milliseconds since the start. */
  now(): number
  sleep(milliseconds: number): Promise<void>
  /** Seeded: in [0, 1). */
  random(): number
}

interface Timer {
  readonly at: number
  readonly order: number
  readonly ring: () => void
}

/** Lets promises settle for this many turns of the event loop before the next timer rings. */
const TURNS = 2

/**
 * Runs `work` with the timers, the monotonic clock and the random numbers of this process replaced, and puts them back afterwards. Nothing
 * else may run in this process meanwhile. Not for code that waits for sockets, threads or other processes.
 */
export async function runInVirtualTime<T>(seed: number, work: (time: VirtualTime) => Promise<T>): Promise<T> {
  const pending = new Map<object, Timer>()
  const random = seededRandom(seed)
  let now = 0
  let order = 0

  const start = (ring: () => void, milliseconds = 0) => {
    const handle = { unref: () => handle, ref: () => handle, hasRef: () => true, [Symbol.toPrimitive]: () => 0 }
    order += 1
    pending.set(handle, { at: now + Math.max(0, milliseconds), order, ring })
    return handle
  }
  const sleep = <V>(milliseconds = 0, value?: V, { signal }: { readonly signal?: AbortSignal } = {}) =>
    new Promise<V | undefined>((resolve, reject) => {
      const handle = start(() => resolve(value), milliseconds)
      signal?.addEventListener('abort', () => {
        if (pending.delete(handle)) reject(signal.reason)
      })
    })
  const replaced = replace([
    [
      globalThis,
      'setTimeout',
      (ring: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) => start(() => ring(...args), ms),
    ],
    [globalThis, 'clearTimeout', (handle: object) => void pending.delete(handle)],
    [timers, 'setTimeout', sleep],
    [performance, 'now', () => now],
    [Math, 'random', random],
    [Error, 'stackTraceLimit', 0],
  ])
  try {
    const time: VirtualTime = { now: () => now, sleep: ms => sleep(ms).then(() => undefined), random }
    let isOver = false
    const result = work(time).finally(() => {
      isOver = true
    })
    while (!isOver) {
      for (let turn = 0; turn < TURNS; turn += 1) await new Promise(resolve => setImmediate(resolve))
      const next = earliest(pending)
      if (next === undefined) {
        if (isOver) break
        throw new Error('the simulation waits for something that is no timer')
      }
      now = Math.max(now, next[1].at)
      for (const [handle, timer] of pending) {
        if (timer.at > now) continue
        pending.delete(handle)
        timer.ring()
      }
    }
    return await result
  } finally {
    replaced.restore()
  }
}

function earliest(pending: ReadonlyMap<object, Timer>): [object, Timer] | undefined {
  let first: [object, Timer] | undefined
  for (const entry of pending) {
    if (first === undefined || entry[1].at < first[1].at) first = entry
  }
  return first
}

type Replacement = readonly [target: object, name: string, value: unknown]

function replace(replacements: readonly Replacement[]): { restore(): void } {
  const before = replacements.map(([target, name]) => [target, name, Reflect.get(target, name)] as const)
  const apply = (all: readonly Replacement[]) => {
    for (const [target, name, value] of all)
      Object.defineProperty(target, name, { value, configurable: true, writable: true })
    syncBuiltinESMExports()
  }
  apply(replacements)
  return { restore: () => apply(before) }
}

/** Mulberry32. */
function seededRandom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
