import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import type { Backend } from '../../lib/store/backend/backend.js'
import { createBackend } from '../../lib/store/backend/create-backend.js'
import { isOfNodeRedis, type NodeRedisClient } from '../../lib/store/backend/node-redis-client.js'
import type { RedisClient } from '../../lib/store/backend/redis-client.js'
import { startTcpProxy, type TcpProxy } from '../faults/tcp-proxy.js'
import { type RedisServer, startRedis, until } from '../support/redis.js'
import { writes } from './backend-calls.js'
import { createNodeRedisClient } from './fixtures.js'

/** What becomes of a client whose Redis turns into a replica while it is connected, or misses its replicas. */

let one: RedisServer
let two: RedisServer
before(async () => {
  one = await startRedis()
  two = await startRedis()
})
after(() => Promise.all([one.stop(), two.stop()]))

interface Address {
  readonly backend: Backend
  readonly wire: TcpProxy
  readonly log: string[]
}

type Connect = (url: string) => RedisClient | NodeRedisClient | string

const clients: Readonly<Record<string, Connect>> = {
  'a URL': url => url,
  'a client of ioredis 6': url => new Redis(url).on('error', () => {}),
  'a client of ioredis 5': url => new Redis5(url).on('error', () => {}),
  'a client of node-redis 6': url => createNodeRedisClient(url, 'node-redis 6'),
  'a client of node-redis 5': url => createNodeRedisClient(url, 'node-redis 5'),
}

/** A backend that reaches the first Redis by an address that a test can move. */
async function openAddress(t: TestContext, connect: Connect, timeout = 20_000): Promise<Address> {
  for (const server of [one, two]) {
    await server.command('REPLICAOF', 'NO', 'ONE')
    await server.config('min-replicas-to-write', 0)
    await server.command('FLUSHALL')
    await server.command('CONFIG', 'RESETSTAT')
  }
  const wire = await startTcpProxy(one.port)
  const redis = connect(`redis://127.0.0.1:${wire.port}`)
  const log: string[] = []
  const backend = createBackend({ redis, prefix: 'oidc:', timeout, log: line => log.push(line) }, Date.now)
  t.after(async () => {
    await backend.close()
    if (isOfNodeRedis(redis)) redis.destroy()
    else if (typeof redis !== 'string') redis.disconnect()
    await wire.close()
  })
  await backend.create('key', { t: 'ticket', e: '1:9999999999', n: '1' }, 60)
  return { backend, wire, log }
}

/** The first Redis becomes a replica of the second, and the address leads to the second. */
async function failOver(wire: TcpProxy): Promise<void> {
  await one.command('REPLICAOF', '127.0.0.1', two.port)
  wire.aim(two.port)
}

for (const [kind, connect] of Object.entries(clients)) {
  describe(`Redis becomes a replica, by ${kind}`, () => {
    test('every kind of write that the replica refuses reaches the new primary within its deadline', async t => {
      const { backend, wire } = await openAddress(t, connect)
      await failOver(wire)
      await Promise.all(Object.values(writes).map(write => write(backend)))
      assert.equal(wire.total, 2)
      assert.match(String(await two.command('INFO', 'commandstats')), /^cmdstat_zadd:calls=1,/m)
    })

    test('reads alone leave the replica as well', async t => {
      const { backend, wire } = await openAddress(t, connect)
      assert.deepEqual(await backend.read('key', ['t']), [Buffer.from('ticket')])
      await failOver(wire)
      await until('reads reach the new primary', async () => {
        await backend.read('key', ['t'])
        return wire.total > 1
      })
      assert.equal(await backend.consume('mark', 60), true)
      assert.equal(wire.total, 2)
    })

    test('an address that leads to a replica for ever: reads succeed, writes are refused, connections do not pile up', async t => {
      const { backend, wire } = await openAddress(t, connect, 1_500)
      const startedAt = performance.now()
      await one.command('REPLICAOF', '127.0.0.1', two.port)
      const refused = { code: 'ERR_OIDC_STORE_UNAVAILABLE' }
      await Promise.all(
        Array.from({ length: 20 }, (_, at) => assert.rejects(backend.consume(`mark ${at}`, 60), refused)),
      )
      await backend.read('key', ['t'])
      assert.ok(wire.total <= 2 + (performance.now() - startedAt) / 250, `${wire.total} connections`)
      assert.equal(await two.command('DBSIZE'), 0)
    })

    test('a primary that misses its replicas is not left, and takes the write when they are back', async t => {
      const { backend, wire } = await openAddress(t, connect)
      await one.config('min-replicas-to-write', 1)
      const created = backend.create('other', { t: 'ticket' }, 60)
      const marked = backend.consume('mark', 60)
      await until('it was refused', async () => /NOREPLICAS/.test(String(await one.command('INFO', 'errorstats'))))
      assert.deepEqual(await backend.read('key', ['t']), [Buffer.from('ticket')])
      await one.config('min-replicas-to-write', 0)
      assert.deepEqual(await Promise.all([created, marked]), [true, true])
      assert.equal(wire.total, 1)
    })
  })
}

type Create = (options: Readonly<Record<string, unknown>>) => RedisClient

const versions: Readonly<Record<string, Create>> = {
  'ioredis 6': options => new Redis(options).on('error', () => {}),
  'ioredis 5': options => new Redis5(options).on('error', () => {}),
}

test('a client that would not connect anew keeps its connection to the replica', async t => {
  for (const create of Object.values(versions)) {
    const { backend, wire } = await openAddress(t, url => create({ port: new URL(url).port, retryStrategy: null }), 300)
    await one.command('REPLICAOF', '127.0.0.1', two.port)
    await assert.rejects(backend.consume('mark', 60), { cause: { command: 'set', reason: 'READONLY' } })
    await backend.read('key', ['t'])
    assert.equal(wire.total, 1)
  }
})

const sentinel = { sentinels: [{ host: '127.0.0.1', port: 9 }], name: 'main', lazyConnect: true }

for (const [version, create] of Object.entries(versions)) {
  function logOf(redis: RedisClient): readonly string[] {
    const log: string[] = []
    createBackend({ redis, prefix: 'oidc:', timeout: 100, log: line => log.push(line) }, Date.now)
    return log
  }

  test(`a client for Sentinel without failoverDetector gets one line at start, by ${version}`, () => {
    const [line, ...more] = logOf(create(sentinel))
    assert.match(line ?? '', /failoverDetector: true/)
    assert.deepEqual(more, [])
    assert.deepEqual(logOf(create({ ...sentinel, failoverDetector: true })), [])
    assert.deepEqual(logOf(create({ lazyConnect: true })), [])
  })

  test(`a client that neither resends nor ends a command that was cut gets one line at start, by ${version}`, () => {
    const options = { lazyConnect: true, autoResendUnfulfilledCommands: false }
    const [line, ...more] = logOf(create(options))
    assert.match(line ?? '', /maxRetriesPerRequest: 0/)
    assert.deepEqual(more, [])
    for (const enough of [{ maxRetriesPerRequest: 0 }, { commandTimeout: 2_000 }]) {
      assert.deepEqual(logOf(create({ ...options, ...enough })), [])
    }
  })

  test(`a client for the replicas of Sentinel is refused at start, by ${version}`, () => {
    assert.throws(() => logOf(create({ ...sentinel, role: 'slave' })), { code: 'ERR_OIDC_OPTIONS' })
  })
}
