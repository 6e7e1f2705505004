import { observe } from '../../diagnostics/publish.js'
import { createPendingCommands, type PendingCommand, type PendingCommands } from './pending-commands.js'
import type { RedisClient } from './redis-client.js'
import { createReplicaWatch } from './redis-replica.js'
import { type Revival, reviveSentinelClient } from './sentinel-revival.js'
import { isOfReplica, isRefusal, reasonOf, unavailable, wasCut, wasUnsent } from './unavailable.js'
import { createWriteGatherer } from './write-gatherer.js'

export interface ConnectionSettings {
  /** Milliseconds a command may take, including the wait for a client that is not ready. */
  readonly timeout: number
  /** Commands that may be under way at once. Defaults to 2,000. */
  readonly maxPending?: number
  /** A key that does not exist, to ask Redis whether it takes writes. Default: reads do not ask. */
  readonly probeKey?: string
}

export interface Connection {
  /**
   * Sends one command. While the client is not ready the command waits here and not in the queue of the client, where nothing would
   * bound it and where it would still be sent after we have given up. A write that Redis refuses because it is a replica, or has lost
   * its replicas, has changed nothing: it is sent again within the same time.
   * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE
   */
  run<T>(command: string, send: (client: RedisClient) => Promise<T>): Promise<T>
  /** For what changes nothing: where the connection broke before the reply, it is sent once more within the same time. */
  read<T>(command: string, send: (client: RedisClient) => Promise<T>): Promise<T>
  /** Stops listening to the client. */
  close(): void
}

const MAX_PENDING = 2000

/** Milliseconds until a refused write is sent again, doubled each time. */
const FIRST_PAUSE = 25

/** Commands with a deadline, over a client that may be slow, away or hung, and that may not be ours. */
export function createConnection(client: RedisClient, settings: ConnectionSettings): Connection {
  const waiting = new Set<() => void>()
  const commands = createPendingCommands(client, settings.maxPending ?? MAX_PENDING)
  const revival = reviveSentinelClient(client)
  const run = createRun(client, settings, { waiting, commands, revival })

  function retryWaiting(): void {
    const starts = [...waiting]
    waiting.clear()
    for (const start of starts) start()
  }

  function resume(): void {
    commands.reconnected()
    retryWaiting()
  }

  client.on('ready', resume)
  client.on('end', retryWaiting)

  function observed(isRead: boolean): Connection['run'] {
    return (command, send) =>
      observe(
        () => run(command, isRead, send),
        timing => ({ type: 'store-command', command, ...timing }),
      )
  }

  return {
    run: observed(false),
    read: observed(true),
    close() {
      revival.stop()
      client.off('ready', resume)
      client.off('end', retryWaiting)
    },
  }
}

type Run = <T>(command: string, isRead: boolean, send: (client: RedisClient) => Promise<T>) => Promise<T>

interface Parts {
  /** What is to be called when the client is ready, or has ended. */
  readonly waiting: Set<() => void>
  readonly commands: PendingCommands
  readonly revival: Revival
}

function createRun(client: RedisClient, settings: ConnectionSettings, { waiting, commands, revival }: Parts): Run {
  const { timeout } = settings
  const gatherWrites = createWriteGatherer(client)
  const replica = createReplicaWatch(client, settings.probeKey)

  /** A connection that the other side has ended looks ready until it is closed. */
  const canSend = () => client.status === 'ready' && client.stream?.writable !== false && !replica.isLeaving()

  return <T>(command: string, isRead: boolean, send: (client: RedisClient) => Promise<T>) => {
    let mayRepeat = isRead
    let isLate = false
    let pause = FIRST_PAUSE
    let refusal: string | undefined
    let retry: NodeJS.Timeout | undefined
    return new Promise<T>((resolve, reject) => {
      const accepted = commands.begin()
      if (accepted === undefined) {
        reject(unavailable(command, 'too many commands in progress'))
        return
      }
      const pending: PendingCommand = accepted
      const timer = setTimeout(() => {
        isLate = true
        const isUnsent = waiting.delete(start) || retry !== undefined
        clearTimeout(retry)
        if (isUnsent) pending.end()
        else pending.expire()
        reject(unavailable(command, isUnsent ? (refusal ?? `client is ${client.status}`) : 'timeout'))
      }, timeout)

      function finishOnce(finish: () => void): void {
        clearTimeout(timer)
        pending.end()
        finish()
      }
      // Async, so that an exception of the client is a rejection like any other.
      async function attempt(): Promise<T> {
        gatherWrites()
        pending.sent()
        replica.begin()
        if (isRead) replica.probe()
        return send(client)
      }
      function succeed(value: T): void {
        replica.end()
        finishOnce(() => resolve(value))
      }
      function fail(error: unknown): void {
        replica.end()
        const reason = reasonOf(error)
        if (isOfReplica(reason)) replica.leave()
        // A client that looks ready and sends nothing is not asked at once: no timer would run any more, and so nothing would end it.
        if (!isLate && (isRefusal(reason) || (wasUnsent(error) && canSend()))) {
          refusal = isRefusal(reason) ? reason : undefined
          retry = setTimeout(start, pause)
          pause *= 2
        } else if (!isLate && (wasUnsent(error) || (mayRepeat && wasCut(error)))) {
          if (!wasUnsent(error)) mayRepeat = false
          start()
        } else finishOnce(() => reject(unavailable(command, reason)))
      }
      function start(): void {
        retry = undefined
        if (canSend()) {
          attempt().then(succeed, fail)
        } else if (client.status === 'end' && !revival.isDue()) {
          finishOnce(() => reject(unavailable(command, 'client is closed')))
        } else {
          waiting.add(start)
          if (client.status === 'wait') client.connect().catch(() => {})
        }
      }
      start()
    })
  }
}
