import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isJsonObject, isStringArray } from '../../lib/protocol/json.js'

function nested(levels: number): unknown {
  return JSON.parse(`${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`)
}

test('an object is a JSON object, down to 32 levels', () => {
  assert.equal(isJsonObject({}), true)
  assert.equal(isJsonObject({ a: [{ b: null }] }), true)
  assert.equal(isJsonObject(nested(32)), true)
  assert.equal(isJsonObject(nested(33)), false)
})

test('a text that would exhaust the stack is refused instead', () => {
  assert.equal(isJsonObject(nested(100_000)), false)
  assert.equal(isJsonObject({ a: JSON.parse('['.repeat(100_000) + ']'.repeat(100_000)) }), false)
})

test('nothing else is a JSON object', () => {
  for (const value of [undefined, null, [], 'text', 42, true]) assert.equal(isJsonObject(value), false)
})

test('a list of strings holds nothing but strings', () => {
  assert.equal(isStringArray([]), true)
  assert.equal(isStringArray(['a', 'b']), true)
  for (const value of [undefined, null, 'a', ['a', 1], [['a']], { 0: 'a', length: 1 }])
    assert.equal(isStringArray(value), false)
})
