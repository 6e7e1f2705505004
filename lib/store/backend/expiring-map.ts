export interface Entry<T> {
  readonly value: T
  /** Seconds since the epoch. */
  expiresAt: number
}

/** A map whose entries are absent as soon as they expire, and are given back to memory some time after. */
export interface ExpiringMap<T> {
  get(key: string): Entry<T> | undefined
  set(key: string, value: T, expiresAt: number): void
  delete(key: string): void
  keys(): string[]
  /** How many entries memory holds, expired ones included. */
  readonly size: number
  /** Looks at the `limit` entries that were not looked at for longest. */
  sweep(limit: number): void
}

/** @param now epoch s */
export function createExpiringMap<T>(now: () => number): ExpiringMap<T> {
  const entries = new Map<string, Entry<T>>()
  const isOver = (entry: Entry<T>) => entry.expiresAt <= now()
  return {
    get(key) {
      const entry = entries.get(key)
      return entry === undefined || isOver(entry) ? undefined : entry
    },
    set: (key, value, expiresAt) => entries.set(key, { value, expiresAt }),
    delete: key => entries.delete(key),
    keys: () => [...entries].filter(([, entry]) => !isOver(entry)).map(([key]) => key),
    get size() {
      return entries.size
    },
    sweep(limit) {
      // A Map iterates in the order of insertion: entries that stay go to its end, to be looked at last the next time.
      const oldest = [...take(entries, limit)]
      for (const [key, entry] of oldest) {
        entries.delete(key)
        if (!isOver(entry)) entries.set(key, entry)
      }
    },
  }
}

function* take<T>(items: Iterable<T>, limit: number): Iterable<T> {
  let taken = 0
  for (const item of items) {
    if (taken === limit) return
    taken += 1
    yield item
  }
}
