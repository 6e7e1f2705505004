import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { after, before, describe, type TestContext, test } from 'node:test'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { createConnection } from '../../lib/store/backend/redis-connection.js'
import { type RedisServer, startRedis, until } from '../support/redis.js'

/** What becomes of a Sentinel client that hears of a fail-over while it asks a sentinel for the address. */

let old: RedisServer
let next: RedisServer
before(async () => {
  old = await startRedis()
  next = await startRedis()
})
after(() => Promise.all([old.stop(), next.stop()]))

/** A sentinel that answers when the test says so. */
interface Sentinel {
  readonly port: number
  master: number
  /** Whether the question for the address is answered. */
  isSilent: boolean
  /** Questions for the address that are not answered. */
  readonly open: (() => void)[]
  listeners(): number
  /** Tells all who listen that there is a new primary. */
  announce(): void
  answer(): void
  stop(): void
}

const array = (...values: (string | number)[]) =>
  `*${values.length}\r\n${values.map(value => `$${String(value).length}\r\n${value}\r\n`).join('')}`

async function startSentinel(t: TestContext): Promise<Sentinel> {
  const listeners = new Set<Socket>()
  const sockets = new Set<Socket>()
  const server: Server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => listeners.delete(socket))
    socket.on('data', data => {
      for (const command of String(data)
        .toLowerCase()
        .split(/(?=\*\d+\r\n)/)) {
        const response = () => void socket.write(array('127.0.0.1', sentinel.master))
        if (command.includes('subscribe')) {
          listeners.add(socket)
          socket.write('*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n')
        } else if (command.includes('get-master-addr')) {
          if (sentinel.isSilent) sentinel.open.push(response)
          else response()
        } else if (command.includes('sentinels')) socket.write('*0\r\n')
        else if (command.includes('hello')) socket.write('-ERR unknown command HELLO\r\n')
        else socket.write('+OK\r\n')
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => sentinel.stop())
  const sentinel: Sentinel = {
    port: (server.address() as AddressInfo).port,
    master: old.port,
    isSilent: false,
    open: [],
    listeners: () => listeners.size,
    announce() {
      for (const socket of listeners) socket.write(array('message', '+switch-master', 'main'))
    },
    stop() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
    answer() {
      sentinel.isSilent = false
      for (const response of sentinel.open.splice(0)) response()
    },
  }
  return sentinel
}

const options = { failoverDetector: true, maxRetriesPerRequest: 0, autoResendUnfulfilledCommands: false }

for (const [kind, Client] of [
  ['ioredis 6', Redis],
  ['ioredis 5', Redis5 as unknown as typeof Redis],
] as const) {
  describe(`a fail-over that is announced while a client of ${kind} connects`, () => {
    async function open(t: TestContext, more: Record<string, unknown> = {}) {
      const sentinel = await startSentinel(t)
      const redis = new Client({
        sentinels: [{ host: '127.0.0.1', port: sentinel.port }],
        name: 'main',
        ...options,
        ...more,
      })
      redis.on('error', () => {})
      t.after(() => redis.disconnect())
      const connection = createConnection(redis, { timeout: 20_000 })
      t.after(() => connection.close())
      const ended: string[] = []
      redis.on('end', () => ended.push(redis.status))
      await once(redis, 'ready')
      await until('the client listens to the sentinel', () => sentinel.listeners() === 1)
      return { sentinel, redis, connection, ended }
    }

    /** The connection breaks, and the news comes while the client waits for the address of the primary. */
    async function announceWhileConnecting({ sentinel, redis, ended }: Awaited<ReturnType<typeof open>>) {
      sentinel.isSilent = true
      redis.stream.destroy()
      await until('the client asks for the address', () => sentinel.open.length > 0)
      sentinel.master = next.port
      sentinel.announce()
      // The detector has heard of it once it has left the sentinel.
      await until('the client has heard of it', () => sentinel.listeners() === 0)
      sentinel.answer()
      await until('ioredis has ended the client', () => ended.length > 0)
    }

    test('does not end it for ever: the command that waits is sent to the new primary', async t => {
      const fixture = await open(t)
      const connecting = once(fixture.redis, 'reconnecting')
      const announced = announceWhileConnecting(fixture)
      await connecting
      const command = fixture.connection.run('ping', client => client.ping())
      await announced
      assert.equal(await command, 'PONG')
      assert.equal((fixture.redis.stream as Socket).remotePort, next.port)
    })

    test('a client that the site ends meanwhile stays ended', async t => {
      const fixture = await open(t)
      await announceWhileConnecting(fixture)
      fixture.redis.disconnect()
      await assert.rejects(
        fixture.connection.run('ping', client => client.ping()),
        {
          cause: { command: 'ping', reason: 'client is closed' },
        },
      )
      assert.equal(fixture.redis.status, 'end')
    })

    test('a client that is not to ask the sentinels again stays ended', async t => {
      const fixture = await open(t, { sentinelRetryStrategy: null })
      fixture.sentinel.stop()
      fixture.redis.stream.destroy()
      await until('ioredis has ended the client', () => fixture.ended.length > 0)
      await assert.rejects(
        fixture.connection.run('ping', client => client.ping()),
        {
          cause: { command: 'ping', reason: 'client is closed' },
        },
      )
    })
  })
}
