import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Recent } from '../../lib/store/bounded-map.js'

test('what was kept is there, until as many others came after it', () => {
  const recent = new Recent<number>(3)
  assert.equal(recent.keep('a', 1), 1)
  recent.keep('b', 2)
  recent.keep('c', 3)
  assert.deepEqual(
    ['a', 'b', 'c'].map(key => recent.get(key)),
    [1, 2, 3],
  )
  recent.keep('d', 4)
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map(key => recent.get(key)),
    [undefined, 2, 3, 4],
  )
})

test('names of what every object has are names like others', () => {
  const recent = new Recent<number>(3)
  assert.deepEqual(
    ['__proto__', 'constructor'].map(key => recent.get(key)),
    [undefined, undefined],
  )
  recent.keep('__proto__', 1)
  assert.equal(recent.get('__proto__'), 1)
})

test('a million values leave no more than the limit', () => {
  const recent = new Recent<number>(10)
  for (let at = 0; at < 1_000_000; at += 1) recent.keep(String(at), at)
  assert.equal(recent.get('999989'), undefined)
  assert.equal(recent.get('999990'), 999_990)
})

test('what is kept anew is the newest, and takes the place of nothing else', () => {
  const recent = new Recent<number>(2)
  recent.keep('a', 1)
  recent.keep('b', 2)
  recent.keep('a', 3)
  assert.deepEqual(
    ['a', 'b'].map(key => recent.get(key)),
    [3, 2],
  )
  recent.keep('c', 4)
  assert.deepEqual(
    ['a', 'b', 'c'].map(key => recent.get(key)),
    [3, undefined, 4],
  )
})
