import type { RedisClient } from './redis-client.js'

/**
 * Gathers what is written to Redis until this turn of the event loop is over. Under load one turn brings requests on many sockets; their
 * commands then leave in one system call, arrive as one pipeline, and get one response. A single request waits for nothing.
 *
 * @returns to be called before a command is sent
 */
export function createWriteGatherer(client: Pick<RedisClient, 'stream'>): () => void {
  let gathering = false
  return () => {
    const { stream } = client
    if (gathering || typeof stream?.cork !== 'function') return
    gathering = true
    stream.cork()
    setImmediate(() => {
      gathering = false
      stream.uncork()
    })
  }
}
