import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5 } from 'ioredis5'
import { type OidcError, type OidcOptions, openIdConnect } from '../../lib/index.js'
import type { RecordStore } from '../../lib/store/store.js'
import { type HostileProvider, startHostileProvider } from '../support/hostile-provider.js'
import { type RedisServer, startCluster, startRedis, until, unusedPort } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import {
  dataOf,
  issuer,
  replaceTokens,
  StoreFixture,
  save,
  savedSession,
  signIn,
  storedData,
  ticket,
  tokens,
  visit,
} from './fixtures.js'

const fixture = new StoreFixture()
let nodes: readonly RedisServer[] = []
before(async () => {
  const cluster = await startCluster()
  nodes = cluster.nodes
  fixture.onClose(() => cluster.stop())
})
after(() => fixture.close())

const clients = {
  'ioredis 6': () => new Cluster(nodes.map(({ port }) => ({ host: '127.0.0.1', port }))),
  'ioredis 5': () => new Cluster5(nodes.map(({ port }) => ({ host: '127.0.0.1', port }))),
}

for (const [kind, connect] of Object.entries(clients)) {
  describe(`a Redis Cluster of three primaries, by ${kind}`, () => {
    let store: RecordStore
    let client: ReturnType<typeof connect>
    before(() => {
      client = connect()
      store = fixture.state({ redis: client })
    })
    after(() => client.disconnect())

    test('sessions are spread over all nodes and do everything they do elsewhere', async () => {
      const ids: string[] = []
      for (let count = 0; count < 40; count += 1) {
        const anonymous = await savedSession(store, { cart: count })
        const id = await signIn(store, {
          ticket: ticket({ sid: `sid ${count}` }),
          previous: [anonymous],
          keep: ['cart'],
        })
        ids.push(id)
        const [one, two] = [await visit(store, id), await visit(store, id)]
        dataOf(one).one = 1
        dataOf(two).two = 2
        await Promise.all([save(one), save(two)])
        assert.deepEqual(await storedData(store, id), { cart: count, one: 1, two: 2 })
        assert.equal(await replaceTokens(store, id, { tokens: tokens() }), true)
        assert.equal(await store.load(anonymous), undefined)
      }
      for (const node of nodes) assert.equal(Number(await node.command('DBSIZE')) > 0, true)
      assert.equal(await store.sessions.length(), 40)
      assert.equal((await store.list({ issuer, subject: 'alice' })).length, 40)
      assert.notEqual(await store.end(String(ids[0])), undefined)
      assert.equal(await replaceTokens(store, String(ids[0]), { tokens: tokens() }), false)
      assert.equal(await store.endAll({ issuer, sid: 'sid 1' }), 1)
      assert.equal(await store.endAll({ issuer, subject: 'alice' }), 38)
      for (const id of ids) assert.equal(await store.load(id), undefined)
      assert.equal(await store.sessions.length(), 0)
    })

    test('clear ends the sessions of all nodes', async () => {
      for (let count = 0; count < 20; count += 1) await savedSession(store, { cart: count })
      await store.sessions.clear()
      assert.equal(await store.sessions.length(), 0)
    })

    test('sessions that are watched are told of their end, and every node may go down', async () => {
      const other = fixture.state({ redis: client })
      const ended: (string | undefined)[] = []
      const ids: string[] = []
      for (let count = 0; count < 20; count += 1) ids.push(await signIn(store))
      for (const id of ids) other.watch(id, reason => void ended.push(reason))
      const subscribed = async (node: RedisServer) =>
        Number(((await node.command('PUBSUB', 'NUMSUB', 'oidc:ended')) as [string, number])[1])
      const counts = () => Promise.all(nodes.map(subscribed))
      await until('one node is subscribed to', async () => (await counts()).includes(1))
      for (const node of nodes) await node.command('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await until('one node is subscribed to again', async () => (await counts()).includes(1))
      assert.equal(await store.endAll({ issuer, subject: 'alice' }, { reason: 'revoked' }), 20)
      await until('all are told', () => ended.length === 20)
      assert.deepEqual(new Set(ended), new Set(['revoked']))
    })

    test('one-time marks work, and a ping does', async () => {
      for (let count = 0; count < 20; count += 1) {
        const value = secret('state')
        assert.equal(await store.consume('state', value, 60), true)
        assert.equal(await store.consume('state', value, 60), false)
      }
      await store.ping()
    })
  })
}

test('a node that hangs makes its sessions unavailable, and the others and later all of them work', async () => {
  const client = clients['ioredis 6']()
  client.on('error', () => {})
  fixture.onClose(() => client.disconnect())
  const store = fixture.state({ redis: client, timeout: 500 })
  const ids: string[] = []
  for (let count = 0; count < 30; count += 1) ids.push(await signIn(store))
  const [first] = nodes
  first?.pause()
  const outcomes = await Promise.allSettled(ids.map(id => store.load(id, { extend: false })))
  first?.resume()
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') assert.equal(outcome.reason.code, 'ERR_OIDC_STORE_UNAVAILABLE')
    else assert.notEqual(outcome.value?.ticket(), undefined)
  }
  assert.deepEqual(new Set(outcomes.map(({ status }) => status)), new Set(['fulfilled', 'rejected']))
  for (const id of ids) {
    await until('it is there again', () =>
      store.load(id).then(
        record => record?.ticket() !== undefined,
        () => false,
      ),
    )
  }
})

describe('one node of the cluster, for all of it', () => {
  let provider: HostileProvider
  before(async () => {
    provider = await startHostileProvider()
  })
  after(() => provider.close())
  const openSite = (redis: OidcOptions['redis'], log: string[]) =>
    openIdConnect({
      issuer: provider.issuer,
      clientId: provider.clientId,
      clientSecret: provider.clientSecret,
      baseUrl: 'http://localhost:3000',
      secret: secret('session secret'),
      log: line => log.push(line),
      ...(redis !== undefined && { redis }),
    })
  const pattern = /one node of a Redis Cluster.*new Cluster\(\[\{ host, port \}\]\)/
  const refusal = (error: OidcError) => error.code === 'ERR_OIDC_OPTIONS' && pattern.test(error.message)

  test('by its URL: ready() rejects with what to write, the log says it once without being asked, and health is not ok', async () => {
    const log: string[] = []
    const site = openSite(nodes[1]?.url, log)
    try {
      const said = () => log.filter(line => /^ERR_OIDC_OPTIONS: /.test(line) && pattern.test(line))
      await until('the log says it', async () => said().length > 0)
      await assert.rejects(site.ready(), refusal)
      await assert.rejects(site.ready(), refusal)
      assert.equal((await site.health()).ok, false)
      assert.equal(said().length, 1)
    } finally {
      await site.close()
    }
  })

  test('by a client for one server: the same', async () => {
    const client = new Redis(nodes[2]?.url ?? '')
    const site = openSite(client, [])
    try {
      await assert.rejects(site.ready(), refusal)
    } finally {
      await site.close()
      client.disconnect()
    }
  })

  test('by a client for the cluster, or of a cluster that has but one node: nothing is said', async () => {
    const log: string[] = []
    const cluster = new Cluster(nodes.map(({ port }) => ({ host: '127.0.0.1', port })))
    const single = await startRedis({
      args: ['--cluster-enabled', 'yes', '--cluster-port', String(await unusedPort())],
    })
    await single.command('CLUSTER', 'ADDSLOTSRANGE', 0, 16383)
    await until('the slots are served', async () =>
      /cluster_state:ok/.test(String(await single.command('CLUSTER', 'INFO'))),
    )
    try {
      for (const redis of [cluster, single.url]) {
        const site = openSite(redis, log)
        await site.ready()
        assert.equal((await site.health()).ok, true)
        await site.close()
      }
      assert.doesNotMatch(log.join('\n'), /Cluster/)
    } finally {
      cluster.disconnect()
      await single.stop()
    }
  })
})
