import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseReturnTo } from '../../lib/protocol/return-to.js'

const baseUrl = 'https://rp.example/app'
const ours = 'https://rp.example'

const accepted = [
  ['/', '/'],
  ['/claims', '/claims'],
  ['/claims?a=1&b=//evil.example#top', '/claims?a=1&b=//evil.example#top'],
  ['/a/../b', '/b'],
  ['/a//b', '/a//b'],
  ['/search?q=a b', '/search?q=a%20b'],
  ['/straße', '/stra%C3%9Fe'],
  ['/%2f%2fevil.example', '/%2f%2fevil.example'],
  ['/%5cevil.example', '/%5cevil.example'],
  ['?page=2', '/app?page=2'],
  ['claims', '/claims'],
  ['https://rp.example/claims?a=1', '/claims?a=1'],
  ['https://RP.example:443/claims', '/claims'],
  ['https://rp.example', '/'],
  ['//rp.example/claims', '/claims'],
  ['/:80', '/:80'],
] as const

for (const [input, expected] of accepted) {
  test(`${input} is the place ${expected} of this site`, () => {
    assert.equal(parseReturnTo(input, baseUrl), expected)
  })
}

const refused: readonly unknown[] = [
  undefined,
  null,
  42,
  true,
  ['/claims'],
  { toString: () => '/claims' },
  new URL('https://rp.example/claims'),
  '',
  'https://evil.example/',
  '//evil.example',
  '///evil.example',
  '/\\evil.example',
  '/claims?next=\\x',
  'http://rp.example/',
  'https://rp.example:444/',
  'https://rp.example.evil/',
  'https://evil-rp.example/',
  'https://rp.example./',
  'https://rp.example@evil.example/',
  'javascript:alert(1)',
  'data:text/html,x',
  'blob:https://rp.example/x',
  'about:blank',
  'https://',
  'https://[',
  '/.//evil.example',
  '/a/..//evil.example',
  '/a/%2e%2e//evil.example',
  'https://rp.example//evil.example',
  '/\t/evil.example',
  '/\n/evil.example',
  '/claims\r\nSet-Cookie: a=b',
  '/\u0000',
  '/\u007f',
  '/\u0085/evil.example',
  '/\u2028/evil.example',
  '/\u2029',
  ' //evil.example',
]

for (const input of refused) {
  test(`${typeof input} ${JSON.stringify(input)} is no place on this site`, () => {
    assert.equal(parseReturnTo(input, baseUrl), undefined)
  })
}

test('a place has at most 2048 characters, before and after it is written as a URL', () => {
  assert.equal(parseReturnTo(`/${'x'.repeat(2047)}`, baseUrl)?.length, 2048)
  assert.equal(parseReturnTo(`/${'x'.repeat(2048)}`, baseUrl), undefined)
  assert.equal(parseReturnTo(`/${'é'.repeat(340)}`, baseUrl)?.length, 2041)
  assert.equal(parseReturnTo(`/${'é'.repeat(342)}`, baseUrl), undefined)
  assert.equal(parseReturnTo(`https://rp.example/${'../'.repeat(700)}`, baseUrl), undefined)
})

test('a site that speaks http on this machine is a site, too', () => {
  assert.equal(parseReturnTo('http://localhost:3000/claims', 'http://localhost:3000'), '/claims')
  assert.equal(parseReturnTo('http://localhost:3001/claims', 'http://localhost:3000'), undefined)
  assert.equal(parseReturnTo('https://localhost:3000/claims', 'http://localhost:3000'), undefined)
})

/** What every response has to be, whatever was asked. */
function assertHarmless(input: string): boolean {
  const path = parseReturnTo(input, baseUrl)
  if (path === undefined) return false
  assert.match(path, /^\/(?![/\\])[\x21-\x7e]*$/, `${JSON.stringify(input)} -> ${path}`)
  for (const page of [ours, baseUrl, `${ours}/deep/page?x=/#y`]) assert.equal(new URL(path, page).origin, ours, path)
  assert.equal(parseReturnTo(path, baseUrl), path)
  return true
}

const prefixes = [
  ...[
    '',
    '/',
    '//',
    '///',
    '/\\',
    '\\/',
    '\\\\',
    '/%09/',
    '/\t/',
    '/\n/',
    '/\v/',
    '/\f/',
    '/ /',
    '/./',
    '/.//',
    '/..;/',
  ],
  ...[
    '/\u00a0/',
    '/\u0085/',
    '/\u2028/',
    '/%5c',
    '/%2f',
    'https:',
    'https:/',
    'https://',
    'https:///',
    'hTTps://',
    'http://',
  ],
  ...['javascript:', 'data:', 'blob:https://', '\u0001javascript:', ' //', '@', '?', '#'],
]

const hosts = [
  ...[
    'evil',
    'evil.example',
    'rp.example@evil',
    'rp.example.evil',
    'evil%E3%80%82com',
    'evil。com',
    'evil．com',
    '[::ffff:127.0.0.1]',
  ],
  ...[
    '0x7f.1',
    '0x7f000001',
    'rp.example:443@evil',
    'rp.example%40evil',
    'evil#rp.example',
    'evil?rp.example',
    'evil\\@rp.example',
  ],
  ...['user:word@rp.example', 'rp.example:444', 'rp.example.', 'rp.example', 'xn--rp-example', '\ud800evil'],
]

const suffixes = ['', '/', '/%2f..', '/..', '//', '/..//evil', '%00', '?', '#', '/\\..', ':80']

const percent = (text: string) => [...Buffer.from(text)].map(byte => `%${byte.toString(16).padStart(2, '0')}`).join('')

const encodings: readonly ((text: string) => string)[] = [
  text => text,
  percent,
  text => percent(percent(text)),
  text =>
    percent(text).replace(/[a-f]/g, (letter, offset: number) => (offset % 2 === 0 ? letter.toUpperCase() : letter)),
  text => text.replaceAll('/', '%c0%af').replaceAll('\\', '%c1%9c'),
  text => text.replace(/[/\\:@.]/g, percent),
  decodedOnce,
]

function decodedOnce(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

test('no payload of the attack grammar leads off this site', () => {
  let payloads = 0
  let places = 0
  for (const prefix of prefixes) {
    for (const host of hosts) {
      for (const suffix of suffixes) {
        for (const encode of encodings) {
          payloads += 1
          if (assertHarmless(encode(prefix + host + suffix))) places += 1
          if (assertHarmless(prefix + encode(host + suffix))) places += 1
        }
      }
    }
  }
  assert.ok(payloads > 50_000, `only ${payloads} payloads`)
  assert.ok(places > 1_000, `only ${places} of them were read as places, so the grammar proves little`)
})

test('no text made of the letters URLs are made of leads off this site', () => {
  const letter = fc.constantFrom(
    ...'/\\:@?#.;%&= \t\n\r\u0000\u0001\u007f\u0085\u00a0\u2028\ufeff。／＼\ud800[]',
    ...[
      '//',
      '..',
      '/./',
      '/../',
      '%2f',
      '%5C',
      '%2e',
      '%09',
      'https:',
      'http:',
      'javascript:',
      'evil.example',
      'rp.example',
      'a',
    ],
  )
  let places = 0
  fc.assert(
    fc.property(fc.array(letter, { maxLength: 12 }), letters => {
      if (assertHarmless(letters.join(''))) places += 1
    }),
    { seed: 20250101, numRuns: 20_000 },
  )
  assert.ok(places > 1_000, `only ${places} texts were read as places`)
})

test('no text at all leads off this site', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.webUrl(), fc.string()), text => {
      assertHarmless(text)
      assertHarmless(`/${text}`)
    }),
    { seed: 20250101, numRuns: 5000 },
  )
})

test('each of several sites that ask in turn gets its own places, and none of another', () => {
  const sites = ['https://a.example', 'https://b.example', 'https://b.example:8443/app']
  for (let round = 0; round < 2; round += 1) {
    for (const site of sites) {
      for (const other of sites) {
        const expected = site === other ? '/page' : undefined
        assert.equal(parseReturnTo(`${new URL(other).origin}/page`, site), expected)
      }
    }
  }
})
