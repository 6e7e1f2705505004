import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBudget } from '../../lib/provider/budget.js'
import { createClock } from './support.js'

function setUp() {
  const clock = createClock()
  const budget = createBudget({ burst: 3, interval: 10, now: clock.now })
  const takeAll = () => {
    let taken = 0
    while (budget.take()) taken += 1
    return taken
  }
  return { clock, takeAll }
}

test('as many as the burst can be taken at once', () => {
  assert.equal(setUp().takeAll(), 3)
})

test('one more is there after each interval, and the fraction of the next is not lost', () => {
  const { clock, takeAll } = setUp()
  takeAll()
  clock.advance(9.999)
  assert.equal(takeAll(), 0)
  clock.advance(0.001)
  assert.equal(takeAll(), 1)
  clock.advance(15)
  assert.equal(takeAll(), 1)
  clock.advance(5)
  assert.equal(takeAll(), 1)
})

test('a long rest brings back the burst and no more', () => {
  const { clock, takeAll } = setUp()
  takeAll()
  clock.advance(10_000)
  assert.equal(takeAll(), 3)
})

test('a clock that was set back neither gives anything nor blocks what comes after', () => {
  const { clock, takeAll } = setUp()
  takeAll()
  clock.advance(-10_000)
  assert.equal(takeAll(), 0)
  clock.advance(10)
  assert.equal(takeAll(), 1)
})
