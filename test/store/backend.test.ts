import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import type { Backend } from '../../lib/store/backend/backend.js'
import { createMemoryBackend } from '../../lib/store/backend/memory-backend.js'
import { createRedisBackend } from '../../lib/store/backend/redis-backend.js'
import { createConnection } from '../../lib/store/backend/redis-connection.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { StoreFixture } from './fixtures.js'

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

const now = 1000

function openMemory(): Backend {
  return createMemoryBackend(() => now)
}

function openRedis(): Backend {
  const client = fixture.client(server)
  return createRedisBackend(client, createConnection(client, { timeout: 800 }), {
    clockKey: 'oidc:clock',
    removals: { channel: 'oidc:ended', timeout: 800, log: () => {} },
    close: async () => {},
  })
}

const bytes = Buffer.from([0, 255, 128, 13, 10, 0])

for (const [name, open] of Object.entries({ memory: openMemory, Redis: openRedis })) {
  describe(`the contract of a backend, kept by ${name}`, () => {
    let backend: Backend
    beforeEach(() => {
      backend = open()
    })
    afterEach(() => backend.close())

    const read = async (key: string) =>
      (await backend.read(key, ['t', 's', 'n', 'e', 'i'])).map(field => field?.toString() ?? null)

    test('create makes what is not there, and leaves alone what is', async () => {
      assert.equal(await backend.create('a', { t: 'first', n: '1' }, 60), true)
      assert.equal(await backend.create('a', { t: 'second', s: 'more' }, 60), false)
      assert.deepEqual(await read('a'), ['first', null, '1', null, null])
      assert.deepEqual(await read('b'), [null, null, null, null, null])
    })

    test('bytes come back as they were', async () => {
      const tokens = Buffer.from(bytes).reverse()
      await backend.create('a', { t: bytes, i: bytes, k: tokens, n: '1' }, 60)
      await backend.swap('a', 1, bytes)
      assert.deepEqual(await backend.read('a', ['t', 's']), [bytes, bytes])
      const conflict = await backend.swap('a', 1, bytes)
      assert.deepEqual(conflict, { outcome: 'conflict', version: 2, session: bytes })
      assert.deepEqual(await backend.remove('a'), { existed: true, summary: bytes, tokens })
    })

    test('swap needs the version that is there, and none counts as 0', async () => {
      assert.deepEqual(await backend.swap('a', 0, bytes), { outcome: 'absent' })
      assert.deepEqual(await read('a'), [null, null, null, null, null])
      await backend.create('a', { t: 'x' }, 60)
      assert.deepEqual(await backend.swap('a', 1, bytes), { outcome: 'conflict', version: 0, session: undefined })
      assert.deepEqual(await backend.swap('a', 0, Buffer.from('one')), { outcome: 'done' })
      assert.deepEqual(await backend.swap('a', 1, Buffer.from('two')), { outcome: 'done' })
      assert.deepEqual(await read('a'), ['x', 'two', '2', null, null])
    })

    test('extend needs a record with time left, and notes when it was', async () => {
      assert.equal(await backend.extend('a', now, 60), false)
      assert.deepEqual(await read('a'), [null, null, null, null, null])
      await backend.create('a', { e: '900:2000' }, 60)
      assert.equal(await backend.extend('a', 1999, 60), true)
      assert.deepEqual(await read('a'), [null, null, null, '1999:2000', null])
      assert.equal(await backend.extend('a', 2000, 60), false)
      assert.equal(await backend.extend('a', 2001, 60), false)
      assert.deepEqual(await read('a'), [null, null, null, '1999:2000', null])
      await backend.create('b', { e: 'nonsense' }, 60)
      assert.equal(await backend.extend('b', now, 60), false)
    })

    test('limit brings the end nearer, and puts it off again up to the end that was there first', async () => {
      assert.equal(await backend.limit('a', 1500, now, 600), false)
      await backend.create('a', { e: '900:2000' }, 600)
      const ends = async () => (await backend.read('a', ['e', 'c'])).map(field => field?.toString() ?? null)
      assert.deepEqual(await ends(), ['900:2000', null])
      for (const [wanted, end] of [
        [1500, 1500],
        [1200, 1200],
        [1900, 1900],
        [9999, 2000],
        [1300, 1300],
      ] as const) {
        assert.equal(await backend.limit('a', wanted, now, 600), true)
        assert.deepEqual(await ends(), [`900:${end}`, '2000'])
      }
      await backend.extend('a', now, 600)
      assert.deepEqual(await ends(), ['1000:1300', '2000'])
      const commit = { owner: 'x', needsTicket: false, fields: {}, clearsFailure: false }
      await backend.commit('a', { ...commit, end: { endsAt: 1600, now } })
      await backend.limit('a', 1900, now, 600)
      assert.deepEqual(await ends(), ['1000:1600', '1600'], 'what shortens the whole session counts')
      await backend.limit('a', 900, now, 600)
      assert.deepEqual(await backend.read('a', ['e']), [null], 'an end in the past is the end')
    })

    test('limit leaves a session that was replaced, and what is no session', async () => {
      await backend.create('a', { e: '900:2000', r: '1' }, 600)
      await backend.create('b', { e: 'nonsense' }, 600)
      for (const key of ['a', 'b']) assert.equal(await backend.limit(key, 1500, now, 600), false)
      assert.deepEqual((await backend.read('a', ['e', 'c'])).map(String), ['900:2000', 'null'])
    })

    test('remove says what was there', async () => {
      assert.deepEqual(await backend.remove('a'), { existed: false, summary: undefined, tokens: undefined })
      await backend.create('a', { t: 'x' }, 60)
      assert.deepEqual(await backend.remove('a'), { existed: true, summary: undefined, tokens: undefined })
      assert.deepEqual(await read('a'), [null, null, null, null, null])
    })

    test('once is once per key', async () => {
      assert.equal(await backend.consume('a', 60), true)
      assert.equal(await backend.consume('a', 60), false)
      assert.equal(await backend.consume('b', 60), true)
    })

    test('members are there until their time has come or they are removed', async () => {
      assert.deepEqual(await backend.members('a', now), [])
      assert.equal(await backend.hasMember('a', 'x'), false)
      await backend.addMember('a', 'x', now + 10, now)
      await backend.addMember('a', 'y', now + 20, now)
      await backend.addMember('a', 'y', now + 30, now)
      assert.deepEqual([...(await backend.members('a', now + 9))].sort(), ['x', 'y'])
      assert.deepEqual(await backend.members('a', now + 10), ['y'])
      assert.deepEqual(await backend.members('a', now + 30), [])
      assert.equal(await backend.hasMember('a', 'x'), true)
      await backend.addMember('a', 'z', now + 50, now + 10)
      assert.equal(await backend.hasMember('a', 'x'), false)
      await backend.removeMember('a', 'y')
      await backend.removeMember('a', 'not-a-member')
      await backend.removeMember('b', 'not-a-member')
      assert.deepEqual(await backend.members('a', now + 10), ['z'])
      await backend.removeMember('a', 'z')
      assert.deepEqual(await backend.members('a', now), [])
    })

    test('keys are those of one prefix and one length, whatever the prefix looks like', async () => {
      for (const key of ['a*b:12', 'a*b:123', 'aXb:12', 'a*b:xx', '[a]:12', 'a:12', '\\?:12', 'xx:12']) {
        await backend.create(key, { t: 'x' }, 60)
      }
      await backend.consume('a*b:yy', 60)
      const keys = async (prefix: string) => [...(await backend.keys(prefix, 2))].sort()
      assert.deepEqual(
        (await keys('a*b:')).filter(key => key !== 'a*b:yy'),
        ['a*b:12', 'a*b:xx'],
      )
      assert.deepEqual(await keys('[a]:'), ['[a]:12'])
      assert.deepEqual(await keys('\\?:'), ['\\?:12'])
    })

    test('more keys than one scan looks at are all found', async () => {
      const expected = Array.from({ length: 1200 }, (_, at) => `many:${String(at).padStart(4, '0')}`)
      await Promise.all(expected.map(key => backend.create(key, { t: 'x' }, 60)))
      assert.deepEqual([...(await backend.keys('many:', 4))].sort(), expected)
    })
  })
}
