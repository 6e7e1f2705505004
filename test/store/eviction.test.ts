import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Redis } from 'ioredis'
import { createRecordStore } from '../../lib/store/store.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'

describe('a Redis that throws keys away', () => {
  let redis: RedisServer

  before(async () => {
    redis = await startRedis()
  })
  after(() => redis?.stop())

  /** What is said after two pings. */
  async function linesWith(client: string | Redis): Promise<string[]> {
    const log: string[] = []
    const settings = { idle: 60, absolute: 600, timeout: 800, now: () => new Date() }
    const store = createRecordStore({
      ...settings,
      redis: client,
      secrets: [secret('secret of the store')],
      log: line => void log.push(line),
    })
    await store.ping()
    await store.ping()
    await store.close()
    return log
  }

  test('is said, once', async () => {
    await redis.config('maxmemory', '100mb')
    await redis.config('maxmemory-policy', 'allkeys-lru')
    const [line = '', ...more] = await linesWith(redis.url)
    assert.match(line, /maxmemory-policy allkeys-lru.*noeviction/)
    assert.deepEqual(more, [])
  })

  test('is said of policies for keys with an end too, and by a client of the site', async () => {
    await redis.config('maxmemory', '100mb')
    await redis.config('maxmemory-policy', 'volatile-ttl')
    const client = new Redis(redis.url)
    assert.match((await linesWith(client)).join(), /volatile-ttl/)
    client.disconnect()
  })

  for (const [limit, policy] of [
    ['100mb', 'noeviction'],
    ['0', 'allkeys-lru'],
  ] as const) {
    test(`is not one with ${policy} and a limit of ${limit}`, async () => {
      await redis.config('maxmemory', limit)
      await redis.config('maxmemory-policy', policy)
      assert.deepEqual(await linesWith(redis.url), [])
    })
  }

  test('that may not be asked is not complained about', async () => {
    await redis.config('maxmemory', '100mb')
    await redis.config('maxmemory-policy', 'allkeys-lru')
    await redis.command('ACL', 'SETUSER', 'default', '-info')
    assert.deepEqual(await linesWith(redis.url), [])
    await redis.command('ACL', 'SETUSER', 'default', '+info')
  })
})
