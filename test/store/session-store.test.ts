import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, afterEach, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { RedisStore } from 'connect-redis'
import session, { type SessionData } from 'express-session'
import type { RecordStore } from '../../lib/store/store.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { keepSecret, secret } from '../support/secrets.js'
import {
  dataOf,
  replaceTokens,
  StoreFixture,
  save,
  savedSession,
  signIn,
  storedData,
  storeKinds,
  ticket,
  tokens,
  visit,
} from './fixtures.js'

let server: RedisServer
before(async () => {
  server = await startRedis()
})
after(() => server.stop())

const fixture = new StoreFixture()
afterEach(async () => {
  await fixture.close()
  await server.command('FLUSHALL')
})

function call(run: (callback: (error?: unknown) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => run(error => (error ? reject(error) : resolve())))
}

for (const kind of storeKinds) {
  describe(`req.session over ${kind}`, () => {
    test('what was set is there for the next with real sessions and cookies of express-session', async () => {
      const store = fixture.stateOf(kind, server, {
        cookie: { path: '/', secure: true, sameSite: 'lax', maxAge: 60_000 },
      })
      assert.equal(store.sessions instanceof RedisStore, true)
      assert.equal(store.sessions instanceof session.Store, true)
      const req = await visit(store)
      assert.equal(req.session instanceof session.Session, true)
      assert.equal(req.session.cookie instanceof session.Cookie, true)
      Object.assign(req.session, { cart: [1], name: 'ü' })
      await save(req)
      const next = await visit(store, req.sessionID)
      assert.equal(next.session instanceof session.Session, true)
      assert.equal(next.session.id, req.sessionID)
      assert.equal(next.sessionID, req.sessionID)
      assert.equal(next.sessionStore, store.sessions)
      assert.deepEqual(dataOf(next).cart, [1])
      assert.equal(dataOf(next).name, 'ü')
      const { cookie } = next.session
      assert.deepEqual([cookie.path, cookie.secure, cookie.sameSite, cookie.originalMaxAge], ['/', true, 'lax', 60_000])
      assert.equal(cookie.expires instanceof Date, true)
    })

    test('get brings what set wrote, by callback and by promise', async () => {
      const store = fixture.stateOf(kind, server)
      const id = await savedSession(store, { cart: 1 })
      const got = (await store.sessions.get(id)) as Record<string, unknown>
      assert.equal(got.cart, 1)
      const byCallback = await new Promise(resolve => store.sessions.get(id, (_error, data) => resolve(data)))
      assert.deepEqual(byCallback, got)
      assert.equal(await store.sessions.get(secret('session id')), null)
    })

    test('a new session is nowhere until it is saved', async () => {
      const store = fixture.stateOf(kind, server)
      const req = await visit(store)
      assert.equal(store.sessions.isNew(req), true)
      assert.equal(store.sessions.isChanged(req), false)
      assert.equal(store.sessions.isSaved(req), false)
      assert.equal(await store.sessions.length(), 0)
      dataOf(req).cart = 1
      assert.equal(store.sessions.isChanged(req), true)
      await save(req)
      assert.equal(store.sessions.isChanged(req), false)
      assert.equal(store.sessions.isNew(req), true)
      assert.equal(store.sessions.isSaved(req), true)
      const next = await visit(store, req.sessionID)
      assert.equal(store.sessions.isNew(next), false)
      assert.equal(store.sessions.isSaved(next), true)
      assert.equal(store.sessions.isChanged(next), false)
    })

    test('two requests that change different keys both keep their change, in each order and mixed', async () => {
      const store = fixture.stateOf(kind, server)
      const id = await savedSession(store, { a: 0, b: 0, c: 0, d: 0 })
      const one = await visit(store, id)
      const two = await visit(store, id)
      Object.assign(one.session, { a: 1, x: 1 })
      delete dataOf(one).c
      Object.assign(two.session, { b: 2, y: 2 })
      delete dataOf(two).d
      await save(two)
      await save(one)
      assert.deepEqual(await storedData(store, id), { a: 1, b: 2, x: 1, y: 2 })
    })

    test('the last one to change the same key wins, and a later save sends only what is newer', async () => {
      const store = fixture.stateOf(kind, server)
      const id = await savedSession(store, { a: 0, b: 0 })
      const one = await visit(store, id)
      const two = await visit(store, id)
      dataOf(one).a = 1
      await save(one)
      dataOf(two).a = 2
      await save(two)
      dataOf(one).b = 1
      await save(one)
      assert.deepEqual(await storedData(store, id), { a: 2, b: 1 })
    })

    test('a session that was ended is not brought back by a save, and the save does not fail', async () => {
      const store = fixture.stateOf(kind, server)
      const id = await signIn(store)
      const slow = await visit(store, id)
      dataOf(slow).cart = 1
      await store.end(id)
      await save(slow)
      dataOf(slow).cart = 2
      await save(slow)
      assert.equal(await store.load(id), undefined)
      assert.equal(await store.sessions.length(), 0)
    })

    test('destroy ends the sign-in with the session, and a save afterwards does nothing', async () => {
      const store = fixture.stateOf(kind, server)
      const id = await signIn(store)
      const req = await visit(store, id)
      const { session: held } = req
      dataOf(req).cart = 1
      await call(callback => held.destroy(callback))
      assert.equal(req.session, undefined)
      await call(callback => held.save(callback))
      assert.equal(await store.load(id), undefined)
      assert.equal(await store.readTokens(id), undefined)
    })

    test('a new session that was destroyed before it was saved is not created by a save', async () => {
      const store = fixture.stateOf(kind, server)
      const req = await visit(store)
      const { session: held } = req
      dataOf(req).cart = 1
      await call(callback => held.destroy(callback))
      await call(callback => held.save(callback))
      assert.equal(await store.sessions.length(), 0)
    })

    test('regenerate ends the old session and begins an empty one under a new id', async () => {
      const store = fixture.stateOf(kind, server)
      const id = await savedSession(store, { cart: 1 })
      const req = await visit(store, id)
      const { session: old } = req
      await call(callback => req.session.regenerate(callback))
      assert.notEqual(req.sessionID, id)
      assert.equal(req.session.id, req.sessionID)
      assert.equal(dataOf(req).cart, undefined)
      assert.equal(store.sessions.isNew(req), true)
      await call(callback => old.save(callback))
      assert.equal(await store.load(id), undefined)
      dataOf(req).fresh = 1
      await save(req)
      assert.deepEqual(await storedData(store, req.sessionID), { fresh: 1 })
    })

    test('reload brings what others saved, and later saves send only what changed since', async () => {
      const store = fixture.stateOf(kind, server)
      const id = await savedSession(store, { a: 0, b: 0 })
      const one = await visit(store, id)
      const two = await visit(store, id)
      dataOf(two).a = 2
      await save(two)
      dataOf(one).b = 'lost by the reload'
      await call(callback => one.session.reload(callback))
      assert.equal(dataOf(one).a, 2)
      assert.equal(dataOf(one).b, 0)
      assert.equal(store.sessions.isChanged(one), false)
      dataOf(two).a = 3
      await save(two)
      dataOf(one).b = 1
      await save(one)
      assert.deepEqual(await storedData(store, id), { a: 3, b: 1 })
      await store.end(id)
      await assert.rejects(call(callback => one.session.reload(callback)))
    })

    test('the data of a sign-in without any is empty, can be written and reloaded, and leaves the ticket alone', async () => {
      const store = fixture.stateOf(kind, server)
      const id = await signIn(store)
      const req = await visit(store, id)
      assert.deepEqual(Object.keys(req.session), ['cookie'])
      await call(callback => req.session.reload(callback))
      dataOf(req).cart = 1
      await save(req)
      await replaceTokens(store, id, { tokens: tokens() })
      dataOf(req).cart = 2
      await save(req)
      assert.deepEqual(await storedData(store, id), { cart: 2 })
      assert.deepEqual((await store.load(id))?.ticket(), ticket())
    })

    test('ids are handles, length counts, clear ends everything, all says that it cannot', async () => {
      const store = fixture.stateOf(kind, server)
      const ids = [await signIn(store), await savedSession(store, { a: 1 }), await savedSession(store, { a: 2 })]
      await store.consume('state', secret('state'), 60)
      const handles = (await store.sessions.ids()) as string[]
      assert.equal(handles.length, 3)
      for (const handle of handles) assert.match(handle, /^#[\w-]{43}$/)
      for (const id of ids)
        assert.equal(
          handles.some(handle => handle.includes(id)),
          false,
        )
      assert.equal(await store.sessions.length(), 3)
      assert.equal(await store.sessions.get(String(handles[0])), null)
      await store.sessions.destroy(String(handles[0]))
      assert.equal(await store.sessions.length(), 2)
      await assert.rejects(store.sessions.all(), { code: 'ERR_OIDC_SESSIONS_SEALED' })
      await assert.rejects(
        call(callback => store.sessions.all(callback)),
        { code: 'ERR_OIDC_SESSIONS_SEALED' },
      )
      await call(callback => store.sessions.clear(callback))
      assert.equal(await store.sessions.length(), 0)
      for (const id of ids) assert.equal(await store.load(id), undefined)
    })

    test('touch does nothing and does not fail', async () => {
      const store = fixture.stateOf(kind, server)
      const req = await visit(store, await savedSession(store, { a: 1 }))
      const data = req.session as SessionData
      await call(callback => store.sessions.touch(req.sessionID, data, callback))
      await store.sessions.touch(req.sessionID, data)
      const gone = secret('session id')
      await store.sessions.touch(gone, data)
      assert.equal(await store.load(gone), undefined)
    })

    test('set without a load before it replaces an existing session and creates none', async () => {
      const store = fixture.stateOf(kind, server)
      const id = await savedSession(store, { a: 1, b: 1 })
      const { cookie } = (await visit(store, id)).session
      await store.sessions.set(id, { cookie, b: 2, c: 2 } as never)
      assert.deepEqual(await storedData(store, id), { b: 2, c: 2 })
      const unknown = secret('session id')
      await store.sessions.set(unknown, { cookie, b: 2 } as never)
      assert.equal(await store.load(unknown), undefined)
    })

    test('saves of one request that are not waited for end in the newest data', async () => {
      const store = fixture.stateOf(kind, server)
      const req = await visit(store)
      const saves: Promise<void>[] = []
      for (let value = 0; value < 10; value += 1) {
        dataOf(req).value = value
        saves.push(save(req))
      }
      await Promise.all(saves)
      assert.deepEqual(await storedData(store, req.sessionID), { value: 9 })
    })
  })
}

describe('what a save sends', () => {
  async function commandsDuring(store: RecordStore, work: () => Promise<unknown>): Promise<number> {
    const count = async () => {
      const stats = String(await server.command('INFO', 'commandstats'))
      const calls = [...stats.matchAll(/cmdstat_(?:hmget|evalsha|eval|set):calls=(\d+)/g)]
      return calls.reduce((sum, [, number]) => sum + Number(number), 0)
    }
    await store.ping()
    const before = await count()
    await work()
    return (await count()) - before
  }

  test('a load is one command, a save one more, and an unchanged session none', async () => {
    const store = fixture.stateOf('ioredis 6', server)
    const id = await savedSession(store, { a: 1 })
    assert.equal(await commandsDuring(store, () => store.load(id)), 1)
    const req = await visit(store, id)
    assert.equal(await commandsDuring(store, () => save(req)), 0)
    dataOf(req).a = 2
    assert.equal(await commandsDuring(store, () => save(req)), 1)
    dataOf(req).a = 3
    assert.equal(await commandsDuring(store, () => save(req)), 1)
    assert.equal(await commandsDuring(store, () => save(req)), 0)
  })

  test('opening a session without changing it is not a change, whatever is in it', async () => {
    const store = fixture.stateOf('ioredis 6', server)
    const data = {
      date: new Date(0),
      nothing: undefined,
      none: null,
      deep: { list: [1, { x: 'ü' }] },
      10: 'number-like',
      '': 1,
    }
    const id = await savedSession(store, data)
    const req = await visit(store, id)
    assert.equal(store.sessions.isChanged(req), false)
    req.session.cookie.maxAge = 5000
    assert.equal(store.sessions.isChanged(req), false)
    delete dataOf(req).date
    dataOf(req).date = new Date(0).toISOString()
    assert.equal(store.sessions.isChanged(req), false)
    const { deep } = dataOf(req) as { deep: { list: unknown[] } }
    deep.list.push(2)
    assert.equal(store.sessions.isChanged(req), true)
    deep.list.pop()
    assert.equal(store.sessions.isChanged(req), false)
    dataOf(req).nothing = undefined
    assert.equal(store.sessions.isChanged(req), false)
  })

  test('names that objects have anyway do no harm', async () => {
    const store = fixture.stateOf('ioredis 6', server)
    const id = await savedSession(store, { a: 1 })
    const req = await visit(store, id)
    Object.defineProperty(req.session, '__proto__', {
      value: { admin: true },
      enumerable: true,
      configurable: true,
      writable: true,
    })
    Object.assign(req.session, { constructor: 1, hasOwnProperty: 2, toString: 'x' })
    await save(req)
    const next = await visit(store, id)
    assert.equal(dataOf(next).admin, undefined)
    assert.equal(({} as Record<string, unknown>).admin, undefined)
    assert.equal(typeof next.session.save, 'function')
    assert.equal(store.sessions.isChanged(next), false)
    await save(next)
  })

  test('data that is no JSON fails the save and is not written', async () => {
    const store = fixture.stateOf('ioredis 6', server)
    const id = await savedSession(store, { a: 1 })
    const req = await visit(store, id)
    const circle: Record<string, unknown> = {}
    circle.self = circle
    dataOf(req).circle = circle
    assert.equal(store.sessions.isChanged(req), true)
    await assert.rejects(save(req), TypeError)
    dataOf(req).circle = 10n
    await assert.rejects(save(req), TypeError)
    delete dataOf(req).circle
    dataOf(req).a = 2
    await save(req)
    assert.deepEqual(await storedData(store, id), { a: 2 })
  })

  test('data that cannot be opened any more is replaced and not in the way', async () => {
    const store = fixture.stateOf('ioredis 6', server)
    const id = await savedSession(store, { a: 1 })
    const [key] = (await server.command('KEYS', 'oidc:*')) as string[]
    await server.command('HSET', String(key), 's', 'damaged')
    const req = await visit(store, id)
    assert.equal(dataOf(req).a, undefined)
    await call(callback => req.session.reload(callback))
    dataOf(req).b = 2
    await save(req)
    assert.deepEqual(await storedData(store, id), { b: 2 })
    await server.command('HSET', String(key), 's', 'damaged', 'n', 'many')
    const next = await visit(store, id)
    assert.notEqual(next.sessionID, id, 'a record without a version that counts is no session')
    dataOf(next).c = 3
    await save(next)
    assert.deepEqual(await storedData(store, keepSecret('session id', next.sessionID)), { c: 3 })
  })

  test('a callback that throws is called once, and its error is not lost', async () => {
    const script = `
      import { createRecordStore } from ${JSON.stringify(new URL('../../lib/store/store.js', import.meta.url).pathname.replace(/js$/, 'ts'))}
      const settings = { secrets: ['x'.repeat(32)], idle: 60, absolute: 60, timeout: 800, now: () => new Date(), log() {} }
      const { sessions } = createRecordStore(settings)
      const req = {}
      sessions.attach(req, undefined)
      let calls = 0
      const escaped = []
      process.on('uncaughtException', error => escaped.push(error.message))
      process.on('unhandledRejection', error => escaped.push('unhandled ' + error.message))
      const throwing = name => () => { calls += 1; throw new Error(name) }
      req.session.save(throwing('save'))
      sessions.get(req.sessionID, throwing('get'))
      sessions.destroy(req.sessionID, throwing('destroy'))
      setTimeout(() => console.log(JSON.stringify([calls, escaped.sort()])), 50)`
    const args = ['--import', 'tsx', '--input-type=module', '--eval', script]
    const { stdout } = await promisify(execFile)(process.execPath, args)
    assert.deepEqual(JSON.parse(stdout), [3, ['destroy', 'get', 'save']])
  })
})
