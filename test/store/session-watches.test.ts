import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { after, before, describe, type TestContext, test } from 'node:test'
import { formatExpiry } from '../../lib/store/backend/expiry.js'
import type { RemovalListener } from '../../lib/store/backend/removals.js'
import type { SessionEndReason } from '../../lib/store/end-reason.js'
import { createSessionWatches } from '../../lib/store/session-watches.js'
import type { RecordStore } from '../../lib/store/store.js'
import { type RedisServer, startRedis, until } from '../support/redis.js'
import { issuer, replaceTokens, StoreFixture, signIn, storeKinds, ticket } from './fixtures.js'

let redis: RedisServer
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

/** The ends that were told, and a way to wait for them. */
class Ends {
  readonly told: (SessionEndReason | undefined)[] = []
  readonly onEnd = (reason: SessionEndReason | undefined) => void this.told.push(reason)

  async come(count = 1): Promise<void> {
    await until(`${count} ends are told, ${this.told.length} so far`, () => this.told.length >= count)
  }
}

function withStores(run: (fixture: StoreFixture) => Promise<void>): () => Promise<void> {
  return async () => {
    const fixture = new StoreFixture()
    try {
      await run(fixture)
    } finally {
      await fixture.close()
      await redis.command('FLUSHALL')
    }
  }
}

const subscribers = async (server = redis) =>
  Number(((await server.command('PUBSUB', 'NUMSUB', 'oidc:ended')) as [string, number])[1])
/** What watching takes is loaded at the first watch. */
async function isLoaded(): Promise<void> {
  await import('../../lib/store/session-watches.js')
  await new Promise(resolve => setImmediate(resolve))
}

const isSubscribed = () => until('the store has subscribed', async () => (await subscribers()) === 1)

for (const kind of storeKinds)
  describe(`sessions that are watched, ${kind}`, () => {
    const withStore = (run: (store: RecordStore, fixture: StoreFixture) => Promise<void>) =>
      withStores(fixture => run(fixture.stateOf(kind, redis), fixture))
    const isReady = () => (kind === 'memory' ? isLoaded() : isSubscribed())

    test(
      'each end is told once, with its reason, and to each who watches',
      withStore(async store => {
        const ends: Ends[] = []
        const watched = async () => {
          const [id, one] = [await signIn(store), new Ends()]
          ends.push(one)
          store.watch(id, one.onEnd)
          store.watch(id, one.onEnd)
          return id
        }
        const [logout, rejected, unnamed] = [await watched(), await watched(), await watched()]
        await watched()
        await isReady()
        await store.end(logout, 'logout')
        const tokenStore = store.tokenStore(rejected)
        const view = await tokenStore.open()
        assert.ok(view && (await tokenStore.endIf(view)))
        await store.sessions.destroy(unnamed)
        await store.endAll({ issuer, subject: 'alice' }, { reason: 'revoked' })
        for (const one of ends) await one.come(2)
        const expected: (SessionEndReason | undefined)[] = ['logout', 'refresh-rejected', undefined, 'revoked']
        assert.deepEqual(
          ends.map(({ told }) => told),
          expected.map(reason => [reason, reason]),
        )
      }),
    )

    test(
      'one that has ended before the watch, or never was, is told as well',
      withStore(async store => {
        const [id, ends] = [await signIn(store), new Ends()]
        await store.end(id, 'logout')
        store.watch(id, ends.onEnd)
        store.watch('never', ends.onEnd)
        await ends.come(2)
        assert.deepEqual(ends.told, [undefined, undefined])
      }),
    )

    test(
      'a watch that was stopped is told nothing, and the one beside it is',
      withStore(async store => {
        const [id, stopped, ends] = [await signIn(store), new Ends(), new Ends()]
        const stop = store.watch(id, stopped.onEnd)
        store.watch(id, stopped.onEnd)()
        store.watch(id, ends.onEnd)
        await isReady()
        stop()
        stop()
        await store.end(id, 'logout')
        await ends.come()
        assert.deepEqual(stopped.told, [])
      }),
    )

    test(
      'the same user signs in anew in the same browser: the watch goes on with the new session',
      withStore(async store => {
        const [earlier, ends] = [await signIn(store), new Ends()]
        store.watch(earlier, ends.onEnd)
        await isReady()
        const next = await signIn(store, { previous: [earlier], overlaps: true })
        // The browser shows the new one, and the earlier one ends.
        await store.load(next)
        assert.equal(await store.load(earlier), undefined)
        const last = await signIn(store, { previous: [next], overlaps: true })
        await store.load(last)
        assert.deepEqual(ends.told, [])
        await store.end(last, 'signal')
        await ends.come()
        assert.equal(ends.told.length, 1)
      }),
    )

    test(
      'another user signs in in the same browser: replaced',
      withStore(async store => {
        const [earlier, ends] = [await signIn(store), new Ends()]
        store.watch(earlier, ends.onEnd)
        await isReady()
        await signIn(store, { ticket: ticket({ subject: 'bob' }), previous: [earlier], overlaps: true })
        await ends.come()
        assert.deepEqual(ends.told, ['replaced'])
      }),
    )

    test(
      'a refresh, and a session at the provider that gets another name, end nothing',
      withStore(async store => {
        const [id, ends] = [await signIn(store), new Ends()]
        store.watch(id, ends.onEnd)
        await isReady()
        assert.ok(await replaceTokens(store, id, { ticket: ticket({ sid: 'another name' }) }))
        assert.equal(await store.endAll({ issuer, sid: 'another name' }, { reason: 'back-channel' }), 1)
        await ends.come()
        assert.deepEqual(ends.told, ['back-channel'])
      }),
    )
  })

describe('a reason that comes at any moment is told with the end', () => {
  const end = Math.floor(Date.now() / 1000) + 1000
  const gone = Promise.resolve([null])
  /** Watches in front of a store whose responses, and whose messages, come when the test says so. */
  function watchesOf(reads: (() => Promise<(Buffer | null)[]>)[]) {
    let listener: RemovalListener | undefined
    const watches = createSessionWatches({
      backend: {
        read: () => (reads.length > 1 ? reads.shift() : reads[0])?.() ?? gone,
        watchRemovals: one => {
          listener = one
          return () => {}
        },
      },
      redisKeys: { record: id => `oidc:${id}` },
      successors: { of: async () => undefined, has: async () => false },
      idle: 1000,
      now: () => Math.floor(Date.now() / 1000),
    })
    const ends = new Ends()
    watches.watch('a', ends.onEnd)
    return { ends, watches, say: () => listener?.removed({ key: 'oidc:a', reason: 'logout' }) }
  }
  const alive = async () => [Buffer.from(formatExpiry({ extendedAt: end - 1000, endsAt: end }))]
  const timers = (milliseconds: number) => new Promise(resolve => setTimeout(resolve, milliseconds))

  test('while the store responds to a read that was sent before', async () => {
    const respond: (() => void)[] = []
    const late = () => new Promise<Buffer[]>(resolve => respond.push(() => void alive().then(resolve)))
    const { ends, say } = watchesOf([late, () => gone])
    await until('the session is read', () => respond.length === 1)
    say()
    respond[0]?.()
    await ends.come()
    assert.deepEqual(ends.told, ['logout'])
  })

  test('after the session was seen to be gone, before the process knows that it listens', async () => {
    const { ends, say } = watchesOf([() => gone])
    await timers(20)
    assert.deepEqual(ends.told, [])
    say()
    await ends.come()
    assert.deepEqual(ends.told, ['logout'])
  })

  test('while the process does something else for longer than an end waits for its reason', async () => {
    const { port1, port2 } = new MessageChannel()
    const { ends, say } = watchesOf([() => gone])
    port1.on('message', say)
    await timers(20)
    port2.postMessage('it has arrived, and is read when the process comes to it')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)
    await ends.come()
    port1.close()
    assert.deepEqual(ends.told, ['logout'])
  })

  test('a reason without an end is forgotten', async () => {
    const { ends, say, watches } = watchesOf([alive, alive, () => gone])
    await timers(20)
    say()
    await timers(20)
    assert.deepEqual(ends.told, [])
    watches.watch('a', ends.onEnd)
    await ends.come(2)
    assert.deepEqual(ends.told, [undefined, undefined])
  })
})

describe('a session is looked at when its time is over, and not at the next round', () => {
  const begin = 1_800_000_000
  const idle = 1000
  /** Watches of sessions that live until the seconds given, and a clock that goes on when the test says so. */
  function sessionsUntil(t: TestContext, seconds: readonly number[]) {
    t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: begin * 1000 })
    const now = () => Math.floor(Date.now() / 1000)
    const state = { isAway: false }
    let listener: RemovalListener | undefined
    const watches = createSessionWatches({
      backend: {
        async read(key) {
          if (state.isAway) throw new Error('Redis is away')
          const endsAt = begin + Number(key)
          return [now() < endsAt ? Buffer.from(formatExpiry({ extendedAt: begin, endsAt })) : null]
        },
        watchRemovals: one => {
          listener = one
          one.listening(true)
          return () => {}
        },
      },
      redisKeys: { record: id => id },
      successors: { of: async () => undefined, has: async () => false },
      idle,
      now,
    })
    const told: string[] = []
    for (const second of seconds) watches.watch(`${second}`, reason => void told.push(`${second} ${reason}`))
    const pass = async (milliseconds: number) => {
      for (let turn = 0; turn < 20; turn += 1) await new Promise(resolve => setImmediate(resolve))
      t.mock.timers.tick(milliseconds)
      for (let turn = 0; turn < 20; turn += 1) await new Promise(resolve => setImmediate(resolve))
    }
    return { told, pass, state, lookAtAll: () => listener?.listening(true) }
  }

  test('however many others have ended before', async t => {
    const { told, pass } = sessionsUntil(t, [9, 3, 6])
    for (let second = 1; second <= 12; second += 1) {
      await pass(1000)
      assert.deepEqual(
        told,
        [3, 6, 9].filter(end => end <= second).map(end => `${end} expired`),
      )
    }
  })

  test('also while the store does not respond', async t => {
    const { told, pass, state, lookAtAll } = sessionsUntil(t, [1, 5])
    await pass(500)
    state.isAway = true
    lookAtAll()
    await pass(100)
    assert.deepEqual(told, [])
    // Whole seconds count; the next round is after two.
    await pass(1100)
    assert.deepEqual(told, ['1 expired'])
  })
})

describe('time', () => {
  for (const kind of ['memory', 'URL'] as const) {
    const open = (fixture: StoreFixture, overrides: object) => {
      const now = () => new Date()
      return fixture.stateOf(kind, redis, { now, ...overrides })
    }
    const current = () => {
      const signedInAt = Math.floor(Date.now() / 1000)
      return { signedInAt, expiresAt: signedInAt + 100 }
    }

    test(
      `the idle time and the absolute end of a session are seen, ${kind}`,
      withStores(async fixture => {
        const [idle, absolute, none] = [new Ends(), new Ends(), new Ends()]
        const store = open(fixture, { idle: 3 })
        store.watch(await signIn(store, { ticket: ticket(current()) }), idle.onEnd)
        const { signedInAt } = current()
        const short = { ...current(), expiresAt: signedInAt + 2 }
        store.watch(await signIn(store, { ticket: ticket(short) }), absolute.onEnd)
        const other = open(fixture, {})
        other.watch(await signIn(other, { ticket: ticket(current()) }), none.onEnd)
        await absolute.come()
        await idle.come()
        assert.deepEqual([idle.told, absolute.told, none.told], [['expired'], ['expired'], []])
      }),
    )
  }

  test(
    'a session that is in use goes on, however old the watch is',
    withStores(async fixture => {
      const [store, ends] = [fixture.state({ now: () => new Date(), idle: 2 }), new Ends()]
      const signedInAt = Math.floor(Date.now() / 1000)
      const id = await signIn(store, { ticket: ticket({ signedInAt, expiresAt: signedInAt + 6 }) })
      store.watch(id, ends.onEnd)
      await until('it is at its end', async () => (await store.load(id)) === undefined)
      assert.ok(Math.floor(Date.now() / 1000) >= signedInAt + 6)
      await ends.come()
      assert.deepEqual(ends.told, ['expired'])
    }),
  )
})

describe('with Redis', () => {
  test(
    'what another process ends is told at once, over one connection for a thousand sessions, which the last one closes',
    withStores(async fixture => {
      const warnings: Error[] = []
      const warn = (warning: Error) => void warnings.push(warning)
      process.on('warning', warn)
      const [here, there] = [fixture.stateOf('ioredis 6', redis), fixture.stateOf('URL', redis)]
      const [ends, ids] = [new Ends(), [] as string[]]
      for (let count = 0; count < 1000; count += 1)
        ids.push(await signIn(there, { ticket: ticket({ sid: `${count}` }) }))
      for (const id of ids) here.watch(id, ends.onEnd)
      await isSubscribed()
      // One that is told shows that the store listens.
      await there.end(ids[0] ?? '')
      await ends.come()
      assert.equal(await there.endAll({ issuer, subject: 'alice' }, { reason: 'global-revocation' }), 999)
      await ends.come(1000)
      assert.equal(ends.told.length, 1000)
      assert.ok(ends.told.includes('global-revocation'))
      await until('the connection is closed', async () => (await subscribers()) === 0)
      process.off('warning', warn)
      assert.deepEqual(warnings, [])
    }),
  )

  test(
    'a message names a key of Redis and a reason, and nothing else; one that is wrong ends nothing',
    withStores(async fixture => {
      const [store, client] = [fixture.stateOf('URL', redis), fixture.client(redis)]
      const messages: string[] = []
      await client.subscribe('oidc:ended')
      client.on('message', (_channel, text) => {
        if (text !== 'probe') messages.push(text)
      })
      const [id, ends] = [await signIn(store), new Ends()]
      store.watch(id, ends.onEnd)
      await until('both have subscribed', async () => (await subscribers()) === 2)
      const key = `oidc:${store.handleOf(id).slice(1)}`
      for (const text of [key, `${key} logout`, `${key} nonsense`, '', 'x'.repeat(1000), `${key}\n`])
        await redis.command('PUBLISH', 'oidc:ended', text)
      await until('all have come', () => messages.length === 6)
      await store.ping()
      assert.deepEqual(ends.told, [])
      await store.end(id)
      await ends.come()
      assert.deepEqual(ends.told, [undefined], 'the reason of a message that was wrong does not stay')
      assert.equal(messages.at(-1), key)
    }),
  )

  test(
    'a keyPrefix of the client changes nothing',
    withStores(async fixture => {
      const client = fixture.client(redis, { keyPrefix: 'site:' })
      const [store, ends] = [fixture.state({ redis: client }), new Ends()]
      const id = await signIn(store)
      store.watch(id, ends.onEnd)
      await isSubscribed()
      await store.end(id, 'logout')
      await ends.come()
      assert.deepEqual(ends.told, ['logout'])
    }),
  )

  for (const [what, rules] of [
    ['subscribe', ['-subscribe']],
    ['publish', ['-publish']],
    ['use the channel', ['resetchannels']],
  ] as const)
    test(
      `a user of Redis who may not ${what}: removals work, and are seen by looking`,
      withStores(async fixture => {
        await redis.command('ACL', 'SETUSER', 'site', 'on', '>pass-word', '~*', '&*', '+@all', ...rules)
        const client = fixture.client(redis, { username: 'site', password: 'pass-word' })
        const [store, ends] = [fixture.state({ redis: client }), new Ends()]
        const id = await signIn(store)
        store.watch(id, ends.onEnd)
        await until('the log says it', () => fixture.logged.length > 0)
        const pattern = /SUBSCRIBE or PUBLISH \(NOPERM\).*every two seconds.*\+subscribe, \+publish.*oidc:ended/
        assert.match(fixture.logged[0] ?? '', pattern)
        assert.notEqual(await store.end(id, 'logout'), undefined)
        await ends.come()
        assert.equal(fixture.logged.length, 1)
      }),
    )

  test(
    'Redis is killed and comes back without its sessions: their ends are told, and what comes after is told at once',
    withStores(async fixture => {
      const server = await startRedis()
      fixture.onClose(() => server.stop())
      const [store, ends] = [fixture.stateOf('URL', server, { timeout: 300 }), new Ends()]
      store.watch(await signIn(store), ends.onEnd)
      await until('the store has subscribed', async () => (await subscribers(server)) === 1)
      await server.kill()
      await assert.rejects(store.ping(), { code: 'ERR_OIDC_STORE_UNAVAILABLE' })
      assert.deepEqual(ends.told, [], 'a Redis that is away ends nothing')
      await server.restart()
      await ends.come()
      await until('Redis is in use again', () =>
        store.ping().then(
          () => true,
          () => false,
        ),
      )
      const id = await signIn(store)
      store.watch(id, ends.onEnd)
      await until('the store has subscribed again', async () => (await subscribers(server)) === 1)
      await store.end(id, 'logout')
      await ends.come(2)
      assert.deepEqual(ends.told, [undefined, 'logout'])
    }),
  )

  test(
    'the connection is lost: it is made again, and what happened meanwhile is told',
    withStores(async fixture => {
      const [store, ends] = [fixture.stateOf('URL', redis), new Ends()]
      const [kept, ended] = [await signIn(store), await signIn(store)]
      store.watch(kept, ends.onEnd)
      store.watch(ended, ends.onEnd)
      await isSubscribed()
      await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await redis.command('DEL', `oidc:${store.handleOf(ended).slice(1)}`)
      await ends.come()
      await isSubscribed()
      assert.deepEqual(ends.told, [undefined])
    }),
  )

  test(
    'the absolute end of a session is told while Redis is away',
    withStores(async fixture => {
      const server = await startRedis()
      fixture.onClose(() => server.stop())
      const store = fixture.stateOf('URL', server, { timeout: 300, now: () => new Date() })
      const [ends, others] = [new Ends(), new Ends()]
      const signedInAt = Math.floor(Date.now() / 1000)
      store.watch(await signIn(store, { ticket: ticket({ signedInAt, expiresAt: signedInAt + 2 }) }), ends.onEnd)
      store.watch(await signIn(store, { ticket: ticket({ signedInAt, expiresAt: signedInAt + 99 }) }), others.onEnd)
      await until('the store has subscribed', async () => (await subscribers(server)) === 1)
      await store.ping()
      await server.kill()
      await ends.come()
      assert.deepEqual([ends.told, others.told], [['expired'], []])
    }),
  )

  test(
    'close stops everything, and tells nothing',
    withStores(async fixture => {
      const client = fixture.client(redis)
      const [store, other, ends] = [fixture.state({ redis: client }), fixture.stateOf('URL', redis), new Ends()]
      const id = await signIn(store)
      store.watch(id, ends.onEnd)
      await isSubscribed()
      await store.close()
      await until('the connection is closed', async () => (await subscribers()) === 0)
      store.watch(id, ends.onEnd)
      await other.end(id, 'logout')
      await other.ping()
      assert.equal(await subscribers(), 0)
      assert.deepEqual(ends.told, [])
    }),
  )

  test('a process that watches ends by itself', async () => {
    const program = new URL('watching-process.ts', import.meta.url)
    for (const url of [redis.url, '']) {
      const child = fork(program, [url], { execArgv: ['--import', import.meta.resolve('tsx')] })
      const [code] = await once(child, 'exit')
      assert.equal(code, 0, url || 'memory')
    }
  })
})
