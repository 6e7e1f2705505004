import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  checkNoSecrets,
  checkNothingPersonal,
  findSecrets,
  keepPersonal,
  keepSecret,
  parseSecretsFile,
  secret,
} from './secrets.js'

const value = 'a secret/with+odd~characters?'
const secrets = new Map([[value, 'odd']])
const plain = new Map([['abcdefghijklmnopqrstuvwx', 'plain']])

describe('a secret is found', () => {
  const texts: Record<string, string> = {
    'as it is': `x ${value} y`,
    'in a URL component': `?a=${encodeURIComponent(value)}&b`,
    'in a form body': new URLSearchParams({ a: value, b: '1' }).toString(),
    'in base64': Buffer.from(value).toString('base64'),
    'in base64url': Buffer.from(value).toString('base64url'),
    'in base64, behind one byte and before others': Buffer.from(`1${value}tail`).toString('base64'),
    'in base64, behind two bytes and before others': Buffer.from(`12${value}tail.`).toString('base64'),
    'in base64url, behind three bytes and before others': Buffer.from(`123${value}tail..`).toString('base64url'),
  }
  for (const [name, text] of Object.entries(texts)) {
    test(name, () => assert.equal(findSecrets(text, secrets)[0]?.label, 'odd'))
  }

  test('at the very start and at the very end', () => {
    const [text] = plain.keys()
    assert.equal(findSecrets(`${text}`, plain).length, 1)
  })

  test('every time, with its line', () => {
    const leaks = findSecrets(`one\n${value}\n\n${value}`, secrets)
    assert.deepEqual(
      leaks.map(leak => [leak.form, leak.line]),
      [
        ['raw', 2],
        ['raw', 4],
      ],
    )
  })

  test('among others that end alike', () => {
    const many = new Map([...Array(50).keys()].map(n => [`<${n}>-the-same-ending-for-all`, `${n}`]))
    assert.deepEqual(
      findSecrets('x <17>-the-same-ending-for-all', many).map(leak => leak.label),
      ['17'],
    )
  })
})

test('a secret that is added between two searches is found by the second', () => {
  const growing = new Map([['abcdefghijklmnopqrstuvwx', 'first']])
  assert.deepEqual(findSecrets('xxxxxxxxxxxxxxxxxxxxxx', growing), [])
  growing.set('0123456789012345678901', 'second')
  assert.equal(findSecrets('0123456789012345678901', growing)[0]?.label, 'second')
  assert.equal(findSecrets('abcdefghijklmnopqrstuvwx', growing)[0]?.label, 'first')
})

test('a part of a secret is not a leak', () => {
  assert.deepEqual(findSecrets(value.slice(0, -1) + value.slice(1), secrets), [])
})

test('secrets are random, recognisable and known to the process', () => {
  const one = secret('one')
  assert.match(one, /^s3cr3t-[0-9a-f]{32}$/)
  assert.notEqual(one, secret('one'))
  assert.throws(() => checkNoSecrets(`log: ${one}`, 'the log'), /the log holds the secret "one" \(raw\) in line 1/)
  checkNoSecrets('log: nothing', 'the log')
})

test('a value too short to be searched for is refused', () => {
  assert.throws(() => keepSecret('pin', '123456'), RangeError)
})

test('labels and values survive the file', () => {
  const text = `${JSON.stringify(['a "label"', 'line\nbreak and more than 16'])}\n`
  assert.deepEqual([...parseSecretsFile(text)], [['line\nbreak and more than 16', 'a "label"']])
})

test('what is personal may be on a page and not in a log', () => {
  const address = keepPersonal('e-mail address', 'user@example.com')
  checkNoSecrets(address, 'a page')
  assert.throws(
    () => checkNothingPersonal(`sent to ${encodeURIComponent(address)}`, 'the log'),
    /holds "e-mail address"/,
  )
  assert.throws(() => checkNothingPersonal(secret('key'), 'the log'), /holds the secret "key"/)
  checkNothingPersonal('sent to a client', 'the log')
})
