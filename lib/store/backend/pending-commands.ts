import { optionOf, type RedisClient } from './redis-client.js'

/** One command, from when it is accepted. */
export interface PendingCommand {
  /** It was given to the client. */
  sent(): void
  /** Its deadline has passed. It counts as long as the client may still be keeping it. */
  expire(): void
  /** Its response has come, or it will never be sent. */
  end(): void
}

/** Counts the commands that are in progress, so that a Redis that does not respond collects a bounded number of them. */
export interface PendingCommands {
  /** `undefined`: there are too many. */
  begin(): PendingCommand | undefined
  /** The client has a new connection. */
  reconnected(): void
}

/**
 * A command that was sent counts until the client settles it, however long after its deadline. A client with
 * `autoResendUnfulfilledCommands: false` forgets the commands of a connection that broke, and may never settle them: there they count
 * until the next connection.
 */
export function createPendingCommands(client: RedisClient, most: number): PendingCommands {
  const counter: Counter = {
    isForgetful: optionOf(client, 'autoResendUnfulfilledCommands') === false,
    expired: new Set(),
    pending: 0,
    connection: 0,
  }
  return {
    begin() {
      if (counter.pending >= most) return undefined
      counter.pending += 1
      return new CountedCommand(counter)
    },
    reconnected() {
      counter.connection += 1
      if (counter.isForgetful) for (const command of counter.expired) command.end()
    },
  }
}

/** What the commands of one client have in common. */
interface Counter {
  readonly isForgetful: boolean
  readonly expired: Set<PendingCommand>
  pending: number
  /** Counts the connections. */
  connection: number
}

class CountedCommand implements PendingCommand {
  readonly #counter: Counter
  #isCounted = true
  #sentOver: number | undefined

  constructor(counter: Counter) {
    this.#counter = counter
  }

  sent(): void {
    this.#sentOver = this.#counter.connection
  }

  expire(): void {
    const { isForgetful, connection, expired } = this.#counter
    if (this.#sentOver === undefined || (isForgetful && this.#sentOver !== connection)) this.end()
    else if (this.#isCounted) expired.add(this)
  }

  end(): void {
    this.#counter.expired.delete(this)
    if (this.#isCounted) this.#counter.pending -= 1
    this.#isCounted = false
  }
}
