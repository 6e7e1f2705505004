import { observe } from '../diagnostics/publish.js'
import type { RedisClient } from './redis-client.js'
import { reasonOf, unavailable, wasCut } from './unavailable.js'
import { createWriteGatherer } from './write-gatherer.js'

export interface ConnectionSettings {
  /** Milliseconds a command may take, including the wait for a client that is not ready. */
  readonly timeout: number
  /** Commands that may be under way at once. Defaults to 2,000. */
  readonly maxPending?: number
}

export interface Connection {
  /**
   * Sends one command. While the client is not ready the command waits here and not in the queue of the client, where nothing would
   * bound it and where it would still be sent after we have given up.
   * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE
   */
  run<T>(command: string, send: (client: RedisClient) => Promise<T>): Promise<T>
  /** For what changes nothing: where the connection broke before the reply, it is sent once more within the same time. */
  read<T>(command: string, send: (client: RedisClient) => Promise<T>): Promise<T>
  /** Stops listening to the client. */
  close(): void
}

const MAX_PENDING = 2000

/** Commands with a deadline, over a client that may be slow, away or hung, and that may not be ours. */
export function createConnection(client: RedisClient, settings: ConnectionSettings): Connection {
  const { timeout, maxPending = MAX_PENDING } = settings
  const gatherWrites = createWriteGatherer(client)
  const waiting = new Set<() => void>()
  let pending = 0

  function retryWaiting(): void {
    const starts = [...waiting]
    waiting.clear()
    for (const start of starts) start()
  }

  function run<T>(command: string, isRead: boolean, send: (client: RedisClient) => Promise<T>): Promise<T> {
    let mayRepeat = isRead
    return new Promise((resolve, reject) => {
      if (pending >= maxPending) {
        reject(unavailable(command, 'too many commands under way'))
        return
      }
      pending += 1
      const timer = setTimeout(() => {
        mayRepeat = false
        const neverSent = waiting.delete(start)
        if (neverSent) pending -= 1
        reject(unavailable(command, neverSent ? `client is ${client.status}` : 'timeout'))
      }, timeout)

      // A command that was sent counts until the client lets go of it, long after its deadline if need be: a hung Redis must
      // not collect more of them than `maxPending`.
      function settle(finish: () => void): void {
        clearTimeout(timer)
        pending -= 1
        finish()
      }
      // Async, so that an exception of the client is a rejection like any other.
      async function attempt(): Promise<T> {
        gatherWrites()
        return send(client)
      }
      function fail(error: unknown): void {
        const repeats = mayRepeat && wasCut(error)
        mayRepeat = false
        if (repeats) start()
        else settle(() => reject(unavailable(command, reasonOf(error))))
      }
      function start(): void {
        // A connection that the other side has ended looks ready until it is closed.
        if (client.status === 'ready' && client.stream?.writable !== false) {
          attempt().then(value => settle(() => resolve(value)), fail)
        } else if (client.status === 'end') {
          settle(() => reject(unavailable(command, 'client is closed')))
        } else {
          waiting.add(start)
          if (client.status === 'wait') client.connect().catch(() => {})
        }
      }
      start()
    })
  }

  client.on('ready', retryWaiting)
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
      client.off('ready', retryWaiting)
      client.off('end', retryWaiting)
    },
  }
}
