import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { afterEach, describe, test } from 'node:test'
import { inspect, promisify } from 'node:util'
import type { RecordStore } from '../../lib/store/store.js'
import { type RedisServer, startRedis, until } from '../support/redis.js'
import { checkNoSecrets, secret } from '../support/secrets.js'
import {
  clientKinds,
  dataOf,
  issuer,
  replaceTokens,
  StoreFixture,
  save,
  savedSession,
  signIn,
  ticket,
  tokens,
  visit,
} from './fixtures.js'

const fixture = new StoreFixture()
afterEach(() => fixture.close())

const unavailable = { code: 'ERR_OIDC_STORE_UNAVAILABLE', status: 503 }
/** Milliseconds: long enough for a busy machine to do what it can, short enough to wait for what it cannot. */
const shortly = 500

async function started(args: readonly string[] = []): Promise<RedisServer> {
  const server = await startRedis({ args })
  fixture.onClose(() => server.stop())
  return server
}

/** Every operation there is, for a session that exists. */
function operations(
  store: RecordStore,
  id: string,
): readonly (readonly [string, () => Promise<unknown>, 'read' | 'write'])[] {
  return [
    ['load', () => store.load(id, { extend: false }), 'read'],
    ['readTokens', () => store.readTokens(id), 'read'],
    ['list', () => store.list({ issuer, subject: 'alice' }), 'read'],
    ['sessions.get', () => store.sessions.get(id), 'read'],
    ['sessions.length', () => store.sessions.length(), 'read'],
    ['signIn', () => store.signIn({ ticket: ticket(), tokens: tokens(), previous: [id], keep: ['cart'] }), 'write'],
    ['end', () => store.end(id), 'write'],
    ['endAll', () => store.endAll({ issuer, subject: 'alice' }), 'write'],
    ['once', () => store.consume('state', secret('state'), 60), 'write'],
    ['sessions.destroy', () => store.sessions.destroy(id), 'write'],
    ['sessions.clear', () => store.sessions.clear(), 'write'],
    ['a new session', () => savedSession(store, { a: 1 }), 'write'],
  ]
}

async function checkUnavailable(store: RecordStore, id: string, which: 'write' | 'all' = 'all'): Promise<void> {
  const attempts = operations(store, id).map(async ([name, operation, kind]) => {
    if (which === 'write' && kind === 'read') return
    const outcome = operation().catch((error: unknown) => {
      checkNoSecrets(inspect(error, { depth: 20, showHidden: true }), name)
      throw error
    })
    await assert.rejects(outcome, unavailable, name)
  })
  await Promise.all(attempts)
}

async function recovers(store: RecordStore): Promise<void> {
  await until('the store answers again', () =>
    store.ping().then(
      () => true,
      () => false,
    ),
  )
}

for (const kind of [...clientKinds, 'URL'] as const) {
  describe(`Redis in trouble, seen through ${kind}`, () => {
    test('down at the start: the state is made, every operation says unavailable, and it recovers', async () => {
      const server = await started()
      await server.kill()
      const store = fixture.stateOf(kind, server, { timeout: shortly })
      await checkUnavailable(store, secret('session id'))
      await server.restart()
      await recovers(store)
      assert.notEqual((await store.load(await signIn(store)))?.ticket(), undefined)
    })

    test('gone and back: unavailable meanwhile, and fine afterwards', async () => {
      const server = await started()
      const store = fixture.stateOf(kind, server, { timeout: shortly })
      const id = await signIn(store)
      await server.kill()
      await checkUnavailable(store, id)
      await server.restart()
      await recovers(store)
      assert.equal(await store.load(id), undefined)
      assert.notEqual((await store.load(await signIn(store)))?.ticket(), undefined)
    })

    test('hung: unavailable meanwhile, and the same session is there afterwards', async () => {
      const server = await started()
      const store = fixture.stateOf(kind, server, { timeout: shortly })
      const id = await signIn(store)
      const req = await visit(store, id)
      dataOf(req).cart = 1
      server.pause()
      await assert.rejects(store.load(id), unavailable)
      await assert.rejects(store.readTokens(id), unavailable)
      await assert.rejects(store.consume('state', secret('state'), 60), unavailable)
      await assert.rejects(save(req), unavailable)
      await assert.rejects(store.ping(), unavailable)
      server.resume()
      await recovers(store)
      assert.notEqual((await store.load(id))?.ticket(), undefined)
      await save(req)
      assert.equal(dataOf(await visit(store, id)).cart, 1)
    })

    test('read-only: pages can be read, nothing can be written, no sign-in is half done', async () => {
      const server = await started()
      const store = fixture.stateOf(kind, server, { timeout: shortly })
      const id = await signIn(store)
      await server.command('REPLICAOF', '127.0.0.1', 1)
      await checkUnavailable(store, id, 'write')
      await until('reads work', () =>
        store.load(id).then(
          record => record?.ticket() !== undefined,
          () => false,
        ),
      )
      await server.command('REPLICAOF', 'NO', 'ONE')
      await until('writes work', () =>
        store.consume('x', 'y', 60).then(
          () => true,
          () => false,
        ),
      )
      assert.notEqual((await store.load(id))?.ticket(), undefined)
      assert.equal((await store.list({ issuer, subject: 'alice' })).length, 1)
    })

    test('full: nothing new can be written, what is there can be read and ended', async () => {
      const server = await started()
      const store = fixture.stateOf(kind, server)
      const [id, other] = [await signIn(store), await signIn(store)]
      const req = await visit(store, id)
      dataOf(req).cart = 1
      await server.config('maxmemory', 1)
      await assert.rejects(store.signIn({ ticket: ticket(), tokens: tokens(), previous: [id], keep: [] }), unavailable)
      await assert.rejects(replaceTokens(store, id, { tokens: tokens() }), unavailable)
      await assert.rejects(save(req), unavailable)
      await assert.rejects(store.consume('state', secret('state'), 60), unavailable)
      assert.notEqual((await store.load(id))?.ticket(), undefined)
      assert.notEqual(await store.end(other), undefined)
      await server.config('maxmemory', 0)
      await save(req)
      assert.equal(dataOf(await visit(store, id)).cart, 1)
      assert.notEqual(await store.readTokens(id), undefined)
    })

    test('a password that was set meanwhile: unavailable, and fine when it is gone', async () => {
      const server = await started()
      const store = fixture.stateOf(kind, server, { timeout: shortly })
      const id = await signIn(store)
      await server.config('requirepass', secret('redis password'))
      await server.command('CLIENT', 'KILL', 'TYPE', 'normal')
      await checkUnavailable(store, id)
      await server.config('requirepass', '')
      await recovers(store)
      // What was under way when the connection broke is sent again by a client of the site, late; so this is about another session.
      assert.notEqual((await store.load(await signIn(store)))?.ticket(), undefined)
    })

    test('a Redis that lost everything, scripts included, is used on', async () => {
      const server = await started()
      const store = fixture.stateOf(kind, server)
      const id = await signIn(store)
      await server.command('SCRIPT', 'FLUSH')
      await server.command('FLUSHALL')
      assert.equal(await store.load(id), undefined)
      assert.notEqual((await store.load(await signIn(store)))?.ticket(), undefined)
    })
  })
}

for (const kind of ['ioredis 6', 'ioredis 5'] as const) {
  describe(`a bounded memory of what ${kind} has to send`, () => {
    test('while it is away nothing piles up in the client', async () => {
      const server = await started()
      const client = kind === 'ioredis 5' ? fixture.client5(server) : fixture.client(server)
      const store = fixture.state({ redis: client, timeout: shortly })
      await store.ping()
      await server.kill()
      await until('the client has noticed', () => client.status !== 'ready')
      const attempts = Array.from({ length: 3000 }, () => store.load('an unknown id'))
      const { offlineQueue } = client as unknown as { readonly offlineQueue: { readonly length: number } }
      assert.equal(offlineQueue.length, 0)
      for (const { status } of await Promise.allSettled(attempts)) assert.equal(status, 'rejected')
      assert.equal(offlineQueue.length, 0)
      assert.equal(client.listenerCount('ready') < 5, true)
      await server.restart()
      await recovers(store)
    })

    test('while it hangs no more than a bounded number of commands wait for it', async () => {
      const server = await started()
      const client = kind === 'ioredis 5' ? fixture.client5(server) : fixture.client(server)
      const store = fixture.state({ redis: client, timeout: shortly })
      await store.ping()
      server.pause()
      const { commandQueue } = client as unknown as { readonly commandQueue: { readonly length: number } }
      for (let wave = 0; wave < 3; wave += 1) {
        const attempts = Array.from({ length: 1500 }, () => store.load('an unknown id'))
        for (const { status } of await Promise.allSettled(attempts)) assert.equal(status, 'rejected')
      }
      assert.ok(commandQueue.length <= 2001, `${commandQueue.length} commands`)
      server.resume()
      await recovers(store)
      assert.equal(await store.load(secret('session id')), undefined)
    })
  })
}

describe('a client made from a URL', () => {
  test('says in the log what is wrong, once per reason, and when it is over', async () => {
    const server = await started()
    fixture.logged.length = 0
    const store = fixture.stateOf('URL', server, { timeout: shortly })
    await store.ping()
    await server.kill()
    await until('it was logged', () => fixture.logged.length > 0)
    for (let attempt = 0; attempt < 10; attempt += 1) await assert.rejects(store.ping(), unavailable)
    await server.restart()
    await recovers(store)
    const [first, ...rest] = fixture.logged
    assert.match(String(first), /ECONNREFUSED|ECONNRESET/)
    assert.equal(rest.length <= 2, true)
    assert.match(String(rest.at(-1)), /available again/)
    const soFar = fixture.logged.length
    await server.kill()
    await until('the same trouble is logged anew', () => fixture.logged.length > soFar)
  })

  test('with a wrong password says so, shows it nowhere, and recovers when the password fits', async () => {
    const server = await started()
    const password = secret('redis password')
    await server.config('requirepass', secret('other redis password'))
    fixture.logged.length = 0
    const store = fixture.state({ redis: server.url.replace('//', `//:${password}@`), timeout: shortly })
    const error = await store.ping().catch((reason: unknown) => reason)
    assert.equal((error as { code?: string }).code, unavailable.code)
    await until('it was logged', () => fixture.logged.length > 0)
    checkNoSecrets(inspect([error, fixture.logged], { depth: 20, showHidden: true }), 'error and log')
    assert.match(fixture.logged.join(), /WRONGPASS/)
    await server.config('requirepass', password)
    await recovers(store)
  })

  test('prints nothing and leaves nothing unhandled, whatever happens, and lets the process end', async () => {
    const server = await started(['--requirepass', secret('redis password')])
    const url = server.url.replace('//', `//:${secret('wrong redis password')}@`)
    const script = `
      import { createRecordStore } from ${JSON.stringify(new URL('../../lib/store/store.ts', import.meta.url).pathname)}
      const log = line => console.log('LOG ' + line)
      const settings = { secrets: ['x'.repeat(32)], idle: 60, absolute: 60, timeout: 100, now: () => new Date(), log }
      for (const redis of [${JSON.stringify(url)}, 'redis://127.0.0.1:1']) {
        const state = createRecordStore({ ...settings, redis })
        await state.load('x').catch(error => console.log(error.code))
        await state.close()
      }`
    const args = ['--import', 'tsx', '--input-type=module', '--eval', script]
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args)
    checkNoSecrets(stdout + stderr, 'the output')
    const lines = stdout.trim().split('\n')
    assert.deepEqual(
      lines.filter(line => !line.startsWith('LOG ')),
      [unavailable.code, unavailable.code],
    )
    assert.equal(stderr, '')
  })

  test('finds the new primary when the address leads to another Redis', async () => {
    const server = await started()
    const store = fixture.stateOf('URL', server, { timeout: shortly })
    await store.ping()
    await server.command('REPLICAOF', '127.0.0.1', 1)
    const connections = async () =>
      Number(/total_connections_received:(\d+)/.exec(String(await server.command('INFO', 'stats')))?.[1])
    const before = await connections()
    await assert.rejects(store.consume('state', secret('state'), 60), unavailable)
    await until('it has connected anew', async () => (await connections()) > before)
  })
})

test('a sign-in that fails on the way leaves the earlier session alone', async () => {
  const server = await started()
  const store = fixture.stateOf('ioredis 6', server)
  const earlier = await signIn(store)
  await server.command('ACL', 'SETUSER', 'default', '-zscore')
  await assert.rejects(store.signIn({ ticket: ticket(), tokens: tokens(), previous: [earlier], keep: [] }), unavailable)
  await until('the new one is gone', async () => (await store.list({ issuer, subject: 'alice' })).length === 1)
  assert.notEqual((await store.load(earlier))?.ticket(), undefined)
  assert.equal(await store.sessions.length(), 1)
})

test('an index that cannot be cleaned does not keep a session from ending', async () => {
  const server = await started()
  const store = fixture.stateOf('ioredis 6', server)
  const id = await signIn(store)
  await server.command('ACL', 'SETUSER', 'default', '-zrem')
  assert.notEqual(await store.end(id), undefined)
  assert.equal(await store.load(id), undefined)
})

test('saves that queue behind each other fail together when Redis hangs, and not one after the other', async () => {
  const server = await started()
  const store = fixture.stateOf('ioredis 6', server, { timeout: shortly })
  const id = await savedSession(store, { a: 0 })
  const requests = await Promise.all(Array.from({ length: 50 }, () => visit(store, id)))
  for (const [at, req] of requests.entries()) dataOf(req)[`key ${at}`] = at
  server.pause()
  let first: NodeJS.Timeout | undefined
  const late = new Promise<string>(resolve => {
    first = setTimeout(resolve, 20 * shortly, 'late')
  })
  const all = Promise.allSettled(requests.map(save)).then(results => results.map(({ status }) => status))
  const outcome = await Promise.race([late, all])
  clearTimeout(first)
  server.resume()
  assert.deepEqual(
    outcome,
    requests.map(() => 'rejected'),
  )
  await recovers(store)
})

test('a save that was given up is not done later', async () => {
  const server = await started()
  const client = fixture.client(server)
  const store = fixture.state({ redis: client, timeout: shortly })
  await store.ping()
  await server.kill()
  await until('the client has noticed', () => client.status !== 'ready')
  const req = await visit(store)
  dataOf(req).a = 1
  const outcomes = await Promise.allSettled([save(req), save(req), save(req)])
  await server.restart()
  assert.deepEqual(new Set(outcomes.map(({ status }) => status)), new Set(['rejected']))
  await recovers(store)
  // A save that began late would have waited for the client as well, and would have been sent before this.
  await store.ping()
  assert.equal(await store.sessions.length(), 0)
  await save(req)
  assert.equal(await store.sessions.length(), 1)
})
