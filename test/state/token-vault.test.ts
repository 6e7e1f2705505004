import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { Redis } from 'ioredis'
import type { State } from '../../lib/state/state.js'
import type { TokenVault, VaultView } from '../../lib/state/token-vault.js'
import { type RedisServer, startCluster, startRedis, startSentinel } from '../support/redis.js'
import { Bench, signIn, storeKinds, ticket, tokens } from './fixtures.js'

let server: RedisServer
let bench: Bench

before(async () => {
  server = await startRedis()
  bench = new Bench()
})
afterEach(() => bench.close())
after(() => server.stop())

async function openVault(vault: TokenVault): Promise<VaultView> {
  const view = await vault.open()
  assert.ok(view, 'no view')
  return view
}

for (const kind of storeKinds) {
  describe(`tokens kept by ${kind}`, () => {
    const create = () => bench.stateOf(kind, server)
    contract(create)
  })
}

test('claims work on a Redis Cluster', async () => {
  const cluster = await startCluster()
  try {
    const nodes = cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
    const client = new Redis.Cluster(nodes, { clusterRetryStrategy: () => 50 })
    client.on('error', () => {})
    bench.onClose(() => client.disconnect())
    for (let at = 0; at < 6; at += 1) await renewOnce(bench.state({ redis: client }))
  } finally {
    await cluster.stop()
  }
})

test('claims work behind a Sentinel', async () => {
  const setup = await startSentinel()
  try {
    const client = new Redis({ sentinels: [...setup.sentinels], name: setup.name })
    client.on('error', () => {})
    bench.onClose(() => client.disconnect())
    await renewOnce(bench.state({ redis: client }))
  } finally {
    await setup.stop()
  }
})

async function renewOnce(state: State): Promise<void> {
  const vault = state.vault(await signIn(state))
  const view = await openVault(vault)
  assert.equal(await vault.claim('a', view, 5_000), 'claimed')
  assert.equal(await vault.claim('b', view, 5_000), 'held')
  const next = tokens()
  assert.equal(await vault.settle('a', view, { tokens: next }), 'done')
  assert.deepEqual((await openVault(vault)).tokens, next)
  assert.equal(await vault.claim('b', view, 5_000), 'changed')
}

function contract(create: () => State): void {
  test('one of several gets the claim, and what it writes is seen by the others', () => renewOnce(create()))

  test('a claim is given back by its owner only', async () => {
    const state = create()
    const vault = state.vault(await signIn(state))
    const view = await openVault(vault)
    await vault.claim('a', view, 5_000)
    await vault.settle('b', view, {})
    assert.equal(await vault.claim('c', view, 5_000), 'held')
    await vault.settle('a', view, {})
    assert.equal(await vault.claim('c', view, 5_000), 'claimed')
  })

  test('a claim is void after its life', async () => {
    const state = create()
    const vault = state.vault(await signIn(state))
    const view = await openVault(vault)
    await vault.claim('a', view, 1)
    bench.clock.seconds += 1
    await new Promise(resolve => setTimeout(resolve, 10))
    assert.equal(await vault.claim('b', view, 5_000), 'claimed')
  })

  test('a note of a failure is kept, seen by the next claim, and forgotten with the next success', async () => {
    const state = create()
    const vault = state.vault(await signIn(state))
    const before = await openVault(vault)
    const failure = { code: 'ERR_OIDC_PROVIDER_UNAVAILABLE', count: 3, retryAt: 1_735_689_612.5, pause: 2.25 }
    await vault.claim('a', before, 5_000)
    assert.equal(await vault.settle('a', before, { failure }), 'done')
    const after = await openVault(vault)
    assert.deepEqual([after.failure, after.heldUntil, after.tokens], [failure, 0, before.tokens])
    assert.equal(await vault.claim('b', before, 5_000), 'changed')
    assert.equal(await vault.claim('b', after, 5_000), 'claimed')
    await vault.settle('b', after, { tokens: tokens() })
    assert.equal((await openVault(vault)).failure, undefined)
  })

  test('tokens and ticket are written only over what was seen', async () => {
    const state = create()
    const vault = state.vault(await signIn(state))
    const view = await openVault(vault)
    await vault.settle('', view, { tokens: tokens() })
    const late = tokens()
    assert.equal(await vault.settle('', view, { tokens: late }), 'changed')
    assert.notDeepEqual((await openVault(vault)).tokens, late)
    await vault.settle('', view, { ticket: ticket({ scope: 'openid a' }) })
    assert.equal(await vault.settle('', view, { ticket: ticket({ scope: 'openid b' }) }), 'changed')
    assert.equal((await openVault(vault)).ticket?.scope, 'openid a')
  })

  test('a session that has ended is neither claimed nor written nor made anew', async () => {
    const state = create()
    const id = await signIn(state)
    const vault = state.vault(id)
    const view = await openVault(vault)
    await state.end(id)
    assert.equal(await vault.claim('a', view, 5_000), 'absent')
    assert.equal(await vault.settle('a', view, { tokens: tokens() }), 'absent')
    assert.equal(await vault.settle('a', view, {}), 'absent')
    assert.equal(await vault.open(), undefined)
    assert.equal(await state.load(id), undefined)
  })

  test('a session past its absolute end has no tokens', async () => {
    const state = create()
    const vault = state.vault(await signIn(state))
    bench.clock.seconds += 9 * 3600
    assert.equal(await vault.open(), undefined)
    bench.clock.seconds -= 9 * 3600
  })

  test('a session is ended only while its tokens are those seen, and leaves the index', async () => {
    const state = create()
    const subject = `somebody ${Math.trunc(performance.now() * 1000)}`
    const vault = state.vault(await signIn(state, { ticket: ticket({ subject }) }))
    const first = await openVault(vault)
    await vault.settle('', first, { tokens: tokens() })
    assert.equal(await vault.endIf(first), false)
    assert.ok(await vault.open(), 'the session has ended')
    assert.equal(await vault.endIf(await openVault(vault)), true)
    assert.equal(await vault.open(), undefined)
    assert.deepEqual(await state.list({ issuer: ticket().issuer, subject }), [])
  })

  test('tokens of the client itself need no session, are apart by purpose, and end with their life', async () => {
    const state = create()
    const purpose = `client ${Math.trunc(performance.now() * 1000)}`
    const vault = state.clientVault(purpose)
    const view = await openVault(vault)
    assert.deepEqual([view.tokens, view.ticket, view.heldUntil], [undefined, undefined, 0])
    assert.equal(await vault.claim('a', view, 5_000), 'claimed')
    assert.equal(await vault.claim('b', view, 5_000), 'held')
    const own = tokens({ expiresAt: bench.clock.seconds + 600 })
    assert.equal(await vault.settle('a', view, { tokens: own }), 'done')
    assert.deepEqual((await openVault(vault)).tokens, own)
    assert.equal((await openVault(state.clientVault(`${purpose} other`))).tokens, undefined)
  })
}
