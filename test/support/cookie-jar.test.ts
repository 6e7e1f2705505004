import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createCookieJar, type RequestContext, siteOf } from './cookie-jar.js'

const site = 'http://localhost:3000/callback'
const typed: RequestContext = { method: 'GET', isTopLevel: true, initiator: undefined }
const link: RequestContext = { method: 'GET', isTopLevel: true, initiator: 'http://127.0.0.1:4000/authorize' }
const formPost: RequestContext = { ...link, method: 'POST' }
const frame: RequestContext = { ...link, isTopLevel: false }
const ownPost: RequestContext = { method: 'POST', isTopLevel: true, initiator: 'http://localhost:9999/other-port' }

function jarWith(header: string, url = site, context = typed) {
  const jar = createCookieJar(() => 1_000_000)
  jar.set(url, header, context)
  return jar
}

describe('the site of a URL', () => {
  const pairs: [string, string, boolean][] = [
    ['http://localhost:1', 'http://localhost:2', true],
    ['http://localhost', 'http://127.0.0.1', false],
    ['http://127.0.0.1', 'http://127.0.0.2', false],
    ['http://[::1]:1', 'http://[::1]:2', true],
    ['https://www.example.com', 'https://login.example.com:8443', true],
    ['https://www.example.com', 'http://www.example.com', false],
    ['https://a.example.com', 'https://a.example.org', false],
    ['http://a.localhost', 'http://b.localhost', false],
  ]
  for (const [a, b, same] of pairs) {
    test(`${a} and ${b} are ${same ? 'one site' : 'two sites'}`, () => assert.equal(siteOf(a) === siteOf(b), same))
  }
})

describe('a cookie is sent', () => {
  const contexts = { typed, link, formPost, frame, ownPost }
  const expected: Record<string, (keyof typeof contexts)[]> = {
    'a=1; SameSite=Strict': ['typed', 'ownPost'],
    'a=1; SameSite=Lax': ['typed', 'link', 'ownPost'],
    'a=1': ['typed', 'link', 'ownPost'],
    'a=1; SameSite=nonsense': ['typed', 'link', 'ownPost'],
    'a=1; samesite=NONE; secure': ['typed', 'link', 'formPost', 'frame', 'ownPost'],
  }
  for (const [header, names] of Object.entries(expected)) {
    test(`"${header}" with ${names.join(', ')} only`, () => {
      const jar = jarWith(header)
      const sent = Object.entries(contexts).filter(([, context]) => jar.header(site, context) === 'a=1')
      assert.deepEqual(
        sent.map(([name]) => name),
        names,
      )
    })
  }
})

describe('where a cookie goes', () => {
  const rows: [string, string, string, boolean][] = [
    ['a=1', 'http://www.example.com/', 'http://example.com/', false],
    ['a=1', 'http://example.com/', 'http://www.example.com/', false],
    ['a=1; Domain=example.com', 'http://www.example.com/', 'http://api.example.com/', true],
    ['a=1; Domain=.Example.com', 'http://www.example.com/', 'http://example.com/', true],
    ['a=1; Domain=example.com', 'http://www.example.com/', 'http://badexample.com/', false],
    ['a=1', 'http://localhost/dir/page', 'http://localhost/dir/other', true],
    ['a=1', 'http://localhost/dir/page', 'http://localhost/', false],
    ['a=1; Path=/', 'http://localhost/dir/page', 'http://localhost/', true],
    ['a=1; Path=/dir', 'http://localhost/', 'http://localhost/directory', false],
    ['a=1; Path=/dir', 'http://localhost/', 'http://localhost/dir/x', true],
    ['a=1; Path=relative', 'http://localhost/x', 'http://localhost/y', true],
    ['a=1; Secure', 'https://example.com/', 'http://example.com/', false],
    ['a=1; Secure', 'https://example.com/', 'https://example.com/', true],
    ['a=1; Secure', 'http://localhost:1/', 'http://localhost:2/', true],
  ]
  for (const [header, from, to, arrives] of rows) {
    test(`"${header}" of ${from} ${arrives ? 'goes' : 'does not go'} to ${to}`, () => {
      const jar = jarWith(header, from)
      assert.deepEqual(jar.rejected, [])
      assert.equal(jar.header(to, typed), arrives ? 'a=1' : undefined)
    })
  }
})

describe('a cookie is refused', () => {
  const rows: Record<string, [header: string, url?: string, context?: RequestContext]> = {
    'SameSite=None without Secure': ['a=1; SameSite=None'],
    'Secure over plain http': ['a=1; Secure', 'http://example.com/'],
    '__Host- without Secure': ['__Host-a=1; Path=/'],
    '__Host- without Path=/': ['__Host-a=1; Secure; Path=/callback'],
    '__Host- with Domain': ['__HOST-a=1; Secure; Path=/; Domain=example.com', 'https://example.com/'],
    '__Secure- without Secure': ['__secure-a=1'],
    'prefix in a cookie without a name': ['=__Host-a=1; Path=/'],
    'Domain does not cover the host': ['a=1; Domain=other.com', 'https://example.com/'],
    'Domain is a public suffix': ['a=1; Domain=com', 'https://example.com/'],
    'longer than 4096 characters': [`a=${'x'.repeat(4096)}`],
    'control character': ['a=1\x01'],
    'neither name nor value': ['; Path=/'],
    'SameSite cookie in a response to a cross-site request': ['a=1; SameSite=Lax', site, frame],
  }
  for (const [reason, [header, url, context]] of Object.entries(rows)) {
    test(reason, () => {
      const jar = jarWith(header, url, context)
      assert.deepEqual(
        jar.rejected.map(rejected => rejected.reason),
        [reason],
      )
      assert.deepEqual(jar.all(), [])
    })
  }

  test('but a correct __Host- cookie is kept, and without Path it is refused even at the root', () => {
    assert.equal(jarWith('__Host-a=1; Secure; Path=/').header(site, typed), '__Host-a=1')
    assert.equal(jarWith('__Host-a=1; Secure', 'http://localhost/').all().length, 0)
  })

  test('but a Lax cookie set in the response to a cross-site form post is kept', () => {
    assert.equal(jarWith('a=1; SameSite=Lax', 'http://localhost/', formPost).header(site, link), 'a=1')
  })

  test('but a SameSite=None cookie set in a frame is kept', () => {
    assert.equal(jarWith('a=1; SameSite=None; Secure; Path=/', site, frame).header(site, frame), 'a=1')
  })
})

describe('a cookie ends', () => {
  const rows: [string, boolean][] = [
    ['a=1; Max-Age=1', true],
    ['a=1; Max-Age=0', false],
    ['a=1; Max-Age=-5', false],
    ['a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT', false],
    ['a=1; Expires=Thu, 01 Jan 2099 00:00:00 GMT', true],
    ['a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=100', true],
    ['a=1; Expires=never', true],
  ]
  for (const [header, lives] of rows) {
    test(`or not: "${header}"`, () => assert.equal(jarWith(header).list(site).length, lives ? 1 : 0))
  }

  test('when its time has come', () => {
    let time = 0
    const jar = createCookieJar(() => time)
    jar.set(site, 'a=1; Max-Age=10', typed)
    time = 9_999
    assert.equal(jar.header(site, typed), 'a=1')
    time = 10_000
    assert.equal(jar.header(site, typed), undefined)
  })

  test('when the site says so, with the same name, host and path', () => {
    const jar = jarWith('a=1; Path=/')
    jar.set(site, 'a=; Path=/other; Max-Age=0', typed)
    assert.equal(jar.header(site, typed), 'a=1')
    jar.set(site, 'a=; Path=/; Max-Age=0', typed)
    assert.equal(jar.header(site, typed), undefined)
  })
})

test('cookies with longer paths come first, then older ones', () => {
  const jar = createCookieJar(() => 0)
  for (const header of ['a=1; Path=/', 'b=2; Path=/', 'c=3; Path=/callback', 'a=4; Path=/'])
    jar.set(site, header, typed)
  assert.equal(jar.header(site, typed), 'c=3; a=4; b=2')
})
