import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { hostsOf, parseHost, withoutDefaultPort } from '../../lib/protocol/host.js'

describe('a Host', () => {
  test('is read in the one spelling that a URL has for it', () => {
    const spellings = [
      ['www.example.com', 'www.example.com'],
      ['WWW.Example.COM:8443', 'www.example.com:8443'],
      ['localhost:80', 'localhost:80'],
      ['localhost:443', 'localhost:443'],
      ['127.0.0.1:3000', '127.0.0.1:3000'],
      ['[::1]:3000', '[::1]:3000'],
      ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
      ['a_b.example', 'a_b.example'],
    ] as const
    for (const [text, host] of spellings) assert.equal(parseHost(text), host, text)
  })

  test('that a URL could write in another way, or that is none, is none', () => {
    const refused = [
      '',
      ' ',
      'www.example.com.',
      'www..example.com',
      '.example.com',
      'user@www.example.com',
      'user:password@www.example.com',
      'www.example.com/',
      'www.example.com\\evil.example',
      'www.example.com?x',
      'www.example.com#x',
      'www.example.com, evil.example',
      'www.example.com evil.example',
      'www.example.com\tx',
      'www.example.com:',
      'www.example.com:0443',
      'www.example.com:99999',
      'www.example.com:-1',
      'www.example.com:443:443',
      'b\u00fccher.example',
      'www.example.com\u3002evil.example',
      'xn--a.example',
      '127.1',
      '0x7f.0.0.1',
      '0177.0.0.1',
      '2130706433',
      '[0:0:0:0:0:0:0:1]',
      '[::1',
      '::1',
      '[::1%25eth0]',
      '%77ww.example.com',
      'https://www.example.com',
      `${'a'.repeat(64)}.`.repeat(5),
    ]
    assert.deepEqual(
      refused.filter(text => parseHost(text) !== undefined),
      [],
    )
  })

  test('is that of the URL which is made of it, whatever was sent', () => {
    const pieces = fc.constantFrom(
      'a',
      'B',
      '0',
      '1',
      '.',
      ':',
      '-',
      '_',
      '@',
      '[',
      ']',
      '/',
      '\\',
      '%',
      '80',
      '443',
      'xn--',
      '\u00fc',
      ' ',
    )
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), parts => {
        const host = parseHost(parts.join(''))
        if (host !== undefined) assert.ok(hostsOf(new URL(`http://${host}`)).includes(host), host)
      }),
    )
  })
})

test('a request for a URL has its host, and perhaps the port that is the default', () => {
  assert.deepEqual(hostsOf(new URL('https://a.example/app')), ['a.example', 'a.example:443'])
  assert.deepEqual(hostsOf(new URL('http://localhost')), ['localhost', 'localhost:80'])
  assert.deepEqual(hostsOf(new URL('https://a.example:8443')), ['a.example:8443'])
  assert.deepEqual(['a.example:443', 'a.example', 'a.example:4430'].map(withoutDefaultPort), [
    'a.example',
    'a.example',
    'a.example:4430',
  ])
})
