import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import type { RedisClient } from '../../lib/store/backend/redis-client.js'
import { createConnection } from '../../lib/store/backend/redis-connection.js'
import { withDeadline } from '../../lib/store/backend/unavailable.js'

/** A client that does what the test says. */
class StubClient extends EventEmitter {
  status: string
  connects = 0
  sent = 0
  stream?: { writable: boolean }
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

function open(status: string, maxPending?: number, options: Readonly<Record<string, unknown>> = {}) {
  const stub = Object.assign(new StubClient(status), { options })
  const connection = createConnection(stub.client, { timeout, ...(maxPending !== undefined && { maxPending }) })
  return {
    stub,
    connection,
    ping: () => connection.run('ping', client => client.ping()),
    read: () => connection.read('ping', client => client.ping()),
  }
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

test('a command without a reply has a deadline, and counts until the client drops it', async () => {
  const { stub, ping } = open('ready', 2)
  const finish: ((value: unknown) => void)[] = []
  stub.answer = () => new Promise(resolve => finish.push(resolve))
  const timedOut = { command: 'ping', reason: 'timeout' }
  assert.deepEqual(await Promise.all([reasonOf(ping()), reasonOf(ping())]), [timedOut, timedOut])
  assert.deepEqual(await reasonOf(ping()), { command: 'ping', reason: 'too many commands in progress' })
  assert.equal(stub.sent, 2)
  finish[0]?.('late')
  await new Promise(setImmediate)
  stub.answer = async () => 'PONG'
  assert.equal(await ping(), 'PONG')
})

test('a command that a client forgets with its connection counts until the next connection, and not for ever', async () => {
  for (const isLateFirst of [true, false]) {
    const { stub, ping } = open('ready', 2, { autoResendUnfulfilledCommands: false })
    stub.answer = () => new Promise(() => {})
    const forgotten = [reasonOf(ping()), reasonOf(ping())]
    if (isLateFirst) await Promise.all(forgotten)
    assert.deepEqual(await reasonOf(ping()), { command: 'ping', reason: 'too many commands in progress' })
    stub.become('reconnecting')
    stub.become('ready')
    stub.answer = async () => 'PONG'
    await Promise.all(forgotten)
    assert.deepEqual(await Promise.all([ping(), ping()]), ['PONG', 'PONG'])
    assert.equal(stub.sent, 4)
  }
})

test('a command that a client sends again over the next connection still counts, and a late reply counts once', async () => {
  const { stub, ping } = open('ready', 2, { autoResendUnfulfilledCommands: true })
  const finish: ((value: unknown) => void)[] = []
  stub.answer = () => new Promise(resolve => finish.push(resolve))
  await Promise.all([reasonOf(ping()), reasonOf(ping())])
  stub.become('reconnecting')
  stub.become('ready')
  assert.deepEqual(await reasonOf(ping()), { command: 'ping', reason: 'too many commands in progress' })
  finish[0]?.('late')
  await new Promise(setImmediate)
  const one = reasonOf(ping())
  assert.deepEqual(await reasonOf(ping()), { command: 'ping', reason: 'too many commands in progress' })
  await one
  assert.equal(stub.sent, 3)
})

test('commands that wait for the client are bounded, too, and count no longer when they gave up', async () => {
  const { stub, ping } = open('connecting', 2)
  const first = [reasonOf(ping()), reasonOf(ping())]
  assert.deepEqual(await reasonOf(ping()), { command: 'ping', reason: 'too many commands in progress' })
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
    [new Error("ERR Error running script (call to f_1): @user_script:2: -READONLY You can't write"), 'READONLY'],
    [new Error('ERR Error running script (call to f_1): @user_script:2: -NOREPLICAS Not enough'), 'NOREPLICAS'],
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

/** As ioredis says that a connection broke. */
const cuts: readonly Error[] = [
  Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }),
  Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }),
  Object.assign(new Error('Command aborted due to connection close'), { name: 'AbortError' }),
  Object.assign(new Error('Reached the max retries per request limit'), { name: 'MaxRetriesPerRequestError' }),
  new Error('Connection is closed.'),
]

test('a read that was cut is sent again when the client is ready, and a command that may write is not', async () => {
  for (const cut of cuts) {
    const { stub, ping, read } = open('ready')
    stub.answer = async () => {
      stub.status = 'reconnecting'
      throw cut
    }
    const reading = read()
    await new Promise(setImmediate)
    assert.equal(stub.sent, 1)
    stub.answer = async () => 'PONG'
    stub.become('ready')
    assert.equal(await reading, 'PONG', cut.message)
    assert.equal(stub.sent, 2)
    stub.answer = () => Promise.reject(cut)
    await assert.rejects(ping(), { code })
    assert.equal(stub.sent, 3)
  }
})

test('a write that the client could not send is sent when the client is ready', async () => {
  const { stub, ping } = open('ready')
  stub.answer = async () => {
    stub.status = 'reconnecting'
    throw new Error("Stream isn't writeable and enableOfflineQueue options is false")
  }
  const waiting = ping()
  await new Promise(setImmediate)
  stub.answer = async () => 'PONG'
  stub.become('ready')
  assert.equal(await waiting, 'PONG')
  assert.equal(stub.sent, 2)
})

test('a client that looks ready and sends nothing is asked a few times, and the deadline ends it', async () => {
  const { stub, ping } = open('ready')
  stub.answer = async () => {
    // Without pauses no timer would run: the test ends it.
    throw new Error(stub.sent < 1000 ? "Stream isn't writeable and enableOfflineQueue options is false" : 'too many')
  }
  assert.deepEqual(await reasonOf(ping()), { command: 'ping', reason: 'client is ready' })
  assert.ok(stub.sent < 10, `sent ${stub.sent} times`)
})

test('a read that Redis has refused is not sent again', async () => {
  const { stub, read } = open('ready')
  const replies = [
    'WRONGTYPE Operation against a key',
    'LOADING Redis is loading',
    'NOAUTH Authentication required.',
    'ERR x',
  ]
  for (const [index, reply] of replies.entries()) {
    stub.answer = () => Promise.reject(Object.assign(new Error(reply), { name: 'ReplyError' }))
    await assert.rejects(read(), { code })
    assert.equal(stub.sent, index + 1)
  }
  stub.answer = () => Promise.reject(new Error('Command timed out'))
  await assert.rejects(read(), { code })
  assert.equal(stub.sent, replies.length + 1)
})

test('a read that was cut waits for the client within its own deadline, and counts no longer after it', async () => {
  const { stub, read } = open('ready', 1)
  stub.answer = async () => {
    stub.status = 'reconnecting'
    throw cuts[0]
  }
  assert.deepEqual(await reasonOf(read()), { command: 'ping', reason: 'client is reconnecting' })
  stub.answer = async () => 'PONG'
  stub.become('ready')
  assert.equal(stub.sent, 1)
  assert.equal(await read(), 'PONG')
})

test('a read that is cut after its deadline is not sent again', async () => {
  const { stub, read } = open('ready', 1)
  let cut: (error: unknown) => void = () => {}
  stub.answer = () =>
    new Promise((_, reject) => {
      cut = reject
    })
  assert.deepEqual(await reasonOf(read()), { command: 'ping', reason: 'timeout' })
  cut(cuts[0])
  await new Promise(setImmediate)
  assert.equal(stub.sent, 1)
  stub.answer = async () => 'PONG'
  assert.equal(await read(), 'PONG')
})

test('a read of a client that is closed meanwhile is not sent again', async () => {
  const { stub, read } = open('ready')
  stub.answer = async () => {
    stub.status = 'end'
    throw cuts[4]
  }
  assert.deepEqual(await reasonOf(read()), { command: 'ping', reason: 'client is closed' })
  assert.equal(stub.sent, 1)
})

test('a command is not sent over a connection that the other side has ended', async () => {
  const { stub, ping } = open('ready')
  stub.stream = { writable: false }
  const waiting = ping()
  assert.equal(stub.sent, 0)
  stub.stream = { writable: true }
  stub.become('ready')
  assert.equal(await waiting, 'PONG')
})

test('a closed connection does not listen to the client any more', () => {
  const { stub, connection } = open('ready')
  assert.equal(stub.listenerCount('ready'), 1)
  connection.close()
  assert.equal(stub.listenerCount('ready') + stub.listenerCount('end'), 0)
})

test('what a client throws at once is a rejection, and a deadline that has passed is told to the work', async () => {
  const thrown = new Error('no such command')
  const rejection = withDeadline('quit', 1_000, () => {
    throw thrown
  })
  await assert.rejects(rejection, thrown)
  let isLate = () => false
  const late = withDeadline('save', 5, given => {
    isLate = given
    return new Promise(() => {})
  })
  assert.equal(isLate(), false)
  await assert.rejects(late, { code: 'ERR_OIDC_STORE_UNAVAILABLE' })
  assert.equal(isLate(), true)
})
