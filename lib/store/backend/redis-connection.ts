import { observe } from '../../diagnostics/publish.js'
import { Deadline, type Expirable } from '../../time.js'
import { createPendingCommands, type PendingCommand, type PendingCommands } from './pending-commands.js'
import type { RedisClient } from './redis-client.js'
import { createReplicaWatch, type ReplicaWatch } from './redis-replica.js'
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
  const waiting = new Set<Startable>()
  const commands = createPendingCommands(client, settings.maxPending ?? MAX_PENDING)
  const revival = reviveSentinelClient(client)
  const run = createRun(client, settings, { waiting, commands, revival })

  function retryWaiting(): void {
    const starts = [...waiting]
    waiting.clear()
    for (const command of starts) command.start()
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

interface Startable {
  start(): void
}

interface Parts {
  /** Commands that are to be started when the client is ready, or has ended. */
  readonly waiting: Set<Startable>
  readonly commands: PendingCommands
  readonly revival: Revival
}

function createRun(client: RedisClient, settings: ConnectionSettings, parts: Parts): Run {
  const { timeout } = settings
  const gatherWrites = createWriteGatherer(client)
  const replica = createReplicaWatch(client, settings.probeKey)
  const shared: Shared = { ...parts, client, gatherWrites, replica }

  return <T>(command: string, isRead: boolean, send: (client: RedisClient) => Promise<T>) => {
    const pending = parts.commands.begin()
    if (pending === undefined) return Promise.reject(unavailable(command, 'too many commands in progress'))
    return new Promise<T>((resolve, reject) => {
      new SentCommand(shared, { command, isRead, send, pending, resolve, reject }).startWithin(timeout)
    })
  }
}

interface Shared extends Parts {
  readonly client: RedisClient
  readonly gatherWrites: () => void
  readonly replica: ReplicaWatch
}

interface Asked<T> {
  readonly command: string
  readonly isRead: boolean
  readonly send: (client: RedisClient) => Promise<T>
  readonly pending: PendingCommand
  readonly resolve: (value: T) => void
  readonly reject: (error: unknown) => void
}

/** One command until its caller has the reply. A class, because a sign-in sends ten, and closures for each of its steps add up. */
class SentCommand<T> implements Startable, Expirable {
  readonly #shared: Shared
  readonly #asked: Asked<T>
  #mayRepeat: boolean
  #isLate = false
  #pause = FIRST_PAUSE
  #refusal: string | undefined
  #deadline: Deadline | undefined
  #retry: NodeJS.Timeout | undefined

  constructor(shared: Shared, asked: Asked<T>) {
    this.#shared = shared
    this.#asked = asked
    this.#mayRepeat = asked.isRead
  }

  startWithin(timeout: number): void {
    this.#deadline = new Deadline(timeout, this)
    this.start()
  }

  start(): void {
    const { client, revival, waiting } = this.#shared
    this.#retry = undefined
    if (this.#canSend()) {
      this.#send().then(
        value => this.#succeed(value),
        (error: unknown) => this.#fail(error),
      )
    } else if (client.status === 'end' && !revival.isDue()) {
      this.#finish()
      this.#asked.reject(unavailable(this.#asked.command, 'client is closed'))
    } else {
      waiting.add(this)
      if (client.status === 'wait') client.connect().catch(() => {})
    }
  }

  expire(): void {
    const { client, waiting } = this.#shared
    const { command, pending, reject } = this.#asked
    this.#isLate = true
    const isUnsent = waiting.delete(this) || this.#retry !== undefined
    clearTimeout(this.#retry)
    if (isUnsent) pending.end()
    else pending.expire()
    reject(unavailable(command, isUnsent ? (this.#refusal ?? `client is ${client.status}`) : 'timeout'))
  }

  /** A connection that the other side has ended looks ready until it is closed. */
  #canSend(): boolean {
    const { client, replica } = this.#shared
    return client.status === 'ready' && client.stream?.writable !== false && !replica.isLeaving()
  }

  /** An exception of the client is a rejection like any other, and its promise may be another one than that of the language. */
  #send(): Promise<T> {
    const { client, gatherWrites, replica } = this.#shared
    gatherWrites()
    this.#asked.pending.sent()
    replica.begin()
    if (this.#asked.isRead) replica.probe()
    try {
      return Promise.resolve(this.#asked.send(client))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #succeed(value: T): void {
    this.#shared.replica.end()
    this.#finish()
    this.#asked.resolve(value)
  }

  #fail(error: unknown): void {
    const { replica } = this.#shared
    replica.end()
    const reason = reasonOf(error)
    if (isOfReplica(reason)) replica.leave()
    // A client that looks ready and sends nothing is not asked at once: no timer would run any more, and so nothing would end it.
    if (!this.#isLate && (isRefusal(reason) || (wasUnsent(error) && this.#canSend()))) {
      this.#refusal = isRefusal(reason) ? reason : undefined
      this.#retry = setTimeout(start, this.#pause, this)
      this.#pause *= 2
    } else if (!this.#isLate && (wasUnsent(error) || (this.#mayRepeat && wasCut(error)))) {
      if (!wasUnsent(error)) this.#mayRepeat = false
      this.start()
    } else {
      this.#finish()
      this.#asked.reject(unavailable(this.#asked.command, reason))
    }
  }

  #finish(): void {
    this.#deadline?.clear()
    this.#asked.pending.end()
  }
}

function start(command: Startable): void {
  command.start()
}
