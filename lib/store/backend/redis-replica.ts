import { monotonic } from '../../time.js'
import { canReconnect, type RedisClient } from './redis-client.js'
import { isOfReplica, reasonOf } from './unavailable.js'

/** Milliseconds between two times that a replica is left, and two times that reads ask whether Redis takes writes. */
const LEAVE_INTERVAL = 250
const PROBE_INTERVAL = 1000

/** Milliseconds that a replica has to respond to what was sent to it before it is left. */
const LONGEST_DRAIN = 100

/** Notices that the client has come to a replica, which may know of a session that has ended, and makes it connect anew. */
export interface ReplicaWatch {
  /** Whether nothing may be sent over this connection any more. */
  isLeaving(): boolean
  /** A command is sent. */
  begin(): void
  /** Its response has come. */
  end(): void
  /** A replica has responded. It is left as soon as every command that was sent has its response. */
  leave(): void
  /** A replica responds to reads as well, so that now and then a write that changes nothing goes with one. */
  probe(): void
}

export function createReplicaWatch(client: RedisClient, probeKey?: string): ReplicaWatch {
  let leftAt = Number.NEGATIVE_INFINITY
  let probedAt = monotonic()
  let isProbing = false
  let inFlight = 0
  let leaving: { readonly stream: unknown; readonly timer: NodeJS.Timeout } | undefined

  const isLeaving = () => leaving !== undefined && client.stream === leaving.stream

  function leave(): void {
    if (isLeaving() || monotonic() - leftAt < LEAVE_INTERVAL || !canReconnect(client)) return
    leftAt = monotonic()
    leaving = { stream: client.stream, timer: setTimeout(reconnect, LONGEST_DRAIN) }
    if (inFlight === 0) reconnect()
  }

  function reconnect(): void {
    clearTimeout(leaving?.timer)
    const isStillThere = isLeaving() && canReconnect(client)
    leaving = undefined
    if (isStillThere) client.disconnect(true)
  }

  async function ask(key: string): Promise<void> {
    try {
      await client.zrem(key, '')
    } catch (error) {
      if (isOfReplica(reasonOf(error))) leave()
    }
  }

  return {
    isLeaving,
    begin() {
      inFlight += 1
    },
    end() {
      inFlight -= 1
      if (inFlight === 0 && leaving !== undefined) reconnect()
    },
    leave,
    probe() {
      if (probeKey === undefined || isProbing || monotonic() - probedAt < PROBE_INTERVAL) return
      probedAt = monotonic()
      isProbing = true
      ask(probeKey).finally(() => {
        isProbing = false
      })
    },
  }
}
