import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import type { RecordStore } from '../../lib/store/store.js'
import type { StoredTokens } from '../../lib/store/token-store.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { issuer, replaceTokens, StoreFixture, signIn, startOfTest, storeKinds, ticket, tokens } from './fixtures.js'

let server: RedisServer
let fixture: StoreFixture

before(async () => {
  server = await startRedis()
  fixture = new StoreFixture()
})
afterEach(() => fixture.close())
after(() => server.stop())

const oldName = { issuer, sid: 'op-session-1' }
const newName = { issuer, sid: 'op-session-2' }
const moment = { startedAt: startOfTest * 1e6, grantedAt: startOfTest }

async function open(store: RecordStore, id: string): Promise<StoredTokens> {
  const view = await store.tokenStore(id).open()
  assert.ok(view, 'the session has ended')
  return view
}

async function rename(store: RecordStore, id: string): Promise<string> {
  const view = await open(store, id)
  return store.tokenStore(id).commit('', view, { ticket: ticket({ sid: newName.sid }), tokens: tokens() })
}

for (const kind of storeKinds) {
  describe(`a session whose name at the provider changes, kept by ${kind}`, () => {
    // What one test leaves behind is none of the next one's business.
    let count = 0
    const create = () => {
      count += 1
      return fixture.stateOf(kind, server, { prefix: `${kind} ${count}:` })
    }
    contract(create)
  })
}

test('a session that nothing leads to any more is found by no name, and keeps its tokens', async () => {
  const store = fixture.stateOf('URL', server, { prefix: 'lost:' })
  const id = await signIn(store)
  const client = fixture.client(server)
  const [key = ''] = (await client.keys('lost:*')).filter(name => name.length === 'lost:'.length + 43)
  assert.equal(await client.hdel(key, 'i'), 1)
  assert.equal(await rename(store, id), 'done')
  assert.equal((await store.load(id))?.ticket()?.sid, newName.sid)
  assert.equal(await client.hexists(key, 'i'), 0)
  assert.deepEqual(await store.list(newName), [])
})

function contract(create: () => RecordStore): void {
  test('is listed under the new name, and ended by it', async () => {
    const store = create()
    const id = await store.signIn({
      ticket: ticket(),
      tokens: tokens(),
      previous: [],
      keep: [],
      time: moment,
      metadata: { a: 1 },
    })
    assert.equal(await rename(store, id), 'done')
    const [listed] = await store.list(newName)
    assert.deepEqual([listed?.sid, listed?.metadata, listed?.startedAt], [newName.sid, { a: 1 }, moment.startedAt])
    assert.equal((await store.load(id))?.ticket()?.sid, newName.sid)
    assert.equal(await store.endAll(newName), 1)
    assert.equal(await store.load(id), undefined)
    assert.deepEqual(await store.list({ issuer, subject: 'alice' }), [])
  })

  test('is ended by the old name and by the person, too', async () => {
    const store = create()
    for (const query of [oldName, { issuer, subject: 'alice' }]) {
      const id = await signIn(store)
      await rename(store, id)
      assert.equal(await store.endAll(query), 1)
      assert.equal(await store.load(id), undefined)
    }
  })

  test('ends when a logout by the new name came before it', async () => {
    const store = create()
    const id = await store.signIn({ ticket: ticket(), tokens: tokens(), previous: [], keep: [], time: moment })
    const logout = { at: moment.startedAt + 1e6, issuedAt: startOfTest + 1 }
    assert.equal(await store.endAll(newName, { logout, remember: 60 }), 0)
    assert.equal(await rename(store, id), 'absent')
    assert.equal(await store.load(id), undefined)
    assert.deepEqual(await store.list({ issuer, subject: 'alice' }), [])
  })

  test('stays when the logout by the new name was over before the sign-in', async () => {
    const store = create()
    const logout = { at: moment.startedAt - 1e6, issuedAt: startOfTest - 10 }
    await store.endAll(newName, { logout, remember: 60 })
    const id = await store.signIn({ ticket: ticket(), tokens: tokens(), previous: [], keep: [], time: moment })
    assert.equal(await rename(store, id), 'done')
    assert.equal((await store.load(id))?.ticket()?.sid, newName.sid)
  })

  test('is not renamed over what another process has written meanwhile', async () => {
    const store = create()
    const id = await signIn(store)
    const stale = await open(store, id)
    await replaceTokens(store, id, { tokens: tokens() })
    const change = { ticket: ticket({ sid: newName.sid }), tokens: tokens() }
    assert.equal(await store.tokenStore(id).commit('', stale, change), 'changed')
    assert.equal((await store.load(id))?.ticket()?.sid, oldName.sid)
    assert.deepEqual(
      (await store.list(oldName)).map(({ sid }) => sid),
      [oldName.sid],
    )
  })

  test('is not brought back when it has ended meanwhile', async () => {
    const store = create()
    const id = await signIn(store)
    const view = await open(store, id)
    await store.end(id)
    const change = { ticket: ticket({ sid: newName.sid }), tokens: tokens() }
    assert.equal(await store.tokenStore(id).commit('', view, change), 'absent')
    assert.equal(await store.load(id), undefined)
    assert.deepEqual(await store.list(newName), [])
  })
}
