import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { after, afterEach, before, describe, test } from 'node:test'
import type { ScriptingClient } from '../../lib/store/backend/redis-client.js'
import { TIME } from '../../lib/store/backend/redis-scripts.js'
import { createRecordStore, createSessionId, type RecordStore } from '../../lib/store/store.js'
import { countCrypto } from '../support/count-crypto.js'
import { type RedisServer, startRedis, until } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import {
  dataOf,
  issuer,
  replaceTokens,
  StoreFixture,
  save,
  savedSession,
  sealingSecret,
  settings,
  signIn,
  startOfTest,
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
  fixture.clock.seconds = startOfTest
})

for (const kind of storeKinds) {
  describe(`sign-ins kept by ${kind}`, () => {
    test('what was signed in is there, opened once, and its tokens apart', async () => {
      const store = fixture.stateOf(kind, server)
      const held = tokens()
      const id = await signIn(store, { tokens: held })
      assert.match(id, /^[\w-]{43}$/)
      const record = await store.load(id)
      assert.deepEqual(record?.ticket(), ticket())
      assert.equal(record?.ticket(), record?.ticket())
      assert.equal(record?.id, id)
      assert.equal(record?.version, 0)
      assert.equal(record?.sessionText(), undefined)
      assert.deepEqual(await store.readTokens(id), held)
    })

    test('an id that was never given out leads to nothing', async () => {
      const store = fixture.stateOf(kind, server)
      const id = secret('session id')
      assert.equal(await store.load(id), undefined)
      assert.equal(await store.readTokens(id), undefined)
      assert.equal(await store.end(id), undefined)
      assert.equal(await replaceTokens(store, id, { tokens: tokens() }), false)
      assert.equal(await store.load(id), undefined)
    })

    test('an ended session is gone with everything, and nothing brings it back', async () => {
      const store = fixture.stateOf(kind, server)
      const id = await signIn(store)
      assert.notEqual(await store.end(id), undefined)
      assert.equal(await replaceTokens(store, id, { ticket: ticket(), tokens: tokens() }), false)
      assert.equal(await store.load(id), undefined)
      assert.equal(await store.readTokens(id), undefined)
      assert.equal(await store.end(id), undefined)
      assert.deepEqual(await store.list({ issuer, subject: 'alice' }), [])
    })

    test('the same user goes on with all of the data, and not with what another user put there, even where it is named to be kept', async () => {
      const store = fixture.stateOf(kind, server)
      for (const [subject, expected] of [
        ['alice', { cart: 'full' }],
        ['bob', undefined],
      ] as const) {
        const earlier = await signIn(store, { ticket: ticket({ subject }) })
        const req = await visit(store, earlier)
        dataOf(req).cart = 'full'
        await save(req)
        const id = await signIn(store, { previous: [earlier], keep: ['cart'] })
        const text = (await store.load(id))?.sessionText()
        assert.deepEqual(text === undefined ? undefined : JSON.parse(text), expected, subject)
      }
    })

    test('the end of a session gives the tokens of its last moment', async () => {
      const store = fixture.stateOf(kind, server)
      const id = await signIn(store)
      const renewed = tokens()
      assert.equal(await replaceTokens(store, id, { tokens: renewed }), true)
      const ended = await store.end(id)
      assert.deepEqual(ended?.tokens, renewed)
      assert.equal(ended?.summary?.handle, store.handleOf(id))
    })

    test('a commit writes what it is given and leaves the rest', async () => {
      const store = fixture.stateOf(kind, server)
      const held = tokens()
      const id = await signIn(store, { tokens: held })
      const newer = ticket({ claims: { sub: 'alice', name: 'Alice' } })
      assert.equal(await replaceTokens(store, id, { ticket: newer }), true)
      assert.deepEqual((await store.load(id))?.ticket(), newer)
      assert.deepEqual(await store.readTokens(id), held)
      const renewed = tokens()
      assert.equal(await replaceTokens(store, id, { tokens: renewed }), true)
      assert.deepEqual(await store.readTokens(id), renewed)
      assert.deepEqual((await store.load(id))?.ticket(), newer)
    })

    test('a commit does not make a session without a sign-in a signed-in one', async () => {
      const store = fixture.stateOf(kind, server)
      const id = await savedSession(store, { cart: 1 })
      assert.equal(await replaceTokens(store, id, { ticket: ticket(), tokens: tokens() }), false)
      assert.equal((await store.load(id))?.ticket(), undefined)
      assert.equal(await store.readTokens(id), undefined)
      assert.deepEqual(await storedData(store, id), { cart: 1 })
    })

    test('a sign-in gets a new id, ends the earlier sessions and carries the chosen keys over', async () => {
      const store = fixture.stateOf(kind, server)
      const anonymous = await savedSession(store, { cart: [1, 2], draft: 'x', csrf: 'y' })
      const earlier = await signIn(store)
      const gone = secret('session id')
      const previous = [gone, anonymous, earlier]
      const id = await signIn(store, { previous, keep: ['cart', 'draft', 'missing'] })
      assert.equal(previous.includes(id), false)
      assert.deepEqual(await storedData(store, id), { cart: [1, 2], draft: 'x' })
      for (const before of previous) assert.equal(await store.load(before), undefined)
      assert.equal((await store.list({ issuer, subject: 'alice' })).length, 1)
    })

    test('a sign-in carries nothing over that was not chosen', async () => {
      const store = fixture.stateOf(kind, server)
      const anonymous = await savedSession(store, { cart: 1 })
      const id = await signIn(store, { previous: [anonymous], keep: ['draft'] })
      assert.equal(await storedData(store, id), undefined)
      const next = await signIn(store, { previous: [await savedSession(store, { cart: 1 })] })
      assert.equal(await storedData(store, next), undefined)
    })

    test('a sign-in under a given id replaces whatever was there and is found again', async () => {
      const store = fixture.stateOf(kind, server)
      const id = secret('session id')
      await signIn(store, { id, ticket: ticket({ subject: 'alice' }) })
      assert.equal(await signIn(store, { id, previous: [id], ticket: ticket({ subject: 'bob' }) }), id)
      assert.equal((await store.load(id))?.ticket()?.subject, 'bob')
      assert.deepEqual(await store.list({ issuer, subject: 'alice' }), [])
      assert.equal((await store.list({ issuer, subject: 'bob' })).length, 1)
      assert.equal(await signIn(store, { id, ticket: ticket({ subject: 'bob' }) }), id)
      assert.equal((await store.list({ issuer, subject: 'bob' })).length, 1)
    })

    test('of two sign-ins under one id at the same time one fails, and the other is there', async () => {
      const store = fixture.stateOf(kind, server)
      for (let trial = 0; trial < 20; trial += 1) {
        const id = createSessionId()
        const subjects = ['alice', 'bob']
        const outcomes = await Promise.allSettled(
          subjects.map(subject => signIn(store, { id, ticket: ticket({ subject, sid: `${subject} ${trial}` }) })),
        )
        const winners = subjects.filter((_, at) => outcomes[at]?.status === 'fulfilled')
        assert.equal((await store.load(id))?.ticket()?.subject, winners.at(-1))
        assert.equal(winners.length > 0, true)
      }
    })

    test('sessions of a person and of a provider session are listed and ended without their ids', async () => {
      const store = fixture.stateOf(kind, server)
      const phone = await signIn(store, { ticket: ticket({ sid: 'one' }), metadata: { agent: 'phone' } })
      const laptop = await signIn(store, { ticket: ticket({ sid: 'two' }) })
      const bob = await signIn(store, { ticket: ticket({ subject: 'bob', sid: 'one' }) })
      const stranger = await signIn(store, { ticket: ticket({ issuer: 'https://other.example.com' }) })
      const listed = await store.list({ issuer, subject: 'alice' })
      assert.deepEqual(listed.map(({ sid }) => sid).sort(), ['one', 'two'])
      const listedPhone = listed.find(({ sid }) => sid === 'one')
      assert.deepEqual(listedPhone, {
        issuer,
        subject: 'alice',
        sid: 'one',
        signedInAt: startOfTest,
        expiresAt: startOfTest + settings.absolute,
        metadata: { agent: 'phone' },
        handle: listedPhone?.handle,
        lastSeenAt: startOfTest,
        isDeviceBound: false,
      })
      assert.equal(await store.endAll({ issuer, sid: 'one' }), 2)
      assert.equal(await store.load(phone), undefined)
      assert.equal(await store.load(bob), undefined)
      assert.notEqual(await store.load(laptop), undefined)
      assert.equal(await store.endAll({ issuer, subject: 'alice' }), 1)
      assert.equal(await store.load(laptop), undefined)
      assert.notEqual(await store.load(stranger), undefined)
      assert.equal(await store.endAll({ issuer, subject: 'alice' }), 0)
    })

    test('a listed session ends by its handle', async () => {
      const store = fixture.stateOf(kind, server)
      const id = await signIn(store)
      const [listed] = await store.list({ issuer, subject: 'alice' })
      await store.sessions.destroy(String(listed?.handle))
      assert.equal(await store.load(id), undefined)
      assert.deepEqual(await store.list({ issuer, subject: 'alice' }), [])
    })

    test('a key is consumed once, whichever caller is first', async () => {
      const store = fixture.stateOf(kind, server)
      const value = secret('state')
      const responses = await Promise.all([1, 2, 3, 4].map(() => store.consume('state', value, 60)))
      assert.deepEqual(responses, [true, false, false, false])
      assert.equal(await store.consume('jti', value, 60), true)
      assert.equal(await store.consume('state', `${value}x`, 60), true)
    })

    test('nothing outlives the absolute end, neither the sign-in nor the data', async () => {
      const store = fixture.stateOf(kind, server)
      const id = await signIn(store, { ticket: ticket({ expiresAt: startOfTest + 100 }) })
      const record = await store.load(id)
      fixture.clock.seconds += 99
      assert.notEqual((await store.load(id))?.ticket(), undefined)
      assert.notEqual(await store.readTokens(id), undefined)
      fixture.clock.seconds += 1
      assert.equal(record?.ticket(), undefined)
      assert.equal(await store.load(id), undefined)
      assert.equal(await store.readTokens(id), undefined)
      assert.deepEqual(await store.list({ issuer, subject: 'alice' }), [])
    })

    test('a ticket that claims a longer life than the site allows does not get it', async () => {
      const store = fixture.stateOf(kind, server)
      const id = await signIn(store, { ticket: ticket({ expiresAt: startOfTest + 10 * settings.absolute }) })
      fixture.clock.seconds += settings.absolute
      assert.equal(await store.load(id), undefined)
    })

    test('a sign-in that is already over is not signed in', async () => {
      const store = fixture.stateOf(kind, server)
      for (const expiresAt of [startOfTest, startOfTest - 1, startOfTest - 10_000]) {
        const id = await signIn(store, { ticket: ticket({ expiresAt }) })
        assert.equal(await store.load(id), undefined)
        assert.equal(await store.readTokens(id), undefined)
      }
    })

    test('times with a fraction are as good as others', async () => {
      const store = fixture.stateOf(kind, server, { idle: 99.9, absolute: 1000.5 })
      const id = await signIn(store, { ticket: ticket({ expiresAt: startOfTest + 100.5 }) })
      assert.notEqual((await store.load(id))?.ticket(), undefined)
      assert.notEqual(await storedData(store, await savedSession(store, { a: 1 })), undefined)
      fixture.clock.seconds += 10.5
      assert.notEqual(await store.load(id), undefined)
      fixture.clock.seconds += 90
      assert.equal(await store.load(id), undefined)
    })

    test('it answers a ping', async () => {
      await fixture.stateOf(kind, server).ping()
    })
  })
}

describe('the life of a record in Redis', () => {
  const keyOf = async () =>
    String(((await server.command('KEYS', 'oidc:???????????????????????????????????????????')) as string[])[0])
  const ttl = async () => Number(await server.command('TTL', await keyOf()))
  const life = async () => String(await server.command('HGET', await keyOf(), 'e'))
  const endsAt = startOfTest + settings.absolute

  test('it begins with the idle life and is extended by loading, now and then', async () => {
    const store = fixture.stateOf('ioredis 6', server)
    const id = await signIn(store)
    assert.equal((await ttl()) > settings.idle - 60 && (await ttl()) <= settings.idle, true)
    await server.command('EXPIRE', await keyOf(), 100)
    fixture.clock.seconds += 299
    await store.load(id)
    assert.equal(await life(), `${startOfTest}:${endsAt}`)
    fixture.clock.seconds += 1
    await store.load(id, { extend: false })
    assert.equal(await life(), `${startOfTest}:${endsAt}`)
    await store.load(id)
    await until('extended', async () => (await life()) === `${startOfTest + 300}:${endsAt}`)
    assert.equal((await ttl()) > settings.idle - 60, true)
  })

  test('a short idle life is extended after a tenth of it', async () => {
    const store = fixture.stateOf('ioredis 6', server, { idle: 60 })
    const id = await signIn(store)
    fixture.clock.seconds += 6
    await store.load(id)
    await until('extended', async () => (await life()).startsWith(`${startOfTest + 6}:`))
  })

  test('it is never extended past the absolute end', async () => {
    const store = fixture.stateOf('ioredis 6', server)
    const id = await signIn(store)
    fixture.clock.seconds = endsAt - 50
    await store.load(id)
    await until('extended', async () => (await life()) === `${endsAt - 50}:${endsAt}`)
    assert.equal((await ttl()) <= 50, true)
  })

  test('a record that is close to its end from the start does not get the idle life', async () => {
    await signIn(fixture.stateOf('ioredis 6', server), { ticket: ticket({ expiresAt: startOfTest + 70 }) })
    assert.equal((await ttl()) <= 70, true)
  })

  test('sessions without a sign-in have an absolute end, too', async () => {
    const store = fixture.stateOf('ioredis 6', server, { absolute: 100 })
    const id = await savedSession(store, { cart: 1 })
    assert.equal((await ttl()) <= 100, true)
    fixture.clock.seconds += 100
    assert.equal(await store.load(id), undefined)
  })

  test('an extension that comes after the end does not bring anything back', async () => {
    const store = fixture.stateOf('ioredis 6', server)
    for (let trial = 0; trial < 100; trial += 1) {
      fixture.clock.seconds = startOfTest
      const id = await signIn(store)
      fixture.clock.seconds += 1000
      await Promise.all([store.load(id), store.end(id), store.load(id)])
      await store.ping()
      assert.equal(await store.load(id), undefined)
    }
    assert.deepEqual(await server.command('KEYS', 'oidc:*'), [])
  })

  test('index and one-time marks do not live for ever', async () => {
    const store = fixture.stateOf('ioredis 6', server)
    await signIn(store)
    await signIn(store, { ticket: ticket({ expiresAt: startOfTest + 20 }) })
    await signIn(store, { ticket: ticket({ subject: 'bob', sid: 'over', expiresAt: startOfTest - 20 }) })
    await store.consume('state', secret('state'), 60)
    const longest: string[] = []
    for (const key of (await server.command('KEYS', 'oidc:*')) as string[]) {
      const left = Number(await server.command('TTL', key))
      assert.ok(left > 0 && left <= settings.absolute, key)
      if (left > settings.absolute / 2) longest.push(key)
      if (key.includes(':o:')) assert.equal(left <= 60, true)
    }
    assert.equal(longest.filter(key => key.includes(':i:')).length, 2, 'an index lives as long as its longest session')
  })

  test('the index forgets sessions whose time has come', async () => {
    const store = fixture.stateOf('ioredis 6', server)
    await signIn(store, { ticket: ticket({ expiresAt: startOfTest + 20 }) })
    fixture.clock.seconds += 20
    await signIn(store)
    for (const key of (await server.command('KEYS', 'oidc:i:*')) as string[]) {
      assert.equal(await server.command('ZCARD', key), 1)
    }
  })
})

describe('records that are not what they should be', () => {
  const keyOf = async () =>
    String(((await server.command('KEYS', 'oidc:???????????????????????????????????????????')) as string[])[0])

  test('a sealed value that was changed, or comes from another session, counts as absent', async () => {
    const store = fixture.stateOf('ioredis 6', server)
    const client = fixture.client(server)
    const victim = await savedSession(store, { cart: 1 })
    const key = await keyOf()
    const [t, k, s] = await sealedByAnother(store, victim)
    await client.hset(key, { t, k, s } as Record<string, Buffer>)
    const record = await store.load(victim)
    assert.equal(record?.ticket(), undefined)
    assert.equal(record?.sessionText(), undefined)
    assert.equal(await store.readTokens(victim), undefined)
  })

  async function sealedByAnother(store: RecordStore, victim: string): Promise<Buffer[]> {
    const other = `${victim}x`
    return [
      store.sealer.seal('ticket', other, JSON.stringify(ticket())),
      store.sealer.seal('tokens', other, JSON.stringify(tokens())),
      store.sealer.seal('session', other, JSON.stringify({ admin: true })),
    ]
  }

  test('sealed values that do not have the shape of what they should be count as absent', async () => {
    const store = fixture.stateOf('ioredis 6', server)
    const client = fixture.client(server)
    const id = await signIn(store)
    const key = await keyOf()
    const { issuer: _, ...withoutIssuer } = ticket()
    const shapes = [
      '',
      'null',
      '[]',
      '"x"',
      '{',
      '{}',
      JSON.stringify(withoutIssuer),
      JSON.stringify({ ...ticket(), expiresAt: 'later' }),
      JSON.stringify({ ...ticket(), expiresAt: '99999999999' }),
    ]
    for (const shape of shapes) {
      await client.hset(key, {
        t: store.sealer.seal('ticket', id, shape),
        k: store.sealer.seal('tokens', id, shape.replace('scope', 'x')),
      })
      assert.equal((await store.load(id))?.ticket(), undefined, shape)
      assert.equal(await store.readTokens(id), undefined, shape)
    }
  })

  test('a record without a readable life counts as absent', async () => {
    const store = fixture.stateOf('ioredis 6', server)
    const id = await signIn(store)
    for (const life of ['', 'x', '1:', ':9999999999', '1:9999999999 ', '-1:9999999999', '1:1e99']) {
      await server.command('HSET', await keyOf(), 'e', life)
      assert.equal(await store.load(id), undefined, life)
      assert.equal(await store.readTokens(id), undefined, life)
    }
  })

  test('a site with another secret sees nothing and destroys nothing', async () => {
    const ours = fixture.stateOf('ioredis 6', server)
    const theirs = fixture.stateOf('ioredis 6', server, { secrets: [secret('sealing secret')] })
    const id = await signIn(ours)
    assert.equal((await theirs.load(id))?.ticket(), undefined)
    assert.equal(await theirs.readTokens(id), undefined)
    assert.deepEqual(await theirs.list({ issuer, subject: 'alice' }), [])
    assert.equal(await theirs.endAll({ issuer, subject: 'alice' }), 0)
    assert.notEqual((await ours.load(id))?.ticket(), undefined)
  })

  test('after a rotation of the secret old sessions work on, are found by a logout, and end', async () => {
    const before = fixture.stateOf('ioredis 6', server)
    const rotated = fixture.stateOf('ioredis 6', server, { secrets: [secret('sealing secret'), sealingSecret] })
    const old = await signIn(before)
    const fresh = await signIn(rotated)
    assert.notEqual((await rotated.load(old))?.ticket(), undefined)
    assert.notEqual(await rotated.readTokens(old), undefined)
    assert.equal((await rotated.list({ issuer, subject: 'alice' })).length, 2)
    assert.equal(await rotated.endAll({ issuer, sid: 'op-session-1' }), 2)
    assert.equal(await before.load(old), undefined)
    assert.equal(await rotated.load(fresh), undefined)
  })

  test('an index entry that leads to nothing is no error and is forgotten', async () => {
    const store = fixture.stateOf('ioredis 6', server)
    await signIn(store)
    await server.command('DEL', await keyOf())
    assert.deepEqual(await store.list({ issuer, subject: 'alice' }), [])
    assert.equal(await store.endAll({ issuer, subject: 'alice' }), 0)
    await signIn(store)
    assert.equal(await store.endAll({ issuer, sid: 'op-session-1' }), 1)
    await signIn(store)
    assert.equal((await store.list({ issuer, subject: 'alice' })).length, 1)
  })

  test('hostile identifiers make keys of one length', async () => {
    const store = fixture.stateOf('ioredis 6', server)
    for (const subject of ['', '*', 'a\r\nDEL x', '\u0000', 'x'.repeat(5000), '{tag}', '../..', '__proto__']) {
      const id = await signIn(store, { ticket: ticket({ subject, sid: subject }) })
      assert.equal((await store.list({ issuer, subject })).length, 1, subject)
      assert.equal(await store.endAll({ issuer, sid: subject }), 1, subject)
      assert.equal(await store.load(id), undefined)
      assert.equal(await store.consume(subject, subject, 60), true)
    }
    for (const key of (await server.command('KEYS', '*')) as string[]) assert.match(key, /^oidc:[io]:[\w-]{43}$/)
  })

  test('subject and provider session of the same name are not mixed up', async () => {
    const store = fixture.stateOf('ioredis 6', server)
    await signIn(store, { ticket: ticket({ subject: 'x', sid: 'y' }) })
    assert.equal(await store.endAll({ issuer, sid: 'x' }), 0)
    assert.equal(await store.endAll({ issuer, subject: 'y' }), 0)
    assert.equal(await store.endAll({ issuer, subject: 'x' }), 1)
  })
})

describe('a logout by the provider while a sign-in is being written', () => {
  test('one of the two orders happens, and the session is never out of reach of the logout', async () => {
    const store = fixture.stateOf('ioredis 6', server)
    const other = fixture.stateOf('ioredis 6', server)
    for (let trial = 0; trial < 200; trial += 1) {
      const sid = `op-session-${trial}`
      const id = createSessionId()
      const signingIn = assertEnded(signIn(store, { id, ticket: ticket({ sid }) }))
      const [wasEnded] = await Promise.all([signingIn, logoutSoon(other, sid, trial % 5)])
      const lives = (await store.load(id)) !== undefined
      if (wasEnded) assert.equal(lives, false)
      assert.equal(await other.endAll({ issuer, sid }), lives ? 1 : 0)
    }
  })

  /** Whether the sign-in was told that a logout won. */
  function assertEnded(signingIn: Promise<string>): Promise<boolean> {
    return signingIn.then(
      () => false,
      error => {
        assert.equal(error.code, 'ERR_OIDC_SIGN_IN_ENDED')
        return true
      },
    )
  }

  async function logoutSoon(store: RecordStore, sid: string, pings: number): Promise<void> {
    for (let count = 0; count < pings; count += 1) await store.ping()
    await store.endAll({ issuer, sid })
  }

  test('the logout wins when it comes between index and record', async () => {
    const client = fixture.client(server) as unknown as ScriptingClient
    const store = fixture.state({ redis: client })
    const other = fixture.stateOf('ioredis 6', server)
    const send = client.evalshaBuffer.bind(client)
    let scripts = 0
    client.evalshaBuffer = async (...args) => {
      if (args[0] === TIME.sha1) return send(...args)
      scripts += 1
      // The first makes room for an id that is given, two more are the index entries, the fourth is the record.
      if (scripts === 4) await other.endAll({ issuer, sid: 'op-session-1' })
      return send(...args)
    }
    await store.ping()
    await other.ping()
    const id = createSessionId()
    assert.equal(await assertEnded(signIn(store, { id })), true)
    assert.equal(scripts >= 4, true)
    assert.equal(await store.load(id), undefined)
  })

  test('the logout wins when it looked before the record was there and the sign-in before its entry was gone', async () => {
    const [client, otherClient] = [fixture.client(server) as unknown as ScriptingClient, fixture.client(server)]
    const [store, other] = [fixture.state({ redis: client }), fixture.state({ redis: otherClient })]
    const [send, zrem] = [client.evalshaBuffer.bind(client), otherClient.zrem.bind(otherClient)]
    const gate = new EventEmitter()
    const [reached, signedIn] = [once(gate, 'reached'), once(gate, 'signed in')]
    otherClient.zrem = (async (key: string, member: string) => {
      gate.emit('reached')
      await signedIn
      return zrem(key, member)
    }) as typeof otherClient.zrem
    await Promise.all([store.ping(), other.ping()])
    let ending: Promise<number> | undefined
    let scripts = 0
    client.evalshaBuffer = async (...args) => {
      if (args[0] === TIME.sha1) return send(...args)
      scripts += 1
      // The first two are the index entries, the third is the record.
      if (scripts === 3) {
        ending = other.endAll({ issuer, sid: 'op-session-1' })
        await reached
      }
      return send(...args)
    }
    const id = await signIn(store)
    gate.emit('signed in')
    assert.equal(await ending, 1)
    assert.equal(await store.load(id), undefined)
  })
})

describe('settings of a state', () => {
  const base = { ...settings, secrets: [sealingSecret], now: fixture.clock.now, log: () => {} }

  test('a wrong "redis" is refused at once, and the error does not show the URL', () => {
    const password = secret('redis password')
    const values = [
      `http://u:${password}@h`,
      `${password}@h`,
      '',
      {},
      null,
      { status: 'ready' },
      { get() {}, set() {} },
    ]
    for (const redis of values) {
      assert.throws(
        () => createRecordStore({ ...base, redis: redis as string }),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, 'ERR_OIDC_OPTIONS')
          assert.equal(JSON.stringify([error.message, error.stack, error.cause]).includes(password), false)
          return true
        },
      )
    }
  })

  test('a cluster that reads from replicas is refused', () => {
    const cluster = { status: 'ready', evalshaBuffer() {}, options: { scaleReads: 'slave' } }
    assert.throws(() => createRecordStore({ ...base, redis: cluster as never }), { code: 'ERR_OIDC_OPTIONS' })
  })

  test('without Redis it says so, once', () => {
    fixture.logged.length = 0
    fixture.state()
    assert.equal(fixture.logged.length, 1)
  })

  test('a client that was handed in is not closed with the state, and one made from a URL is', async () => {
    const client = fixture.client(server)
    const store = fixture.state({ redis: client })
    await store.ping()
    const listeners = client.listenerCount('ready')
    await store.close()
    assert.equal(await client.ping(), 'PONG')
    assert.equal(client.listenerCount('ready'), listeners - 1)
    const own = fixture.state({ redis: server.url })
    await own.ping()
    await own.close()
    await assert.rejects(own.ping(), { code: 'ERR_OIDC_STORE_UNAVAILABLE' })
  })

  test('a lazy client is connected, and a key prefix of the client is respected', async () => {
    const client = fixture.client(server, { lazyConnect: true, keyPrefix: 'site*:' })
    const store = fixture.state({ redis: client })
    const id = await signIn(store)
    assert.notEqual((await store.load(id))?.ticket(), undefined)
    assert.equal(((await server.command('KEYS', 'site\\*:oidc:*')) as string[]).length, 3)
    assert.equal((await store.sessions.ids()).length, 1)
    await store.sessions.clear()
    assert.equal(await store.load(id), undefined)
  })

  test('a client with auto-pipelining or numbers as strings works the same', async () => {
    for (const options of [
      { enableAutoPipelining: true },
      { stringNumbers: true },
      { protocol: 2 },
      { replyMapping: 'resp3' },
    ]) {
      const store = fixture.state({ redis: fixture.client(server, options) })
      const id = await signIn(store)
      assert.notEqual((await store.load(id))?.ticket(), undefined)
      assert.equal(await replaceTokens(store, id, { tokens: tokens() }), true)
      assert.equal((await store.list({ issuer, subject: 'alice' })).length, 1)
      assert.equal(await store.consume('x', secret('state'), 5), true)
      assert.notEqual(await store.end(id), undefined)
      assert.equal(await store.load(id), undefined)
    }
  })

  test('two sites share one Redis under two prefixes', async () => {
    const [one, two] = [
      fixture.stateOf('URL', server, { prefix: 'one:' }),
      fixture.stateOf('URL', server, { prefix: 'two:' }),
    ]
    const id = await signIn(one)
    assert.equal(await two.load(id), undefined)
    await two.sessions.clear()
    assert.notEqual(await one.load(id), undefined)
  })
})

test('nothing of a session that was ended here is at hand', async () => {
  const store = fixture.state()
  const derived = async (id: string) => {
    const crypto = countCrypto()
    try {
      await store.signIn({ ticket: ticket(), tokens: tokens(), previous: [], keep: [], id })
      assert.deepEqual((await store.load(id))?.ticket(), ticket())
    } finally {
      crypto.stop()
    }
    return crypto.counts.createHmac
  }
  // The first one also derives what all sessions have in common.
  await derived('other id')
  const first = await derived('the same id')
  await store.end('the same id')
  assert.equal(await derived('the same id'), first)
})
