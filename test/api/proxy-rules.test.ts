import assert from 'node:assert/strict'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { describe, test } from 'node:test'
import { cachingHeaders } from '../../lib/api/proxy-caching.js'
import { hopByHop, isForwardable, isOwnedField } from '../../lib/api/proxy-fields.js'
import { checkConnection, type RequestFields, readFraming } from '../../lib/api/proxy-request.js'
import { createTokenCache } from '../../lib/tokens/token-cache.js'

/** RFC 9110 section 7.6.1, RFC 9113 section 8.2.2, and `HTTP2-Settings` of RFC 7540. */
const aboutOneConnection = [
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

const spellings = (name: string) => [name, name.toUpperCase(), name.replaceAll('-', '_')]

function fields(given: Readonly<Record<string, string>>): RequestFields {
  return new Map(Object.entries(given).map(([name, value]) => [name, [value]]))
}

function request(method: string, httpVersion = '1.1'): IncomingMessage {
  return Object.assign(new IncomingMessage(new Socket()), { method, httpVersion })
}

const ambiguous = { code: 'ERR_OIDC_API_REQUEST' }

describe('fields of a request', () => {
  test('whatever is about one connection is not forwarded, in no spelling, even where the site asks for it', () => {
    assert.deepEqual([...hopByHop].sort(), aboutOneConnection)
    for (const name of aboutOneConnection.flatMap(spellings)) assert.equal(isForwardable(name), false, name)
  })

  test('what the proxy sets, reads or ends itself is not forwarded, and `Connection` cannot name it', () => {
    const owned = ['authorization', 'content-length', 'cookie', 'cookie2', 'dpop', 'expect', 'host', 'max-forwards']
    for (const name of owned) {
      for (const spelling of spellings(name)) assert.equal(isForwardable(spelling), false, spelling)
      assert.equal(isOwnedField(name), true, name)
      assert.throws(() => checkConnection(fields({ connection: `close, ${name}` }), new Set()), ambiguous, name)
    }
  })

  test('`Connection` names neither a field that is forwarded nor one that the proxy needs, and may name any other', () => {
    const forwarded = new Set(['accept', 'if-match'])
    for (const name of ['accept', 'Accept', 'if-match', 'content-type', 'sec-fetch-site']) {
      assert.throws(() => checkConnection(fields({ connection: name }), forwarded), ambiguous, name)
    }
    for (const value of ['close', 'keep-alive', 'x-other', 'x-other, close', '']) {
      checkConnection(fields({ connection: value }), forwarded)
    }
  })
})

describe('the length of a body', () => {
  test('a transfer coding other than chunked is refused, alone or before it', () => {
    for (const coding of ['gzip', 'identity', 'gzip, chunked', 'chunked, chunked', 'chunked;q=1', 'xchunked', '']) {
      assert.throws(() => readFraming(fields({ 'transfer-encoding': coding }), request('POST')), ambiguous, coding)
    }
    for (const coding of ['chunked', 'Chunked', 'CHUNKED']) {
      assert.equal(readFraming(fields({ 'transfer-encoding': coding }), request('POST')), 'chunked')
    }
  })
})

describe('what a response says to caches', () => {
  test('it differs by cookie and by the fields of our own, whatever the API and the site say, each named once', () => {
    const varyOf = (api: string | undefined, site: string | undefined) =>
      cachingHeaders({ ...(api !== undefined && { vary: api }) }, { ...(site !== undefined && { vary: site }) }).vary
    const always = ['cookie', 'x-csrf', 'x-session-handle']
    for (const [api, site] of [
      [undefined, undefined],
      ['Accept', undefined],
      ['accept', 'Cookie'],
      ['COOKIE, Accept', 'Accept-Language'],
    ] as const) {
      const given = `${api ?? ''},${site ?? ''}`.split(',').map(name => name.trim().toLowerCase())
      const wanted = new Set([...given.filter(Boolean), ...always])
      const found = varyOf(api, site)
        .split(', ')
        .map(name => name.toLowerCase())
      assert.deepEqual(found.sort(), [...wanted].sort())
    }
    assert.equal(varyOf('*', 'Cookie'), '*')
  })
})

test('a token cache holds as many tokens as it may, and drops the one that was set first', () => {
  const cache = createTokenCache<{ readonly name: string; readonly expiresAt: number; readonly issuedAt: number }>(2)
  const token = (name: string) => ({ name, expiresAt: 0, issuedAt: 0 })
  for (const name of ['a', 'b']) cache.set(name, token(name))
  assert.equal(cache.get('a')?.name, 'a')
  cache.set('a', token('a again'))
  cache.set('c', token('c'))
  assert.deepEqual(
    ['a', 'b', 'c'].map(name => cache.get(name)?.name),
    ['a again', undefined, 'c'],
  )
})
