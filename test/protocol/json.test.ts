import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isJsonObject, isStringArray, parseJson } from '../../lib/protocol/json.js'

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

test('whole numbers that JavaScript would round are read as text with every digit', () => {
  const text =
    '{"id":9007199254740993,"low":-9007199254740993,"list":[12345678901234567890, 1],"deep":{"x":10000000000000000001}}'
  assert.deepEqual(parseJson(text), {
    id: '9007199254740993',
    low: '-9007199254740993',
    list: ['12345678901234567890', 1],
    deep: { x: '10000000000000000001' },
  })
})

test('other numbers, and digits inside of texts and names, stay as they are', () => {
  const text = String.raw`{"9007199254740993":"9007199254740993","q":"\":9007199254740993,","max":9007199254740991,"f":1234567890123456789.5,"e":1e30,"s":"\\"}`
  assert.deepEqual(parseJson(text), JSON.parse(text))
  assert.deepEqual(parseJson('[1, null, true, "x"]'), [1, null, true, 'x'])
  assert.throws(() => parseJson('{"a":9007199254740993'), SyntaxError)
})

test('a numeric sub stays one, however large, so that it is refused', () => {
  assert.equal(typeof (parseJson('{"sub":9007199254740993,"id":9007199254740993}') as { sub: unknown }).sub, 'number')
  assert.equal((parseJson('{"sub":9007199254740993,"id":9007199254740993}') as { id: unknown }).id, '9007199254740993')
})

test('a list of strings holds nothing but strings', () => {
  assert.equal(isStringArray([]), true)
  assert.equal(isStringArray(['a', 'b']), true)
  for (const value of [undefined, null, 'a', ['a', 1], [['a']], { 0: 'a', length: 1 }])
    assert.equal(isStringArray(value), false)
})
