import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createExpiringMap } from '../../lib/store/backend/expiring-map.js'

test('an entry is absent from the moment it expires', () => {
  let now = 0
  const map = createExpiringMap<string>(() => now)
  map.set('a', 'x', 10)
  now = 9
  assert.equal(map.get('a')?.value, 'x')
  assert.deepEqual(map.keys(), ['a'])
  now = 10
  assert.equal(map.get('a'), undefined)
  assert.deepEqual(map.keys(), [])
})

test('sweeps give back expired entries, so many at a time, and get around to all of them', () => {
  let now = 0
  const map = createExpiringMap<number>(() => now)
  for (let at = 0; at < 100; at += 1) map.set(`${at}`, at, at % 2 === 0 ? 10 : 1000)
  now = 10
  assert.equal(map.size, 100)
  map.sweep(10)
  assert.equal(map.size, 95)
  for (let turn = 0; turn < 9; turn += 1) map.sweep(10)
  assert.equal(map.size, 50)
  assert.deepEqual(
    map
      .keys()
      .map(key => Number(key) % 2)
      .filter(rest => rest === 0),
    [],
  )
  map.sweep(1000)
  assert.equal(map.size, 50)
})

test('a deleted entry is gone', () => {
  const map = createExpiringMap<string>(() => 0)
  map.set('a', 'x', 10)
  map.delete('a')
  assert.equal(map.get('a'), undefined)
  assert.equal(map.size, 0)
})
