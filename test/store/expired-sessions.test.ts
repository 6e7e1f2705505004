import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  createRecordStore,
  createSessionId,
  type RecordStore,
  type RecordStoreSettings,
} from '../../lib/store/store.js'
import type { EndedSummary, Ticket } from '../../lib/store/ticket.js'
import { secret } from '../support/secrets.js'

const START = 1_700_000_000

interface Fixture {
  readonly store: RecordStore
  readonly ticket: Ticket
  readonly destroyed: EndedSummary[]
  advance(seconds: number): void
  signIn(more?: { readonly previous?: readonly string[]; readonly overlaps?: boolean }): Promise<string>
}

function createFixture(more: Partial<RecordStoreSettings> = {}): Fixture {
  let seconds = START
  const destroyed: EndedSummary[] = []
  const store = createRecordStore({
    secrets: [secret('session secret')],
    idle: 100,
    absolute: 1000,
    timeout: 800,
    now: () => new Date(seconds * 1000),
    log: () => {},
    remembersExpired: true,
    onDestroyed: ended => void destroyed.push(ended),
    ...more,
  })
  const ticket: Ticket = {
    issuer: 'https://issuer.example',
    subject: 'alice',
    sid: 'sid-1',
    claims: {},
    scope: 'openid',
    signedInAt: START,
    expiresAt: START + 1000,
  }
  return {
    store,
    ticket,
    destroyed,
    advance(by) {
      seconds += by
    },
    signIn: ({ previous = [], overlaps = false } = {}) =>
      store.signIn({ ticket, tokens: { scope: '' }, previous, keep: [], overlaps }),
  }
}

describe('sessions that have expired', () => {
  test('are told of once, by their id, with their user and handle', async () => {
    const { store, advance, signIn } = createFixture()
    const id = await signIn()
    assert.ok((await store.load(id)) !== undefined)
    advance(101)
    assert.equal(await store.load(id), undefined)
    const taken = await store.takeExpired(id)
    assert.deepEqual([taken?.subject, taken?.sid, taken?.handle], ['alice', 'sid-1', store.handleOf(id)])
    assert.equal(await store.takeExpired(id), undefined)
  })

  test('are forgotten a week after their latest end', async () => {
    const { store, advance, signIn } = createFixture()
    const id = await signIn()
    advance(1000 + 7 * 24 * 3600)
    assert.equal(await store.takeExpired(id), undefined)
  })

  test('are none of those that were ended, destroyed, or that another session took the place of', async () => {
    const { store, destroyed, signIn } = createFixture()
    const ended = await signIn()
    await store.end(ended)
    const destroyedId = await signIn()
    await store.sessions.destroy(destroyedId)
    const earlier = await signIn()
    const later = await signIn({ previous: [earlier], overlaps: true })
    await store.endAll({ issuer: 'https://issuer.example', subject: 'alice' })
    for (const id of [ended, destroyedId, earlier, later, createSessionId()])
      assert.equal(await store.takeExpired(id), undefined)
    assert.deepEqual(
      destroyed.map(({ handle }) => handle),
      [store.handleOf(destroyedId)],
    )
  })

  test('are told of although something wanted to end them after that', async () => {
    const { store, advance, signIn } = createFixture()
    const id = await signIn()
    advance(101)
    assert.equal(await store.end(id), undefined)
    assert.equal(await store.endOne(store.handleOf(id), { only: () => true }), 0)
    assert.equal((await store.takeExpired(id))?.subject, 'alice')
  })

  test('end with a refused refresh without being told of, and stay where the tokens are newer', async () => {
    const { store, advance, signIn } = createFixture()
    const id = await signIn()
    const tokens = store.tokenStore(id)
    const view = await tokens.open()
    assert.ok(view !== undefined)
    assert.equal(await tokens.commit('', view, { tokens: { scope: 'newer' } }), 'done')
    assert.equal(await tokens.endIf(view), false)
    advance(101)
    assert.equal((await store.takeExpired(id))?.subject, 'alice')
    const other = await signIn()
    const otherTokens = store.tokenStore(other)
    const otherView = await otherTokens.open()
    assert.equal(otherView && (await otherTokens.endIf(otherView)), true)
    assert.equal(await store.takeExpired(other), undefined)
  })

  test('are not known without the setting', async () => {
    const { store, advance, signIn } = createFixture({ remembersExpired: false })
    const id = await signIn()
    advance(101)
    assert.equal(await store.takeExpired(id), undefined)
  })
})
