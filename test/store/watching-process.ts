import { Redis } from 'ioredis'
import { StoreFixture, settings, signIn } from './fixtures.js'

/** Watches a session, lets go of its own connection to Redis, and has nothing more to do. */
const [, , url = ''] = process.argv
const client = url === '' ? undefined : new Redis(url)
const store = new StoreFixture().state({ ...settings, ...(client && { redis: client }) })
const id = await signIn(store)
store.watch(id, () => process.exit(1))
if (client !== undefined) {
  const counts = async () => Number(((await client.pubsub('NUMSUB', 'oidc:ended')) as [string, number])[1])
  while ((await counts()) === 0) await store.ping()
  client.disconnect()
}
process.disconnect?.()
