import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { Redis } from 'ioredis'
import type { RecordStore } from '../../lib/store/store.js'
import type { StoredTokens, TokenStore } from '../../lib/store/token-store.js'
import { type RedisServer, startCluster, startRedis, startSentinel } from '../support/redis.js'
import { StoreFixture, signIn, storeKinds, ticket, tokens } from './fixtures.js'

let server: RedisServer
let fixture: StoreFixture

before(async () => {
  server = await startRedis()
  fixture = new StoreFixture()
})
afterEach(() => fixture.close())
after(() => server.stop())

async function openTokenStore(tokenStore: TokenStore): Promise<StoredTokens> {
  const view = await tokenStore.open()
  assert.ok(view, 'no view')
  return view
}

for (const kind of storeKinds) {
  describe(`tokens kept by ${kind}`, () => {
    const create = () => fixture.stateOf(kind, server)
    contract(create)
  })
}

test('claims work on a Redis Cluster', async () => {
  const cluster = await startCluster()
  try {
    const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
    const client = new Redis.Cluster(nodes, { clusterRetryStrategy: () => 50 })
    client.on('error', () => {})
    fixture.onClose(() => client.disconnect())
    for (let at = 0; at < 6; at += 1) await renewOnce(fixture.state({ redis: client }))
  } finally {
    await cluster.stop()
  }
})

test('claims work behind a Sentinel', async () => {
  const setup = await startSentinel()
  try {
    const client = new Redis({ sentinels: [...setup.sentinels], name: setup.name })
    client.on('error', () => {})
    fixture.onClose(() => client.disconnect())
    await renewOnce(fixture.state({ redis: client }))
  } finally {
    await setup.stop()
  }
})

async function renewOnce(store: RecordStore): Promise<void> {
  const tokenStore = store.tokenStore(await signIn(store))
  const view = await openTokenStore(tokenStore)
  assert.equal(await tokenStore.acquire('a', view, 5_000), 'acquired')
  assert.equal(await tokenStore.acquire('b', view, 5_000), 'held')
  const next = tokens()
  assert.equal(await tokenStore.commit('a', view, { tokens: next }), 'done')
  assert.deepEqual((await openTokenStore(tokenStore)).tokens, next)
  assert.equal(await tokenStore.acquire('b', view, 5_000), 'changed')
}

function contract(create: () => RecordStore): void {
  test('one of several gets the claim, and what it writes is seen by the others', () => renewOnce(create()))

  test('a claim is given back by its owner only', async () => {
    const store = create()
    const tokenStore = store.tokenStore(await signIn(store))
    const view = await openTokenStore(tokenStore)
    await tokenStore.acquire('a', view, 5_000)
    await tokenStore.commit('b', view, {})
    assert.equal(await tokenStore.acquire('c', view, 5_000), 'held')
    await tokenStore.commit('a', view, {})
    assert.equal(await tokenStore.acquire('c', view, 5_000), 'acquired')
  })

  test('a claim is void after its life', async () => {
    const store = create()
    const tokenStore = store.tokenStore(await signIn(store))
    const view = await openTokenStore(tokenStore)
    await tokenStore.acquire('a', view, 1)
    fixture.clock.seconds += 1
    await new Promise(resolve => setTimeout(resolve, 10))
    assert.equal(await tokenStore.acquire('b', view, 5_000), 'acquired')
  })

  test('a note of a failure is kept, seen by the next claim, and forgotten with the next success', async () => {
    const store = create()
    const tokenStore = store.tokenStore(await signIn(store))
    const before = await openTokenStore(tokenStore)
    const failure = { code: 'ERR_OIDC_PROVIDER_UNAVAILABLE', count: 3, retryAt: 1_735_689_612.5, pause: 2.25 }
    await tokenStore.acquire('a', before, 5_000)
    assert.equal(await tokenStore.commit('a', before, { failure }), 'done')
    const after = await openTokenStore(tokenStore)
    assert.deepEqual([after.failure, after.leasedUntil, after.tokens], [failure, 0, before.tokens])
    assert.equal(await tokenStore.acquire('b', before, 5_000), 'changed')
    assert.equal(await tokenStore.acquire('b', after, 5_000), 'acquired')
    await tokenStore.commit('b', after, { tokens: tokens() })
    assert.equal((await openTokenStore(tokenStore)).failure, undefined)
  })

  test('tokens and ticket are written only over what was seen', async () => {
    const store = create()
    const tokenStore = store.tokenStore(await signIn(store))
    const view = await openTokenStore(tokenStore)
    await tokenStore.commit('', view, { tokens: tokens() })
    const late = tokens()
    assert.equal(await tokenStore.commit('', view, { tokens: late }), 'changed')
    assert.notDeepEqual((await openTokenStore(tokenStore)).tokens, late)
    await tokenStore.commit('', view, { ticket: ticket({ scope: 'openid a' }) })
    assert.equal(await tokenStore.commit('', view, { ticket: ticket({ scope: 'openid b' }) }), 'changed')
    assert.equal((await openTokenStore(tokenStore)).ticket?.scope, 'openid a')
  })

  test('a session that has ended is neither leased nor written nor made anew', async () => {
    const store = create()
    const id = await signIn(store)
    const tokenStore = store.tokenStore(id)
    const view = await openTokenStore(tokenStore)
    await store.end(id)
    assert.equal(await tokenStore.acquire('a', view, 5_000), 'absent')
    assert.equal(await tokenStore.commit('a', view, { tokens: tokens() }), 'absent')
    assert.equal(await tokenStore.commit('a', view, {}), 'absent')
    assert.equal(await tokenStore.open(), undefined)
    assert.equal(await store.load(id), undefined)
  })

  test('a ticket that ends earlier brings the end of the record forward, and one that ends later does not put it off', async () => {
    const store = create()
    const id = await signIn(store)
    const tokenStore = store.tokenStore(id)
    const endsAt = async () => (await store.load(id, { extend: false }))?.endsAt
    const end = (seconds: number) => fixture.clock.seconds + seconds
    for (const [asked, expected] of [
      [600, 600],
      [900, 600],
      [300, 300],
    ] as const) {
      const view = await openTokenStore(tokenStore)
      // A later end that another process has seen before: the record knows better.
      const stale = { ...view, ticket: ticket({ expiresAt: end(7200) }) }
      assert.equal(await tokenStore.commit('', stale, { ticket: ticket({ expiresAt: end(asked) }) }), 'done')
      assert.equal(await endsAt(), end(expected))
    }
    fixture.clock.seconds += 300
    assert.equal(await tokenStore.open(), undefined)
    assert.equal(await store.load(id), undefined)
    fixture.clock.seconds -= 300
  })

  test('a session past its absolute end has no tokens', async () => {
    const store = create()
    const tokenStore = store.tokenStore(await signIn(store))
    fixture.clock.seconds += 9 * 3600
    assert.equal(await tokenStore.open(), undefined)
    fixture.clock.seconds -= 9 * 3600
  })

  test('a session is ended only while its tokens are those seen, and leaves the index', async () => {
    const store = create()
    const subject = `user ${Math.trunc(performance.now() * 1000)}`
    const tokenStore = store.tokenStore(await signIn(store, { ticket: ticket({ subject }) }))
    const first = await openTokenStore(tokenStore)
    await tokenStore.commit('', first, { tokens: tokens() })
    assert.equal(await tokenStore.endIf(first), false)
    assert.ok(await tokenStore.open(), 'the session has ended')
    assert.equal(await tokenStore.endIf(await openTokenStore(tokenStore)), true)
    assert.equal(await tokenStore.open(), undefined)
    assert.deepEqual(await store.list({ issuer: ticket().issuer, subject }), [])
  })

  test('tokens of the client itself need no session, are apart by purpose, and end with their life', async () => {
    const store = create()
    const purpose = `client ${Math.trunc(performance.now() * 1000)}`
    const tokenStore = store.clientTokenStore(purpose)
    const view = await openTokenStore(tokenStore)
    assert.deepEqual([view.tokens, view.ticket, view.leasedUntil], [undefined, undefined, 0])
    assert.equal(await tokenStore.acquire('a', view, 5_000), 'acquired')
    assert.equal(await tokenStore.acquire('b', view, 5_000), 'held')
    const own = tokens({ expiresAt: fixture.clock.seconds + 600 })
    assert.equal(await tokenStore.commit('a', view, { tokens: own }), 'done')
    assert.deepEqual((await openTokenStore(tokenStore)).tokens, own)
    assert.equal((await openTokenStore(store.clientTokenStore(`${purpose} other`))).tokens, undefined)
  })
}
