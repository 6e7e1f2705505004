import type { Log } from '../../diagnostics/log.js'
import { jitter } from '../../time.js'
import { isCluster, type OwnedRedisClient, primariesOf, type RedisClient } from './redis-client.js'
import { parseRemoval, type RemovalListener } from './removals.js'
import { reasonOf, withDeadline } from './unavailable.js'

interface Subscriber extends OwnedRedisClient {
  readonly stream: OwnedRedisClient['stream'] & { unref?(): unknown }
  on(event: 'ready' | 'end' | 'connect', listener: () => void): unknown
  on(event: 'error', listener: (error: unknown) => void): unknown
  on(event: 'message', listener: (channel: string, text: string) => void): unknown
  subscribe(channel: string): Promise<unknown>
}

interface Publisher {
  publish(channel: string, text: string): Promise<unknown>
}

interface Duplicable {
  duplicate?(options: Readonly<Record<string, unknown>>): Subscriber
}

export interface SubscriptionSettings {
  readonly channel: string
  /** Milliseconds a command may take. */
  readonly timeout: number
  readonly log: Log
}

/** Milliseconds until a lost connection is made anew, doubled each time. */
const FIRST_PAUSE = 50
const LONGEST_PAUSE = 1000
/** Milliseconds until a Redis is asked again that does not allow the subscription. */
const REFUSED_PAUSE = 60_000
/** Milliseconds between two looks whether a silent connection is alive. */
const HEARTBEAT = 10_000

/** Names no record. */
const PROBE = 'probe'

/** The connection belongs to a site that may have chosen otherwise: it fails at once, and is made anew here. */
const OVERRIDES = {
  lazyConnect: true,
  retryStrategy: () => null,
  sentinelRetryStrategy: () => null,
  failoverDetector: false,
  autoResubscribe: false,
  enableOfflineQueue: true,
  enableReadyCheck: false,
  enableAutoPipelining: false,
  commandTimeout: undefined,
}

/**
 * Subscribes to the channel of removals over a connection of its own, because a subscribed connection takes no other command. A published message
 * reaches every node of a Cluster, so that any of its primaries will do. It goes on for ever until it is stopped, and keeps no process alive.
 *
 * @returns what ends it
 */
export function subscribeToRemovals(
  client: RedisClient,
  settings: SubscriptionSettings,
  listener: RemovalListener,
): () => void {
  const { channel, timeout, log } = settings
  let isStopped = false
  let subscriber: Subscriber | undefined
  let timer: NodeJS.Timeout | undefined
  let pause = FIRST_PAUSE
  let refusal: string | undefined

  function again(milliseconds: number): void {
    clearTimeout(timer)
    if (!isStopped) timer = setTimeout(open, milliseconds).unref()
  }

  /** Once for each connection. */
  function lose(lost: Subscriber, error?: unknown): void {
    if (subscriber !== lost) return
    subscriber = undefined
    lost.disconnect()
    listener.listening(false)
    const reason = error === undefined ? undefined : reasonOf(error)
    if (isRefused(reason)) {
      if (refusal !== reason) log(refusedLine(reason, channel), { level: 'warn', reason })
      refusal = reason
      again(REFUSED_PAUSE)
    } else {
      again(jitter(pause))
      pause = Math.min(pause * 2, LONGEST_PAUSE)
    }
  }

  function beat(one: Subscriber): void {
    timer = setTimeout(async () => {
      try {
        await withDeadline('ping', timeout, () => one.ping())
        if (subscriber === one) beat(one)
      } catch (error) {
        lose(one, error)
      }
    }, HEARTBEAT).unref()
  }

  async function open(): Promise<void> {
    const one = client.status === 'end' ? undefined : duplicateOf(client)
    if (one === undefined) return again(LONGEST_PAUSE)
    subscriber = one
    one.on('error', () => {})
    one.on('connect', () => void one.stream?.unref?.())
    one.on('end', () => lose(one))
    one.on('message', (_channel, text) => {
      const removal = parseRemoval(text)
      if (removal !== undefined) listener.removed(removal)
    })
    try {
      await one.connect()
      await withDeadline('subscribe', timeout, () => one.subscribe(channel))
      // Removals are told without a look at whether that is allowed. Other processes have the same rights.
      await withDeadline('publish', timeout, () => (client as unknown as Publisher).publish(channel, PROBE))
    } catch (error) {
      return lose(one, error)
    }
    if (subscriber !== one) return
    pause = FIRST_PAUSE
    refusal = undefined
    beat(one)
    listener.listening(true)
  }

  void open()
  return () => {
    isStopped = true
    clearTimeout(timer)
    const last = subscriber
    subscriber = undefined
    last?.disconnect()
  }
}

/** `undefined` for a client that is none of ioredis, and for a cluster of which no node is known yet. */
function duplicateOf(client: RedisClient): Subscriber | undefined {
  const nodes = primariesOf(client)
  const source = isCluster(client) ? nodes[Math.floor(Math.random() * nodes.length)] : client
  return (source as Duplicable | undefined)?.duplicate?.(OVERRIDES)
}

/** Whether Redis itself says no, and will say the same in a second. */
function isRefused(reason: string | undefined): reason is string {
  return reason === 'NOPERM' || reason === 'ERR'
}

function refusedLine(reason: string, channel: string): string {
  return `Redis does not allow SUBSCRIBE or PUBLISH (${reason}), so that oidc.watch() looks every two seconds instead; allow its user +subscribe, +publish and the channel ${channel}`
}
