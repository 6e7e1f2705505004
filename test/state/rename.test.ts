import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import type { State } from '../../lib/state/state.js'
import type { VaultView } from '../../lib/state/token-vault.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { Bench, issuer, signIn, startOfTest, storeKinds, ticket, tokens } from './fixtures.js'

let server: RedisServer
let bench: Bench

before(async () => {
  server = await startRedis()
  bench = new Bench()
})
afterEach(() => bench.close())
after(() => server.stop())

const oldName = { issuer, sid: 'op-session-1' }
const newName = { issuer, sid: 'op-session-2' }
const moment = { startedAt: startOfTest * 1e6, grantedAt: startOfTest }

async function open(state: State, id: string): Promise<VaultView> {
  const view = await state.vault(id).open()
  assert.ok(view, 'the session has ended')
  return view
}

async function rename(state: State, id: string): Promise<string> {
  const view = await open(state, id)
  return state.vault(id).settle('', view, { ticket: ticket({ sid: newName.sid }), tokens: tokens() })
}

for (const kind of storeKinds) {
  describe(`a session whose name at the provider changes, kept by ${kind}`, () => {
    // What one test leaves behind is none of the next one's business.
    let count = 0
    const create = () => {
      count += 1
      return bench.stateOf(kind, server, { prefix: `${kind} ${count}:` })
    }
    contract(create)
  })
}

test('a session that nothing leads to any more is found by no name, and keeps its tokens', async () => {
  const state = bench.stateOf('URL', server, { prefix: 'lost:' })
  const id = await signIn(state)
  const client = bench.client(server)
  const [key = ''] = (await client.keys('lost:*')).filter(name => name.length === 'lost:'.length + 43)
  assert.equal(await client.hdel(key, 'i'), 1)
  assert.equal(await rename(state, id), 'done')
  assert.equal((await state.load(id))?.ticket()?.sid, newName.sid)
  assert.equal(await client.hexists(key, 'i'), 0)
  assert.deepEqual(await state.list(newName), [])
})

function contract(create: () => State): void {
  test('is listed under the new name, and ended by it', async () => {
    const state = create()
    const id = await state.signIn({
      ticket: ticket(),
      tokens: tokens(),
      previous: [],
      keep: [],
      moment,
      note: { a: 1 },
    })
    assert.equal(await rename(state, id), 'done')
    const [listed] = await state.list(newName)
    assert.deepEqual([listed?.sid, listed?.note, listed?.startedAt], [newName.sid, { a: 1 }, moment.startedAt])
    assert.equal((await state.load(id))?.ticket()?.sid, newName.sid)
    assert.equal(await state.endAll(newName), 1)
    assert.equal(await state.load(id), undefined)
    assert.deepEqual(await state.list({ issuer, subject: 'alice' }), [])
  })

  test('is ended by the old name and by the person, too', async () => {
    const state = create()
    for (const query of [oldName, { issuer, subject: 'alice' }]) {
      const id = await signIn(state)
      await rename(state, id)
      assert.equal(await state.endAll(query), 1)
      assert.equal(await state.load(id), undefined)
    }
  })

  test('ends when a logout by the new name came before it', async () => {
    const state = create()
    const id = await state.signIn({ ticket: ticket(), tokens: tokens(), previous: [], keep: [], moment })
    const logout = { at: moment.startedAt + 1e6, issuedAt: startOfTest + 1 }
    assert.equal(await state.endAll(newName, { logout, remember: 60 }), 0)
    assert.equal(await rename(state, id), 'absent')
    assert.equal(await state.load(id), undefined)
    assert.deepEqual(await state.list({ issuer, subject: 'alice' }), [])
  })

  test('stays when the logout by the new name was over before the sign-in', async () => {
    const state = create()
    const logout = { at: moment.startedAt - 1e6, issuedAt: startOfTest - 10 }
    await state.endAll(newName, { logout, remember: 60 })
    const id = await state.signIn({ ticket: ticket(), tokens: tokens(), previous: [], keep: [], moment })
    assert.equal(await rename(state, id), 'done')
    assert.equal((await state.load(id))?.ticket()?.sid, newName.sid)
  })

  test('is not renamed over what somebody else has written meanwhile', async () => {
    const state = create()
    const id = await signIn(state)
    const stale = await open(state, id)
    await state.replace(id, { tokens: tokens() })
    const change = { ticket: ticket({ sid: newName.sid }), tokens: tokens() }
    assert.equal(await state.vault(id).settle('', stale, change), 'changed')
    assert.equal((await state.load(id))?.ticket()?.sid, oldName.sid)
    assert.deepEqual(
      (await state.list(oldName)).map(({ sid }) => sid),
      [oldName.sid],
    )
  })

  test('is not brought back when it has ended meanwhile', async () => {
    const state = create()
    const id = await signIn(state)
    const view = await open(state, id)
    await state.end(id)
    const change = { ticket: ticket({ sid: newName.sid }), tokens: tokens() }
    assert.equal(await state.vault(id).settle('', view, change), 'absent')
    assert.equal(await state.load(id), undefined)
    assert.deepEqual(await state.list(newName), [])
  })
}
