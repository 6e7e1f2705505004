import type { Log } from '../../diagnostics/log.js'
import type { Backend } from './backend.js'
import { refuseClusterNode } from './cluster-node.js'
import { warnOfEviction } from './eviction.js'
import { createLateBackend } from './late-backend.js'
import { createMemoryBackend } from './memory-backend.js'
import { checkNodeRedis, isOfNodeRedis, type NodeRedisClient, warnOfNodeRedisOptions } from './node-redis-client.js'
import { createRedisBackend } from './redis-backend.js'
import {
  checkClient,
  createRedisClient,
  type OwnedRedisClient,
  type RedisClient,
  warnOfOptions,
} from './redis-client.js'
import { createConnection } from './redis-connection.js'
import { reasonOf, withDeadline } from './unavailable.js'

interface BackendSettings {
  readonly redis?: RedisClient | NodeRedisClient | string
  /** What all keys in Redis begin with. */
  readonly prefix: string
  /** Milliseconds. */
  readonly timeout: number
  readonly log: Log
}

/** @throws {OidcError} ERR_OIDC_OPTIONS */
export function createBackend({ redis, prefix, timeout, log }: BackendSettings, now: () => number): Backend {
  if (redis === undefined) {
    log(
      'No Redis is set: sessions are kept in the memory of this process, end with it, and are unknown to any other process. ' +
        'For development only.',
    )
    return createMemoryBackend(now)
  }
  if (typeof redis === 'string') {
    const client = createRedisClient(redis)
    logTrouble(client, log)
    const backend = connect(client, () => closeClient(client, timeout))
    lookAtFirst(client, backend)
    return backend
  }
  if (isOfNodeRedis(redis)) {
    checkNodeRedis(redis)
    warnOfNodeRedisOptions(redis, log)
    return createLateBackend(async () => {
      const { adaptNodeRedis } = await import('./node-redis-adapter.js')
      const client = adaptNodeRedis(redis)
      return connect(client, async () => client.release())
    })
  }
  checkClient(redis)
  warnOfOptions(redis, log)
  return connect(redis, async () => {})

  function connect(client: RedisClient, close: () => Promise<void>): Backend {
    const clockKey = `${prefix}clock`
    const connection = createConnection(client, { timeout, probeKey: clockKey })
    const owner = { clockKey, removals: { channel: `${prefix}ended`, timeout, log }, close }
    const backend = warnOfEviction(createRedisBackend(client, connection, owner), client, connection, log)
    return refuseClusterNode(backend, { client, connection, prefix, log })
  }
}

/** The first ping finds what is wrong with this Redis, also on a site that does not wait for `ready()`. */
function lookAtFirst(client: OwnedRedisClient, backend: Backend): void {
  let isFirst = true
  client.on('ready', () => {
    if (isFirst) backend.ping().catch(() => {})
    isFirst = false
  })
}

/** One line when the connection is lost, for each new reason, and one when it is back. Errors of the client may hold a password. */
function logTrouble(client: OwnedRedisClient, log: Log): void {
  let trouble: string | undefined
  client.on('error', error => {
    const reason = reasonOf(error)
    if (reason === trouble) return
    trouble = reason
    log(`Redis is not available: ${reason}`, { level: 'error', reason })
  })
  client.on('ready', () => {
    if (trouble !== undefined) log('Redis is available again', { level: 'info' })
    trouble = undefined
  })
}

async function closeClient(client: OwnedRedisClient, timeout: number): Promise<void> {
  await withDeadline('quit', timeout, () => client.quit()).catch(() => {})
  client.disconnect()
}
