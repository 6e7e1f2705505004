import { OidcError } from '../../errors.js'
import type { Backend } from './backend.js'
import { isCluster, type RedisClient } from './redis-client.js'
import type { Connection } from './redis-connection.js'
import { reasonOf } from './unavailable.js'

/** What to write instead. */
export const CLUSTER_REMEDY = 'give the option redis a cluster client: new Cluster([{ host, port }]) of ioredis'

/** Keys in so many slots meet every node that holds a share worth the name. */
const PROBES = 16

interface AskedClient {
  cluster?(command: 'INFO'): Promise<unknown>
  exists(key: string): Promise<unknown>
}

/**
 * Whether a client for one server has been given a node of a Redis Cluster, which refuses the keys of other nodes (MOVED). A cluster of one
 * node refuses none, nor does a proxy in front of one. Who may not ask is not told.
 *
 * @param prefix - of our keys, which a user of Redis may be limited to
 */
export async function isNodeOfCluster(client: RedisClient, prefix: string): Promise<boolean> {
  const asked = client as unknown as AskedClient
  if (isCluster(client) || asked.cluster === undefined) return false
  const info = await asked.cluster('INFO').catch(() => '')
  const [, size = '0'] = /^cluster_size:(\d+)/m.exec(String(info)) ?? []
  if (Number(size) < 2) return false
  const keys = Array.from({ length: PROBES }, (_, at) => `${prefix}probe:${at}`)
  const replies = await Promise.allSettled(keys.map(key => asked.exists(key)))
  return replies.some(reply => reply.status === 'rejected' && reasonOf(reply.reason) === 'MOVED')
}

interface Settings {
  readonly client: RedisClient
  readonly connection: Connection
  readonly prefix: string
  readonly log: (line: string) => void
}

/**
 * Looks after the first ping with a response whether this is one node of a Redis Cluster. Then every ping fails with ERR_OIDC_OPTIONS, and
 * the log says so once: most sign-ins would fail, andnothing else would show it.
 */
export function refuseClusterNode(backend: Backend, { client, connection, prefix, log }: Settings): Backend {
  let looked: Promise<boolean> | undefined

  async function look(): Promise<boolean> {
    const isNode = await connection.read('cluster', () => isNodeOfCluster(client, prefix))
    if (isNode) log(`ERR_OIDC_OPTIONS: ${refusal().message}`)
    return isNode
  }

  return {
    ...backend,
    async ping() {
      await backend.ping()
      looked ??= look()
      const isNode = await looked.catch(() => {
        looked = undefined
        return false
      })
      if (isNode) throw refusal()
    },
  }
}

function refusal(): OidcError {
  return new OidcError(
    'ERR_OIDC_OPTIONS',
    `"redis" leads to one node of a Redis Cluster, which refuses most keys (MOVED): ${CLUSTER_REMEDY}`,
  )
}
