import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { createClient, createClientPool, createCluster, createSentinel, RESP_TYPES } from 'redis'
import { createClient as createClient5, createCluster as createCluster5 } from 'redis5'
import { openIdConnect } from '../../lib/index.js'
import { createBackend } from '../../lib/store/backend/create-backend.js'
import { adaptNodeRedis } from '../../lib/store/backend/node-redis-adapter.js'
import type { NodeRedisClient } from '../../lib/store/backend/node-redis-client.js'
import { startTcpProxy } from '../faults/tcp-proxy.js'
import { type RedisServer, startCluster, startRedis, until } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { createNodeRedisClient, nodeRedisKinds, StoreFixture, savedSession, signIn, storedData } from './fixtures.js'

/** What is particular to clients of node-redis. Whatever a store does is tested with them as well: see fixtures.ts. */

const unavailable = { code: 'ERR_OIDC_STORE_UNAVAILABLE' }
const shortly = 500

const fixture = new StoreFixture()
let server: RedisServer
before(async () => {
  server = await startRedis()
})
after(() => server.stop())
afterEach(async () => {
  await fixture.close()
  await server.command('FLUSHALL')
})

const settings = { prefix: 'oidc:', timeout: 30_000, log: () => {} }
const open = (redis: NodeRedisClient) => createBackend({ ...settings, redis }, Date.now)

async function countOf(command: string): Promise<number> {
  const stats = String(await server.command('INFO', 'commandstats'))
  return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(stats)?.[1] ?? 0)
}

/** A client through a wire that a test can cut. */
async function openWired(kind: (typeof nodeRedisKinds)[number]) {
  const wire = await startTcpProxy(server.port)
  fixture.onClose(() => wire.close())
  const client = fixture.nodeRedisClient(`redis://127.0.0.1:${wire.port}`, kind)
  const backend = open(client)
  fixture.onClose(() => backend.close())
  await backend.create('key', { t: 'ticket', n: '1' }, 60)
  await server.command('CONFIG', 'RESETSTAT')
  return { backend, client, wire }
}

for (const kind of nodeRedisKinds) {
  describe(`a client of ${kind}`, () => {
    for (const how of ['reset', 'end'] as const) {
      test(`sends a read whose reply is lost (${how}) once more, and a write not`, async () => {
        const { backend, wire } = await openWired(kind)
        wire.cutReplies('HMGET', 1, how)
        assert.deepEqual(await backend.read('key', ['t']), [Buffer.from('ticket')])
        assert.equal(await countOf('hmget'), 2)
        await backend.addMember('members', 'member', 60, 1)
        wire.cutReplies('ZREM', 1, how)
        await assert.rejects(backend.removeMember('members', 'member'), unavailable)
        assert.equal(await backend.hasMember('members', 'member'), false)
        assert.equal(await countOf('zrem'), 1)
      })
    }

    test('takes back what it has not sent when the connection breaks', async () => {
      const client = fixture.nodeRedisClient(server.url, kind)
      await client.connect()
      const adapted = adaptNodeRedis(client)
      // node-redis writes when this turn of the event loop is over. The connection is lost before.
      const command = adapted.set('key', 'late', 'PX', 60_000, 'NX')
      const { stream } = adapted
      client.emit('reconnecting')
      assert.notEqual(adapted.stream, stream, 'it counts as another connection')
      await assert.rejects(command, /Stream isn't writeable/)
      await adapted.ping()
      assert.equal(await server.command('GET', 'key'), null)
      assert.equal(await adapted.set('key', 'value', 'PX', 60_000, 'NX'), 'OK', 'the next one is sent')
      adapted.release()
    })

    test('while it hangs keeps a bounded number of commands, and warns of nothing', async () => {
      const warnings: Error[] = []
      const warn = (warning: Error) => void warnings.push(warning)
      process.on('warning', warn)
      const client = fixture.nodeRedisClient(server.url, kind)
      const store = fixture.state({ redis: client, timeout: shortly })
      await store.ping()
      let sent = 0
      const send = client.sendCommand.bind(client)
      client.sendCommand = (...args) => {
        sent += 1
        // A timer for each command would be for nothing: there is one already.
        assert.deepEqual({ timeout: undefined, ...args[1] }, { ...args[1] })
        return send(...args)
      }
      server.pause()
      try {
        for (let wave = 0; wave < 3; wave += 1) {
          const attempts = Array.from({ length: 1500 }, () => store.load('an unknown id'))
          for (const { status } of await Promise.allSettled(attempts)) assert.equal(status, 'rejected')
        }
        // The probe of a replica comes on top.
        assert.ok(sent <= 2010, `${sent} commands`)
        assert.deepEqual(warnings, [])
      } finally {
        process.off('warning', warn)
        server.resume()
      }
    })

    test('is connected where the site has not done it, and told to be closed once the site has closed it', async () => {
      const client = fixture.nodeRedisClient(server.url, kind)
      const store = fixture.state({ redis: client })
      assert.equal(client.isOpen, false)
      await store.ping()
      client.destroy()
      await assert.rejects(store.ping(), { cause: { command: 'ping', reason: 'client is closed' } })
      await client.connect()
      await store.ping()
    })

    test('is not taken for one that has ended while it leaves a replica', async () => {
      const client = fixture.nodeRedisClient(server.url, kind)
      await client.connect()
      const adapted = adaptNodeRedis(client)
      const statuses: string[] = []
      adapted.on('end', () => void statuses.push(adapted.status))
      adapted.disconnect(true)
      assert.deepEqual(statuses, ['connecting'])
      await until('it is connected anew', () => adapted.status === 'ready')
      adapted.disconnect()
      assert.equal(adapted.status, 'end')
      adapted.disconnect()
      adapted.release()
    })

    test('is doubled for what other processes tell: the other one fails at once, and keeps no process alive', async () => {
      const client = fixture.nodeRedisClient(server.url, kind)
      const given: unknown[] = []
      let unreferenced = 0
      const duplicate = client.duplicate.bind(client)
      client.duplicate = overrides => {
        given.push(overrides)
        const copy = duplicate(overrides) as NodeRedisClient
        const unref = copy.unref.bind(copy)
        copy.unref = () => {
          unreferenced += 1
          unref()
        }
        return copy
      }
      const store = fixture.state({ redis: client })
      const id = await signIn(store)
      const ended: unknown[] = []
      store.watch(id, reason => ended.push(reason))
      const subscribers = async () => String(await server.command('PUBSUB', 'NUMSUB', 'oidc:ended'))
      await until('it has subscribed', async () => (await subscribers()).endsWith(',1'))
      assert.equal(unreferenced, 1)
      const [{ socket, pingInterval }] = given as [{ socket: { reconnectStrategy: unknown }; pingInterval: unknown }]
      assert.equal(socket.reconnectStrategy, false)
      assert.equal(pingInterval, undefined)
      await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await until('another one has subscribed', async () => given.length > 1 && (await subscribers()).endsWith(',1'))
      await store.end(id, 'logout')
      await until('it is told', () => ended.length === 1)
    })

    test('belongs to the site: close() leaves it open, and no listener stays', async () => {
      const client = fixture.nodeRedisClient(server.url, kind)
      const events = ['ready', 'end', 'connect', 'reconnecting', 'error'] as const
      const emitter = client as unknown as { listenerCount(event: string): number }
      const counts = () => events.map(event => emitter.listenerCount(event))
      const before = counts()
      for (let count = 0; count < 3; count += 1) {
        const backend = open(client)
        await backend.ping()
        await backend.close()
      }
      assert.equal(client.isReady, true)
      assert.deepEqual(counts(), before)
    })

    test('is not connected anew where another connection has taken the place of that to a replica', async () => {
      const { backend, client, wire } = await openWired(kind)
      await server.command('REPLICAOF', '127.0.0.1', 1)
      try {
        const late = createBackend({ ...settings, timeout: 600, redis: client }, Date.now)
        await assert.rejects(late.consume('mark', 60), { cause: { command: 'set', reason: 'READONLY' } })
        await late.close()
        assert.ok(wire.total <= 5, `${wire.total} connections`)
      } finally {
        await server.command('REPLICAOF', 'NO', 'ONE')
      }
      assert.equal(await backend.consume('mark', 60), true)
    })

    test('that would not connect anew keeps its connection to a replica', async () => {
      const client = createNodeRedisClient(server.url, kind, { reconnectStrategy: false })
      fixture.onClose(() => client.destroy())
      const backend = createBackend({ ...settings, timeout: 300, redis: client }, Date.now)
      await backend.ping()
      const received = async () =>
        /total_connections_received:\d+/.exec(String(await server.command('INFO', 'stats')))?.[0]
      const before = await received()
      await server.command('REPLICAOF', '127.0.0.1', 1)
      try {
        await assert.rejects(backend.consume('mark', 60), { cause: { command: 'set', reason: 'READONLY' } })
      } finally {
        await server.command('REPLICAOF', 'NO', 'ONE')
      }
      assert.equal(await received(), before)
      await backend.close()
    })

    test('says which setting ends it for ever', () => {
      const linesFor = (socket: object) => {
        const log: string[] = []
        const redis = createNodeRedisClient(server.url, kind, socket)
        createBackend({ ...settings, log: line => void log.push(line), redis }, Date.now)
        return log
      }
      for (const socket of [{ socketTimeout: 5_000 }, { reconnectStrategy: false }]) {
        const [line = '', ...more] = linesFor(socket)
        assert.match(line, /set socket\.reconnectStrategy/)
        assert.deepEqual(more, [])
      }
      for (const socket of [{}, { socketTimeout: 5_000, reconnectStrategy: () => 100 }])
        assert.deepEqual(linesFor(socket), [])
    })
  })
}

describe('clients of node-redis with other settings', () => {
  const clients: Readonly<Record<string, () => NodeRedisClient>> = {
    'RESP 2, version 6': () => createClient({ url: server.url, RESP: 2 }),
    'RESP 3, version 5': () => createClient5({ url: server.url, RESP: 3 }),
    'bytes for strings': () =>
      createClient({ url: server.url }).withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }) as NodeRedisClient,
    'strings for numbers': () =>
      createClient({ url: server.url, commandOptions: { typeMapping: { [RESP_TYPES.NUMBER]: String } } }),
    'no queue while it is not connected': () => createClient({ url: server.url, disableOfflineQueue: true }),
    'another database': () => createClient({ url: `${server.url}/3` }),
  }

  for (const [name, create] of Object.entries(clients)) {
    test(`${name}: sessions, sign-ins and what must be told to other processes`, async () => {
      const client = create()
      client.on('error', () => {})
      fixture.onClose(() => client.destroy())
      const store = fixture.state({ redis: client })
      const id = await savedSession(store, { cart: 'tea' })
      assert.deepEqual(await storedData(store, id), { cart: 'tea' })
      assert.equal(await store.sessions.length(), 1)
      const signedIn = await signIn(store)
      const ended: unknown[] = []
      store.watch(signedIn, reason => ended.push(reason))
      await until('it has subscribed', async () => /\n1$/.test(String(await numberOfSubscribers())))
      await store.end(signedIn, 'logout')
      await until('it is told', () => ended.length === 1)
    })
  }

  const numberOfSubscribers = async () =>
    ((await server.command('PUBSUB', 'NUMSUB', 'oidc:ended')) as unknown[]).join('\n')
})

describe('a client that cannot be used is refused at the start', () => {
  const options = {
    issuer: 'https://op.example.com',
    clientId: 'shop',
    clientSecret: 'secret',
    baseUrl: 'https://shop.example.com',
  }
  const root = { url: 'redis://127.0.0.1:1' }
  const v4 = { ...createClient(), isOpen: false, isReady: false, sendCommand() {}, unref() {}, destroy: undefined }
  const refused: readonly (readonly [string, unknown, RegExp])[] = [
    ['a Cluster of version 6', createCluster({ rootNodes: [root] }), /createClient\(\).*client of ioredis/],
    ['a Cluster of version 5', createCluster5({ rootNodes: [root] }), /createClient\(\)/],
    [
      'Sentinel',
      createSentinel({ name: 'main', sentinelRootNodes: [{ host: '127.0.0.1', port: 1 }] }),
      /createClient\(\)/,
    ],
    ['a pool', createClientPool(), /createClient\(\)/],
    ['version 4', v4, /5 or later/],
    ['a reader of replicas', createClient({ readonly: true }), /must not be readonly/],
  ]
  for (const [name, redis, message] of refused) {
    test(name, () => {
      assert.throws(
        () => openIdConnect({ ...options, secret: secret('sealing secret'), redis: redis as NodeRedisClient }),
        {
          code: 'ERR_OIDC_OPTIONS',
          message,
        },
      )
    })
  }

  test('one node of a Redis Cluster, at its first response', async () => {
    const cluster = await startCluster()
    const client = createNodeRedisClient(cluster.nodes[0]?.url ?? '', 'node-redis 6')
    const backend = open(client)
    try {
      await assert.rejects(backend.ping(), { code: 'ERR_OIDC_OPTIONS', message: /one node of a Redis Cluster/ })
    } finally {
      await backend.close()
      client.destroy()
      await cluster.stop()
    }
  })

  test('a Redis that evicts is said', async () => {
    await server.config('maxmemory', '100mb')
    await server.config('maxmemory-policy', 'allkeys-lru')
    const log: string[] = []
    const client = fixture.nodeRedisClient(server.url, 'node-redis 6')
    const backend = createBackend({ ...settings, log: line => void log.push(line), redis: client }, Date.now)
    try {
      await backend.ping()
      assert.match(log.join(), /maxmemory-policy allkeys-lru/)
    } finally {
      await backend.close()
      await server.config('maxmemory', '0')
      await server.config('maxmemory-policy', 'noeviction')
    }
  })
})
