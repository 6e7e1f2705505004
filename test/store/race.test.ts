import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { RecordStore } from '../../lib/store/store.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import {
  dataOf,
  replaceTokens,
  StoreFixture,
  save,
  savedSession,
  signIn,
  storedData,
  ticket,
  tokens,
  visit,
} from './fixtures.js'

const trials = 1000
const fixture = new StoreFixture()
let server: RedisServer
let here: RecordStore
let elsewhere: RecordStore

before(async () => {
  server = await startRedis()
  here = fixture.stateOf('ioredis 6', server)
  elsewhere = fixture.stateOf('ioredis 5', server)
  await Promise.all([here.ping(), elsewhere.ping()])
})
after(async () => {
  await fixture.close()
  await server.stop()
})

/** Lets some round trips go by, a different number in each trial, so that the other side is met at each of its steps. */
async function wait(store: RecordStore, trial: number): Promise<void> {
  for (let count = trial % 4; count > 0; count -= 1) await store.ping()
}

describe('a slow request that saves while its session is ended', () => {
  const scenarios = [
    { name: 'in the same process', ender: () => here },
    { name: 'in another process', ender: () => elsewhere },
  ]
  for (const { name, ender } of scenarios) {
    test(`never brings it back, ended ${name}`, async () => {
      for (let trial = 0; trial < trials; trial += 1) {
        const id = await signIn(here)
        const slow = await visit(here, id)
        dataOf(slow).cart = trial
        const saving = wait(here, trial).then(() => save(slow))
        const ending = wait(ender(), trial >> 2).then(() => ender().end(id))
        const replacing = replaceTokens(here, id, { ticket: ticket(), tokens: tokens() })
        const [, ended] = await Promise.all([saving, ending, replacing])
        assert.notEqual(ended, undefined)
        await save(slow)
        assert.equal(await here.load(id), undefined, `trial ${trial}`)
      }
      assert.equal(await here.sessions.length(), 0)
    })
  }
})

describe('two requests that change different keys at the same time', () => {
  const scenarios = [
    { name: 'in one process', second: () => here },
    { name: 'in two processes', second: () => elsewhere },
  ]
  for (const { name, second } of scenarios) {
    test(`both keep their change, ${name}`, async () => {
      for (let trial = 0; trial < trials; trial += 1) {
        const id = await savedSession(here, { base: trial })
        const [one, two] = [await visit(here, id), await visit(second(), id)]
        dataOf(one).one = trial
        dataOf(two).two = trial
        await Promise.all([wait(here, trial).then(() => save(one)), wait(second(), trial >> 2).then(() => save(two))])
        assert.deepEqual(await storedData(here, id), { base: trial, one: trial, two: trial })
        await here.end(id)
      }
    })
  }

  test('twenty writers, half of them in another process, all keep their change', async () => {
    const id = await savedSession(here, {})
    const writers = Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? here : elsewhere))
    for (let round = 0; round < 25; round += 1) {
      const requests = await Promise.all(writers.map(store => visit(store, id)))
      for (const [at, req] of requests.entries()) dataOf(req)[`key ${at}`] = round
      await Promise.all(requests.map(save))
      const expected = Object.fromEntries(writers.map((_, at) => [`key ${at}`, round]))
      assert.deepEqual(await storedData(elsewhere, id), expected)
    }
  })
})

test('a refresh that finishes after a sign-out does not sign the user in again', async () => {
  for (let trial = 0; trial < trials; trial += 1) {
    const id = await signIn(here)
    const replacing = wait(elsewhere, trial).then(() =>
      replaceTokens(elsewhere, id, { ticket: ticket(), tokens: tokens() }),
    )
    const ending = wait(here, trial >> 2).then(() => here.end(id))
    const [, ended] = await Promise.all([replacing, ending])
    assert.notEqual(ended, undefined)
    assert.equal(await here.load(id), undefined)
    assert.equal(await here.readTokens(id), undefined)
  }
})
