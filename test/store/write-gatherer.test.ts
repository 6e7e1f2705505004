import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { setImmediate as turnOver } from 'node:timers/promises'
import { createWriteGatherer } from '../../lib/store/backend/write-gatherer.js'
import { type RedisServer, startRedis, until } from '../support/redis.js'
import { StoreFixture, signIn } from './fixtures.js'

let server: RedisServer
const fixture = new StoreFixture()

before(async () => {
  server = await startRedis()
})

after(async () => {
  await fixture.close()
  await server.stop()
})

/** Counts the system calls by which a socket is written to. */
function countWrites(socket: Socket): { count: number } {
  const writes = { count: 0 }
  for (const name of ['_write', '_writev'] as const) {
    const write = socket[name]?.bind(socket) as (...args: unknown[]) => void
    socket[name] = (...args: unknown[]) => {
      writes.count += 1
      write(...args)
    }
  }
  return writes
}

for (const kind of ['ioredis 6', 'ioredis 5'] as const) {
  test(`${kind}: commands of one turn of the event loop leave in one write, those of the next in another`, async () => {
    const client = kind === 'ioredis 6' ? fixture.client(server) : fixture.client5(server)
    const store = fixture.state({ redis: client })
    const ids = await Promise.all(Array.from({ length: 20 }, () => signIn(store)))
    const writes = countWrites(client.stream)
    const records = await Promise.all(ids.map(id => store.load(id)))
    assert.deepEqual(
      records.map(record => record?.id),
      ids,
    )
    assert.equal(writes.count, 1)
    await store.load(ids[0] ?? '')
    assert.equal(writes.count, 2)
  })
}

test('after a reconnect, commands are gathered and get their replies as before', async () => {
  const client = fixture.client(server)
  const store = fixture.state({ redis: client })
  const id = await signIn(store)
  const lost = client.stream
  const loading = store.load(id).catch(() => undefined)
  lost.destroy()
  await loading
  await until('the client is back', () => client.status === 'ready' && client.stream !== lost)
  const writes = countWrites(client.stream)
  const records = await Promise.all([store.load(id), store.load(id)])
  assert.deepEqual(
    records.map(record => record?.id),
    [id, id],
  )
  assert.equal(writes.count, 1)
})

test('a client without a socket of its own, such as a cluster, is left alone', async () => {
  const gather = createWriteGatherer({})
  gather()
  await turnOver()
})

test('what was held back is let go, once for each time', async () => {
  const calls: string[] = []
  const stream = { cork: () => void calls.push('cork'), uncork: () => void calls.push('uncork') }
  const gather = createWriteGatherer({ stream })
  gather()
  gather()
  await turnOver()
  assert.deepEqual(calls, ['cork', 'uncork'])
  gather()
  await turnOver()
  assert.deepEqual(calls, ['cork', 'uncork', 'cork', 'uncork'])
})
