import { OidcError } from '../errors.js'

/** How many calls may be under way to one API. */
export interface ProxyLimits {
  /** Of all users of this process. Default 1024. */
  readonly connections?: number
  /** Of one user, all sessions together. Default 64. */
  readonly perUser?: number
  /** Milliseconds a call waits for its turn, and then it is refused with 503. Default 5000. */
  readonly wait?: number
}

/** The right to one call. */
export interface ProxySlots {
  /**
   * Waits for a turn.
   *
   * @param onLeave - is told what to do when the caller is gone before its turn
   * @returns a function that ends the turn; called again it does nothing
   * @throws {OidcError} ERR_OIDC_API_BUSY
   */
  acquire(user: string, onLeave: (leave: () => void) => void): Promise<() => void>
}

interface Waiting {
  readonly user: string
  readonly admit: () => void
}

/** First come, first served, but a user who has all that one user may have holds up no other. */
export function createProxySlots({ connections, perUser, wait }: Required<ProxyLimits>): ProxySlots {
  const held = new Map<string, number>()
  const queue = new Set<Waiting>()
  let total = 0

  const heldBy = (user: string) => held.get(user) ?? 0
  const hasRoom = (user: string) => total < connections && heldBy(user) < perUser

  function take(user: string): () => void {
    total += 1
    held.set(user, heldBy(user) + 1)
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      total -= 1
      if (heldBy(user) === 1) held.delete(user)
      else held.set(user, heldBy(user) - 1)
      admitNext()
    }
  }

  /** One turn has ended, so one call can begin. */
  function admitNext(): void {
    for (const waiting of queue) {
      if (!hasRoom(waiting.user)) continue
      waiting.admit()
      return
    }
  }

  function waitForTurn(user: string, onLeave: (leave: () => void) => void): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        user,
        admit: () => {
          giveUp()
          resolve(take(user))
        },
      }
      const refuse = () => {
        giveUp()
        reject(busy(total < connections ? 'of this user' : 'of all users'))
      }
      const timer = setTimeout(refuse, wait)
      const giveUp = () => {
        clearTimeout(timer)
        queue.delete(waiting)
      }
      queue.add(waiting)
      onLeave(refuse)
    })
  }

  return {
    async acquire(user, onLeave) {
      return hasRoom(user) ? take(user) : waitForTurn(user, onLeave)
    },
  }
}

function busy(whose: string): OidcError {
  return new OidcError('ERR_OIDC_API_BUSY', `too many calls ${whose} are in progress through the proxy`)
}
