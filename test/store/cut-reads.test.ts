import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { after, before, type TestContext, test } from 'node:test'
import type { Backend } from '../../lib/store/backend/backend.js'
import { createRedisBackend } from '../../lib/store/backend/redis-backend.js'
import { createRedisClient, type RedisClient } from '../../lib/store/backend/redis-client.js'
import { createConnection } from '../../lib/store/backend/redis-connection.js'
import { TIME } from '../../lib/store/backend/redis-scripts.js'
import { startTcpProxy, type TcpProxy } from '../faults/tcp-proxy.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { calls, reads } from './backend-calls.js'

/** What becomes of a command whose connection breaks before the reply comes. */

const unavailable = { code: 'ERR_OIDC_STORE_UNAVAILABLE' }

let server: RedisServer
before(async () => {
  server = await startRedis()
})
after(() => server.stop())

function open(client: RedisClient): Backend {
  return createRedisBackend(client, createConnection(client, { timeout: 30_000 }), {
    clockKey: 'oidc:clock',
    removals: { channel: 'oidc:ended', timeout: 30_000, log: () => {} },
    close: async () => {},
  })
}

const repeated: readonly string[] = Object.keys(reads)

/** A client of which every command is cut. It remembers what it was to send. */
function createCutClient(error: Error): { client: RedisClient; sent: [command: string, args: unknown[]][] } {
  const sent: [string, unknown[]][] = []
  const client = new Proxy(Object.assign(new EventEmitter(), { status: 'ready' }), {
    get(emitter, name) {
      if (name in emitter || typeof name === 'symbol') return Reflect.get(emitter, name)
      if (['stream', 'options', 'nodes'].includes(name)) return undefined
      return (...args: unknown[]) => {
        sent.push([name.replace(/Buffer$/, ''), args])
        return Promise.reject(error)
      }
    },
  })
  return { client: client as unknown as RedisClient, sent }
}

const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })

test('a backend has no method that this file does not know', () => {
  assert.deepEqual(
    Object.keys(open(createCutClient(reset).client))
      .filter(name => name !== 'close' && name !== 'watchRemovals')
      .sort(),
    Object.keys(calls).sort(),
  )
})

for (const [name, call] of Object.entries(calls)) {
  const times = repeated.includes(name) ? 2 : 1
  test(`a ${name} that is cut is sent ${times === 2 ? 'once more, and not twice' : 'once'}`, async () => {
    const { client, sent } = createCutClient(reset)
    await assert.rejects(call(open(client)), unavailable)
    assert.equal(sent.length, times)
    if (times === 1) return
    assert.deepEqual(sent[1], sent[0])
    const [command = '', args = []] = sent[0] ?? []
    await assertReads(command, args)
  })
}

/** Redis itself says which commands change nothing, and refuses a script that writes where it may not. */
async function assertReads(command: string, args: unknown[]): Promise<void> {
  if (command === 'ping') return
  if (command === 'evalsha') {
    assert.equal(args[0], TIME.sha1)
    await server.command('EVAL_RO', TIME.text, 1, 'key')
    return
  }
  const [info] = (await server.command('COMMAND', 'INFO', command)) as [[string, number, string[]]]
  assert.ok(info[2].includes('readonly'), command)
}

/** How often Redis has run a command. */
async function countOf(command: string): Promise<number> {
  const stats = String(await server.command('INFO', 'commandstats'))
  return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(stats)?.[1] ?? 0)
}

/** A backend whose own client goes through a wire that a test can cut. */
async function openWired(t: TestContext): Promise<{ backend: Backend; wire: TcpProxy }> {
  await server.command('FLUSHALL')
  const wire = await startTcpProxy(server.port)
  const client = createRedisClient(`redis://127.0.0.1:${wire.port}`)
  client.on('error', () => {})
  const backend = open(client)
  t.after(async () => {
    client.disconnect()
    await wire.close()
  })
  await backend.create('key', { t: 'ticket', n: '1' }, 60)
  await server.command('CONFIG', 'RESETSTAT')
  return { backend, wire }
}

for (const how of ['reset', 'end'] as const) {
  test(`a read whose reply is lost (${how}) is sent once more over the next connection`, async t => {
    const { backend, wire } = await openWired(t)
    wire.cutReplies('hmget', 1, how)
    assert.deepEqual(await backend.read('key', ['t']), [Buffer.from('ticket')])
    assert.equal(await countOf('hmget'), 2)
  })

  test(`a read whose reply is lost twice (${how}) is not sent a third time`, async t => {
    const { backend, wire } = await openWired(t)
    wire.cutReplies('hmget', 2, how)
    await assert.rejects(backend.read('key', ['t']), unavailable)
    await backend.ping()
    assert.equal(await countOf('hmget'), 2)
  })

  test(`a write whose reply is lost (${how}) is sent once`, async t => {
    const { backend, wire } = await openWired(t)
    await backend.addMember('members', 'member', 60, 1)
    wire.cutReplies('zrem', 1, how)
    await assert.rejects(backend.removeMember('members', 'member'), unavailable)
    assert.equal(await backend.hasMember('members', 'member'), false)
    assert.equal(await countOf('zrem'), 1)
  })
}
