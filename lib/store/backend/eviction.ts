import type { Backend } from './backend.js'
import { primariesOf, type RedisClient } from './redis-client.js'
import type { Connection } from './redis-connection.js'

/** Hosted services respond to INFO as well, which forbid CONFIG. */
interface InformingClient {
  info?(section: string): Promise<string>
}

/**
 * Looks once, after the first ping with a response, whether this Redis throws keys away when its memory is full, and says so. All our keys
 * have an end, so that the policies that look at such keys only are no better than the others.
 */
export function warnOfEviction(
  backend: Backend,
  client: RedisClient,
  connection: Connection,
  log: (line: string) => void,
): Backend {
  let looked: Promise<void> | undefined

  async function look(): Promise<void> {
    const policy = await findEvictionPolicy(client, connection)
    if (policy === undefined) return
    log(
      `Redis has maxmemory-policy ${policy}: when its memory is full it signs users out; set maxmemory-policy noeviction`,
    )
  }

  return {
    ...backend,
    async ping() {
      await backend.ping()
      // Who may not ask is not told, and nothing else comes of it.
      looked ??= look().catch(() => {})
      await looked
    },
  }
}

/** The policy of a node that evicts; `undefined` where none does, or has no limit it could reach. */
async function findEvictionPolicy(client: RedisClient, connection: Connection): Promise<string | undefined> {
  const texts = await connection.read('info', () =>
    Promise.all(primariesOf(client).map(async node => (node as InformingClient).info?.('memory') ?? '')),
  )
  const policies = texts.map(text => {
    const [, limit = '0'] = /^maxmemory:(\d+)/m.exec(text) ?? []
    const [, policy = 'noeviction'] = /^maxmemory_policy:([a-z-]+)/m.exec(text) ?? []
    return limit === '0' ? 'noeviction' : policy
  })
  return policies.find(policy => policy !== 'noeviction')
}
