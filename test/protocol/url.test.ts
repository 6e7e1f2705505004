import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLoopback, isSecureUrl } from '../../lib/protocol/url.js'

const loopback = [
  'http://localhost:3000/',
  'http://site.localhost/',
  'http://127.0.0.1:8080/',
  'http://127.255.0.9/',
  'http://0x7f.1/',
  'http://2130706433/',
  'http://[::1]:3000/',
]

const elsewhere = [
  'http://example.com/',
  'http://localhost.example.com/',
  'http://notlocalhost/',
  'http://127.0.0.1.example.com/',
  'http://128.0.0.1/',
  'http://10.0.0.1/',
  'http://0.0.0.0/',
  'http://[::ffff:127.0.0.1]/',
  'http://[::2]/',
]

for (const text of loopback) {
  test(`${text} is this machine, and plain http will do`, () => {
    assert.equal(isLoopback(new URL(text)), true)
    assert.equal(isSecureUrl(new URL(text)), true)
  })
}

for (const text of elsewhere) {
  test(`${text} is not this machine, and plain http will not do`, () => {
    assert.equal(isLoopback(new URL(text)), false)
    assert.equal(isSecureUrl(new URL(text)), false)
  })
}

test('https will do anywhere', () => {
  assert.equal(isSecureUrl(new URL('https://op.example/token')), true)
})

for (const text of ['https://user@op.example/', 'https://:word@op.example/', 'http://user:word@localhost/']) {
  test(`credentials in ${text} are refused`, () => {
    assert.equal(isSecureUrl(new URL(text)), false)
  })
}

for (const text of [
  'ftp://localhost/',
  'file:///etc/passwd',
  'data:text/plain,x',
  'ws://localhost/',
  'javascript:alert(1)',
]) {
  test(`the scheme of ${text} is refused`, () => {
    assert.equal(isSecureUrl(new URL(text)), false)
  })
}
