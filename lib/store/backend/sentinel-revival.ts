import { jitter } from '../../time.js'
import { optionOf, type RedisClient } from './redis-client.js'

/** What ioredis does not declare for a cluster, and keeps to itself. */
interface SentinelClient {
  readonly manuallyClosing?: boolean
  on(event: 'connecting' | 'close' | 'end', listener: () => void): unknown
  off(event: 'connecting' | 'close' | 'end', listener: () => void): unknown
}

export interface Revival {
  /** Whether the client has ended and is about to be connected again. */
  isDue(): boolean
  stop(): void
}

/** Milliseconds until a client that has ended is connected again, at most. */
const LONGEST_PAUSE = 250

/**
 * Connects a Sentinel client again that ended without being told to. With `failoverDetector` ioredis closes the connection at the news of a
 * fail-over. If the news comes while the client asks a sentinel for the address, ioredis 5 and 6 take that for the wish of the site and end
 * the client for ever.
 */
export function reviveSentinelClient(client: RedisClient): Revival {
  if (!isToStay(client)) return { isDue: () => false, stop() {} }
  const sentinelClient = client as unknown as SentinelClient
  let isConnecting = client.status === 'connecting'
  let timer: NodeJS.Timeout | undefined

  const isOurs = () => client.status === 'end' && sentinelClient.manuallyClosing !== true
  const connecting = () => {
    isConnecting = true
  }
  // A client that is told to end, or gives up, closes its connection first. So does one that reconnects by itself.
  const close = () => {
    isConnecting = false
  }
  const end = () => {
    if (!isConnecting || timer !== undefined || !isOurs()) return
    timer = setTimeout(() => {
      timer = undefined
      if (isOurs()) client.connect().catch(() => {})
    }, jitter(LONGEST_PAUSE))
  }
  sentinelClient.on('connecting', connecting)
  sentinelClient.on('close', close)
  sentinelClient.on('end', end)
  return {
    isDue: () => timer !== undefined && isOurs(),
    stop() {
      clearTimeout(timer)
      timer = undefined
      sentinelClient.off('connecting', connecting)
      sentinelClient.off('close', close)
      sentinelClient.off('end', end)
    },
  }
}

/** Whether a client uses Sentinel and is to connect again for ever, to a sentinel and to Redis. */
function isToStay(client: RedisClient): boolean {
  const isFunction = (name: string) => typeof optionOf(client, name) === 'function'
  return (
    Array.isArray(optionOf(client, 'sentinels')) && isFunction('retryStrategy') && isFunction('sentinelRetryStrategy')
  )
}
