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
  const isForgetful = optionOf(client, 'autoResendUnfulfilledCommands') === false
  const expired = new Set<PendingCommand>()
  let pending = 0
  let connection = 0

  return {
    begin() {
      if (pending >= most) return undefined
      pending += 1
      let isCounted = true
      let sentOver: number | undefined
      const command: PendingCommand = {
        sent() {
          sentOver = connection
        },
        expire() {
          if (sentOver === undefined || (isForgetful && sentOver !== connection)) command.end()
          else if (isCounted) expired.add(command)
        },
        end() {
          expired.delete(command)
          if (isCounted) pending -= 1
          isCounted = false
        },
      }
      return command
    },
    reconnected() {
      connection += 1
      if (isForgetful) for (const command of expired) command.end()
    },
  }
}
