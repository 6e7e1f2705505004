import assert from 'node:assert/strict'
import { test } from 'node:test'
import { printable, sanitize } from '../../lib/protocol/printable.js'

test('an untrusted text is reduced to printable ASCII', () => {
  assert.equal(printable('a\r\n\u001b[2Jb\u0000é\u202e~'), 'a[2Jb~')
  assert.equal(printable('x'.repeat(300)).length, 200)
  assert.equal(printable('abc', 2), 'ab')
})

test('details are small, whatever they are taken from', () => {
  assert.equal(sanitize('a\nb'), 'ab')
  assert.equal(sanitize(42), 42)
  assert.equal(sanitize(null), null)
  assert.equal(sanitize(undefined), undefined)
  assert.equal(sanitize({ secret: 'x' }), 'object')
  assert.deepEqual(sanitize(['a\nb', 1, { secret: 'x' }]), ['ab', 'number', 'object'])
  assert.deepEqual(sanitize(Array(500).fill('x')), Array(10).fill('x'))
})
