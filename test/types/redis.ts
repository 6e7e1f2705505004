import { openIdConnect, type RedisClient } from 'express-hybrid-oidc'
import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'

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

openIdConnect({ redis: 'rediss://user:password@redis.example:6380/1' })
export const clients: readonly RedisClient[] = [new Redis(), new Redis5(), new Cluster(nodes), new Cluster5(nodes)]

// @ts-expect-error options of a client are no client
openIdConnect({ redis: { host: '127.0.0.1' } })
// @ts-expect-error the memory of a process is no Redis
openIdConnect({ redis: new Map() })
