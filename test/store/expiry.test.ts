import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatExpiry, isExtensionDue, parseExpiry, ttlOf } from '../../lib/store/backend/expiry.js'

test('a life is read as it was written, and nothing else is read', () => {
  const life = { extendedAt: 100, endsAt: 200 }
  assert.deepEqual(parseExpiry(formatExpiry(life)), life)
  for (const text of [
    '',
    '100',
    '100:',
    ':200',
    'a:b',
    '1:2:3',
    '-1:2',
    '1.5:2',
    ' 1:2',
    '1:2\n',
    '1:9999999999999999',
  ]) {
    assert.equal(parseExpiry(text), undefined, JSON.stringify(text))
  }
})

test('a record lives as long as it may idle, and never past its end', () => {
  assert.equal(ttlOf(1000, 0, 60), 60)
  assert.equal(ttlOf(1000, 990, 60), 10)
})

test('an extension is due after a tenth of the idle life, or after five minutes', () => {
  const life = { extendedAt: 0, endsAt: 9999 }
  assert.equal(isExtensionDue(life, 5, 60), false)
  assert.equal(isExtensionDue(life, 6, 60), true)
  assert.equal(isExtensionDue(life, 299, 86_400), false)
  assert.equal(isExtensionDue(life, 300, 86_400), true)
})
