import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import type { RedisClient } from '../../lib/state/redis-client.js'
import { createConnection } from '../../lib/state/redis-connection.js'

/** A client that does what the test says. */
class StubClient extends EventEmitter {
  status: string
  connects = 0
  sent = 0
  answer: () => Promise<unknown> = async () => 'PONG'

  constructor(status: string) {
    super()
    this.status = status
  }

  async connect(): Promise<void> {
    this.connects += 1
    this.become('connecting')
  }

  become(status: string): void {
    this.status = status
    this.emit(status)
  }

  ping(): Promise<unknown> {
    this.sent += 1
    return this.answer()
  }

  get client(): RedisClient {
    return this as unknown as RedisClient
  }
}

const timeout = 20
const code = 'ERR_OIDC_STORE_UNAVAILABLE'

function open(status: string, maxPending?: number) {
  const stub = new StubClient(status)
  const connection = createConnection(stub.client, { timeout, ...(maxPending !== undefined && { maxPending }) })
  return { stub, connection, ping: () => connection.run('ping', client => client.ping()) }
}

function reasonOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'no error',
    error => {
      assert.equal(error.code, code)
      return error.cause
    },
  )
}

test('a command goes to a ready client at once', async () => {
  const { ping } = open('ready')
  assert.equal(await ping(), 'PONG')
})

test('a command for a client that is not ready waits here, and goes when the client is', async () => {
  const { stub, ping } = open('connecting')
  const pings = [ping(), ping()]
  assert.equal(stub.sent, 0)
  stub.become('ready')
  assert.deepEqual(await Promise.all(pings), ['PONG', 'PONG'])
})

test('a command that waited too long is not sent any more', async () => {
  const { stub, ping } = open('reconnecting')
  assert.deepEqual(await reasonOf(ping()), { command: 'ping', reason: 'client is reconnecting' })
  stub.become('ready')
  assert.equal(stub.sent, 0)
})

test('a client that was ready for a moment only keeps the command waiting', async () => {
  const { stub, ping } = open('connecting')
  const waiting = ping()
  stub.emit('ready')
  assert.equal(stub.sent, 0)
  stub.become('ready')
  assert.equal(await waiting, 'PONG')
})

test('a client that has not been connected is', async () => {
  const { stub, ping } = open('wait')
  const pings = [ping(), ping()]
  assert.equal(stub.connects, 1)
  stub.become('ready')
  assert.deepEqual(await Promise.all(pings), ['PONG', 'PONG'])
})

test('a client that was closed is not waited for', async () => {
  const { stub, ping } = open('end')
  assert.deepEqual(await reasonOf(ping()), { command: 'ping', reason: 'client is closed' })
  stub.status = 'connecting'
  const waiting = reasonOf(ping())
  stub.become('end')
  assert.deepEqual(await waiting, { command: 'ping', reason: 'client is closed' })
})

test('a command without an answer has a deadline, and goes on counting until the client lets go of it', async () => {
  const { stub, ping } = open('ready', 2)
  const finish: ((value: unknown) => void)[] = []
  stub.answer = () => new Promise(resolve => finish.push(resolve))
  const timedOut = { command: 'ping', reason: 'timeout' }
  assert.deepEqual(await Promise.all([reasonOf(ping()), reasonOf(ping())]), [timedOut, timedOut])
  assert.deepEqual(await reasonOf(ping()), { command: 'ping', reason: 'too many commands under way' })
  assert.equal(stub.sent, 2)
  finish[0]?.('late')
  await new Promise(setImmediate)
  stub.answer = async () => 'PONG'
  assert.equal(await ping(), 'PONG')
})

test('commands that wait for the client are bounded, too, and count no longer when they gave up', async () => {
  const { stub, ping } = open('connecting', 2)
  const first = [reasonOf(ping()), reasonOf(ping())]
  assert.deepEqual(await reasonOf(ping()), { command: 'ping', reason: 'too many commands under way' })
  await Promise.all(first)
  const second = [ping(), ping()]
  stub.become('ready')
  assert.deepEqual(await Promise.all(second), ['PONG', 'PONG'])
  assert.deepEqual(await Promise.all([ping(), ping()]), ['PONG', 'PONG'])
})

test('an error of the client becomes ours, with a word of it and nothing else', async () => {
  const { stub, ping } = open('ready')
  const password = 'correct horse battery staple'
  const errors: readonly (readonly [Error, string])[] = [
    [Object.assign(new Error('READONLY You cannot write'), { command: { args: [password] } }), 'READONLY'],
    [new Error('OOM command not allowed'), 'OOM'],
    [new Error('NOAUTH Authentication required.'), 'NOAUTH'],
    [new Error(`WRONGPASS ${password}`), 'WRONGPASS'],
    [Object.assign(new Error(`connect ${password}`), { code: 'ECONNREFUSED' }), 'ECONNREFUSED'],
    [Object.assign(new Error(password), { code: password, name: password }), 'unknown'],
    [new TypeError(password), 'TypeError'],
  ]
  for (const [error, reason] of errors) {
    stub.answer = () => Promise.reject(error)
    assert.deepEqual(await reasonOf(ping()), { command: 'ping', reason })
  }
  stub.answer = () => Promise.reject(password)
  assert.deepEqual(await reasonOf(ping()), { command: 'ping', reason: 'unknown' })
  stub.answer = () => {
    throw new TypeError(password)
  }
  for (let count = 0; count < 3000; count += 1) {
    assert.deepEqual(await reasonOf(ping()), { command: 'ping', reason: 'TypeError' })
  }
})

test('a closed connection does not listen to the client any more', () => {
  const { stub, connection } = open('ready')
  assert.equal(stub.listenerCount('ready'), 1)
  connection.close()
  assert.equal(stub.listenerCount('ready') + stub.listenerCount('end'), 0)
})
