import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createBackend } from '../../lib/store/backend/create-backend.js'
import { isLater } from '../../lib/store/backend/logout-time.js'
import { type RedisServer, startRedis } from '../support/redis.js'

const logout = { at: 1000, issuedAt: 50 }

test('a sign-in is later than a logout when one clock says so', () => {
  assert.equal(isLater({ startedAt: 1001, grantedAt: 10 }, logout), true)
  assert.equal(isLater({ startedAt: 900, grantedAt: 51 }, logout), true)
})

test('in doubt the logout wins: at the same moment, in the same second, and where nothing is known', () => {
  assert.equal(isLater({ startedAt: 1000, grantedAt: 50.99 }, logout), false)
  assert.equal(isLater({ startedAt: 900, grantedAt: 49 }, logout), false)
  assert.equal(isLater({}, logout), false)
  assert.equal(isLater({ startedAt: 900, grantedAt: 1e9 }, { at: 1000 }), false)
  assert.equal(isLater({ startedAt: 900, grantedAt: 51 }, { at: 1000, issuedAt: 50.5 }), false)
})

describe('logouts that are remembered', () => {
  let server: RedisServer
  before(async () => {
    server = await startRedis()
  })
  after(() => server.stop())

  for (const kind of ['Redis', 'memory']) {
    test(`are merged, each clock by itself, in ${kind}`, async t => {
      const settings = { timeout: 800, prefix: 'oidc:', log: () => {}, ...(kind === 'Redis' && { redis: server.url }) }
      const backend = createBackend(settings, () => 100)
      t.after(() => backend.close())
      const key = 'oidc:l:x'
      assert.equal(await backend.readLogout(key), undefined)
      const first = { at: 1_800_000_000_123_456, issuedAt: 1_800_000_000 }
      await backend.markLogout(key, first, 60)
      assert.deepEqual(await backend.readLogout(key), first)
      await backend.markLogout(key, { at: first.at + 5, issuedAt: first.issuedAt - 90 }, 60)
      assert.deepEqual(await backend.readLogout(key), { at: first.at + 5, issuedAt: first.issuedAt })
      await backend.markLogout(key, { at: first.at - 5 }, 60)
      assert.deepEqual(await backend.readLogout(key), { at: first.at + 5, issuedAt: 8.64e12 })
      assert.equal(await backend.isConsumed('oidc:o:x'), false)
      assert.equal(await backend.consume('oidc:o:x', 60), true)
      assert.equal(await backend.isConsumed('oidc:o:x'), true)
    })
  }

  test('are forgotten by Redis when no attempt from before can be left', async t => {
    const backend = createBackend({ timeout: 800, prefix: 'oidc:', log: () => {}, redis: server.url }, () => 100)
    t.after(() => backend.close())
    await backend.markLogout('oidc:l:y', { at: 1 }, 60)
    const ttl = Number(await server.command('TTL', 'oidc:l:y'))
    assert.ok(ttl > 50 && ttl <= 60, `${ttl} s`)
  })
})
