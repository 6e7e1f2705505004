import assert from 'node:assert/strict'
import { IncomingMessage, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { Socket } from 'node:net'
import { describe, test } from 'node:test'
import express5 from 'express'
import fc from 'fast-check'
import { addVary, isAnswerable, onlyParameter, pathOf, queryOf, responseFor } from '../../lib/http/node-http.js'

const express4 = createRequire(import.meta.url)('express4') as typeof express5

const word = fc.stringMatching(/^[\w%+.~;,@!$'()*:|[\]-]{0,12}$/)
const path = fc.array(word, { maxLength: 4 }).map(words => `/${words.join('/')}`)
const query = fc.array(
  fc.tuple(
    fc.stringMatching(/^[a-z_]{1,6}$/),
    fc.stringMatching(/^([\w+.~/?:@!$'()*,;-]|%2[0-9A-F]|%C3%A4|%zz){0,12}$/),
  ),
  { maxLength: 4 },
)
const target = fc
  .tuple(fc.constantFrom('', '', '', 'http://localhost:3000'), path, query)
  .map(([host, path, query]) => ({
    url: `${host}${path}${query.length === 0 ? '' : `?${query.map(pair => pair.join('=')).join('&')}`}`,
    names: query.map(([name]) => name),
  }))

const hostTarget = (url: string): [{ url: string; names: string[] }] => [{ url, names: [] }]

/** Express escapes these two where the target names a host, and only there. */
const unescaped = (path: string) => path.replaceAll('%27', "'").replaceAll(/%7c/gi, '|')

for (const [version, express] of [
  ['4', express4],
  ['5', express5],
] as const) {
  /** A request as Express would hand it on. */
  const requestOf = (url: string) => {
    const app = express()
    app.set('query parser', 'simple')
    const req = Object.setPrototypeOf(new IncomingMessage(new Socket()), app.request) as express5.Request
    req.url = url
    // Express 4 parses the query in a middleware of its own.
    const parse = app.get('query parser fn') as (text: string) => Record<string, unknown>
    return { req, query: parse(url.split('?').slice(1).join('?')) }
  }

  describe(`a request that was not touched by Express ${version} has`, () => {
    test('the same path', () => {
      fc.assert(
        fc.property(target, ({ url }) => {
          // A path of two slashes is a host to the parser of Express 4.
          fc.pre(!url.startsWith('//'))
          assert.equal(unescaped(pathOf({ url })), unescaped(requestOf(url).req.path))
        }),
        { numRuns: 300, examples: [hostTarget("http://localhost:3000/'"), hostTarget('http://localhost:3000/|')] },
      )
    })

    test('the same parameters, where each is there once', () => {
      fc.assert(
        fc.property(target, ({ url, names }) => {
          const { query } = requestOf(url)
          for (const name of names) {
            const expected = query[name]
            assert.equal(onlyParameter(queryOf({ url }), name), typeof expected === 'string' ? expected : undefined)
          }
        }),
        { numRuns: 300 },
      )
    })
  })

  test(`Vary becomes what res.vary() of Express ${version} makes of it`, () => {
    const fields = fc.array(fc.constantFrom('Cookie', 'cookie', 'Accept', '*', 'Accept-Encoding', 'X-Cookie'), {
      maxLength: 3,
    })
    fc.assert(
      fc.property(fields, fc.boolean(), (fields, isList) => {
        const make = () => {
          const res = new ServerResponse(new IncomingMessage(new Socket()))
          if (fields.length > 0) res.setHeader('Vary', isList ? fields : fields.join(', '))
          return res
        }
        const [ours, theirs] = [make(), Object.setPrototypeOf(make(), express().response) as express5.Response]
        addVary(ours, 'Cookie')
        theirs.vary('Cookie')
        const named = (res: ServerResponse) => String(res.getHeader('Vary')).toLowerCase().split(/, ?/)
        // `vary` of Express reduces everything to `*`, which means the same as `*` beside others.
        if (fields.includes('*')) assert.ok(named(ours).includes('*'))
        else assert.deepEqual(named(ours), named(theirs))
      }),
      { numRuns: 200 },
    )
  })
}

test('the path of a target that names a host is cut off its text', () => {
  const paths = [
    ['http://host', '/'],
    ['http://host?x=/y', '/'],
    ['HTTPS://user@host:8443/a/../b%2e?x#y', '/a/../b%2e'],
    ["http://[::1]:80/'|", "/'|"],
    ['*', '*'],
    ['', '/'],
  ]
  for (const [url, path] of paths) assert.equal(pathOf({ url }), path)
})

describe('the response of a request', () => {
  const req = new IncomingMessage(new Socket())
  const partial = { setHeader() {}, getHeader() {}, removeHeader() {}, writeHead() {}, end() {} }

  test('is the one that it came with, where that has what a middleware needs', () => {
    const res = new ServerResponse(req)
    assert.equal(responseFor(req, res), res)
    assert.equal(isAnswerable(res), true)
  })

  test('is one that leads nowhere otherwise', () => {
    for (const none of [undefined, null, {}, { setHeader() {} }, 'x', partial, { ...partial, end: 1 }]) {
      const res = responseFor(req, none)
      res.setHeader('Vary', 'Cookie')
      assert.equal(isAnswerable(res), false)
      assert.doesNotThrow(() => res.end('lost'))
    }
  })
})
