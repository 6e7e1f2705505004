import { type NodeRedisClient, openIdConnect, type RedisClient } from 'express-hybrid-oidc'
import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'
import { createClient, createClientPool, createCluster, createSentinel } from 'redis'
import { createClient as createClient5, createCluster as createCluster5 } from 'redis5'

const nodes = [{ host: '127.0.0.1', port: 7000 }]
const sentinels = { sentinels: [{ host: '127.0.0.1', port: 26379 }], name: 'mymaster' }

// Version 6.
openIdConnect({ redis: new Redis('redis://127.0.0.1') })
openIdConnect({ redis: new Redis(sentinels) })
openIdConnect({ redis: new Cluster(nodes) })
openIdConnect({ redis: new Redis.Cluster(nodes) })

// Version 5.
openIdConnect({ redis: new Redis5('redis://127.0.0.1') })
openIdConnect({ redis: new Redis5(sentinels) })
openIdConnect({ redis: new Cluster5(nodes) })

// node-redis.
openIdConnect({ redis: createClient() })
openIdConnect({ redis: createClient({ url: 'redis://127.0.0.1', RESP: 2 }) })
openIdConnect({ redis: createClient5({ url: 'redis://127.0.0.1' }) })
openIdConnect({ redis: createClient5({ RESP: 3 }).on('error', () => {}) })
createClient()
  .connect()
  .then(redis => openIdConnect({ redis }))
export const nodeRedisClients: readonly NodeRedisClient[] = [createClient(), createClient5()]
// @ts-expect-error a Cluster sends commands in another way
openIdConnect({ redis: createCluster({ rootNodes: [] }) })
// @ts-expect-error a Cluster sends commands in another way
openIdConnect({ redis: createCluster5({ rootNodes: [] }) })
// @ts-expect-error Sentinel sends commands in another way
openIdConnect({ redis: createSentinel({ name: 'mymaster', sentinelRootNodes: [] }) })
// @ts-expect-error a pool has no connection of its own
openIdConnect({ redis: createClientPool() })

openIdConnect({ redis: 'rediss://user:password@redis.example:6380/1' })
export const clients: readonly RedisClient[] = [new Redis(), new Redis5(), new Cluster(nodes), new Cluster5(nodes)]

// @ts-expect-error options of a client are no client
openIdConnect({ redis: { host: '127.0.0.1' } })
// @ts-expect-error the memory of a process is no Redis
openIdConnect({ redis: new Map() })
