/** A record that was removed, by whichever process. */
export interface Removal {
  readonly key: string
  /** Why, in the words of the process that removed it. */
  readonly reason?: string | undefined
}

/** Is told of removals. It may miss some and hear of some twice: only a read says whether a record is there. */
export interface RemovalListener {
  removed(removal: Removal): void
  /** Whether removals are told from now on. Those before may have been missed. */
  listening(isListening: boolean): void
}

/** Tells of removals without a reader: what has to be done to end it is what it returns. */
export type WatchRemovals = (listener: RemovalListener) => () => void

/** What is published: the key, and a reason where there is one. It holds no session id, no name of a user and no token. */
export function formatRemoval({ key, reason }: Removal): string {
  return reason === undefined ? key : `${key} ${reason}`
}

/** `undefined` for what no process of this package has published. */
export function parseRemoval(text: string): Removal | undefined {
  const match = /^(.*[\w-]{43})(?: ([a-z-]{1,40}))?$/s.exec(text)
  return match?.[1] === undefined ? undefined : { key: match[1], reason: match[2] }
}

/** Tells the listeners of this process. */
export interface LocalRemovals {
  readonly watchRemovals: WatchRemovals
  tell(removal: Removal): void
}

export function createLocalRemovals(): LocalRemovals {
  const listeners = new Set<RemovalListener>()
  return {
    watchRemovals(listener) {
      listeners.add(listener)
      listener.listening(true)
      return () => void listeners.delete(listener)
    },
    tell(removal) {
      for (const listener of listeners) listener.removed(removal)
    },
  }
}
