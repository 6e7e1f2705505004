import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { diffSessions, formatSession, mergeSession, pickSession } from '../../lib/store/session-changes.js'

const changes = (before: object, after: object) =>
  Object.fromEntries(diffSessions(JSON.stringify(before), JSON.stringify(after)))

test('a difference names the top-level keys that were added, changed and removed', () => {
  assert.deepEqual(changes({ a: 1, b: 1, c: 1 }, { a: 1, b: 2, d: 3 }), { b: '2', c: undefined, d: '3' })
  assert.deepEqual(changes({ deep: { x: [1] } }, { deep: { x: [1, 2] } }), { deep: '{"x":[1,2]}' })
  assert.deepEqual(changes({ a: 1, b: 2 }, { b: 2, a: 1 }), {})
})

test('a merge applies them and leaves the rest', () => {
  const merged = mergeSession('{"a":1,"b":1,"other":true}', diffSessions('{"a":1,"b":1}', '{"b":2,"c":3}'))
  assert.deepEqual(JSON.parse(merged), { b: 2, c: 3, other: true })
  assert.equal(mergeSession('{}', new Map()), '{}')
})

test('the cookie is no data', () => {
  assert.equal(formatSession({ cookie: { path: '/' }, a: 1, none: undefined }), '{"a":1}')
})

test('a pick has the chosen keys and no others', () => {
  assert.deepEqual(JSON.parse(pickSession('{"a":1,"b":[2],"c":3}', ['c', 'a', 'x', 'toString'])), { a: 1, c: 3 })
})

test('the change that leads from one to the other leads from one to the other, whatever they are', () => {
  const data = fc.dictionary(fc.string(), fc.jsonValue())
  fc.assert(
    fc.property(data, data, data, (before, after, other) => {
      const [from, to] = [JSON.stringify(before), JSON.stringify(after)]
      const difference = diffSessions(from, to)
      assert.deepEqual(diffSessions(mergeSession(from, difference), to).size, 0)
      // Keys of other writers are not changed.
      const merged = new Map(Object.entries(JSON.parse(mergeSession(JSON.stringify(other), difference))))
      for (const [key, value] of Object.entries(JSON.parse(JSON.stringify(other)))) {
        if (!difference.has(key)) assert.deepEqual(merged.get(key), value)
      }
    }),
    { seed: 1, numRuns: 300 },
  )
})

test('keys that mean something to objects are data like any other', () => {
  const merged = mergeSession('{}', diffSessions('{}', '{"__proto__":{"admin":true},"constructor":1}'))
  assert.equal(merged, '{"__proto__":{"admin":true},"constructor":1}')
  assert.equal(({} as Record<string, unknown>).admin, undefined)
})
