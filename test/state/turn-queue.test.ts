import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTurnQueue } from '../../lib/state/turn-queue.js'

test('tasks of one key take turns in their order, those of another key do not wait', async () => {
  const takeTurn = createTurnQueue()
  const seen: string[] = []
  const task = (name: string) => async () => {
    seen.push(`${name} begins`)
    await new Promise(setImmediate)
    seen.push(`${name} ends`)
    return name
  }
  const results = await Promise.all([
    takeTurn('a', task('one')),
    takeTurn('a', task('two')),
    takeTurn('b', task('three')),
  ])
  assert.deepEqual(results, ['one', 'two', 'three'])
  assert.equal(seen.indexOf('one ends') < seen.indexOf('two begins'), true)
  assert.equal(seen.indexOf('three begins') < seen.indexOf('one ends'), true)
})

test('a task that fails tells its caller and lets the next one go', async () => {
  const takeTurn = createTurnQueue()
  const failing = takeTurn('a', () => Promise.reject(new Error('no')))
  const next = takeTurn('a', async () => 'yes')
  await assert.rejects(failing, { message: 'no' })
  assert.equal(await next, 'yes')
  assert.equal(await takeTurn('a', async () => 'again'), 'again')
})
