import assert from 'node:assert/strict'
import { parse as parsePlain } from 'node:querystring'
import { describe, test } from 'node:test'
import express from 'express'
import fc from 'fast-check'
import { fieldsOfParsed, parseUrlEncoded } from '../../lib/protocol/form-fields.js'
import { MOST_FIELDS, type ParsedForm } from '../../lib/protocol/multipart.js'
import { startLoopbackServer } from '../support/loopback-server.js'

const parse = (text: string, encoding: BufferEncoding = 'utf8') => parseUrlEncoded(Buffer.from(text, encoding))

function encode(fields: ParsedForm): string {
  assert.ok(typeof fields !== 'string', String(fields))
  return new URLSearchParams(fields as [string, string][]).toString()
}

describe('a urlencoded body', () => {
  test('has the fields that a browser has written', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 12 }).map(value => value.replaceAll('\0', ''))
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 8 }), pairs => {
        const written = new URLSearchParams(pairs as [string, string][])
        assert.deepEqual(parse(written.toString()), [...written])
      }),
    )
    assert.deepEqual(parse(''), [])
    assert.deepEqual(parse('a'), [['a', '']])
    assert.deepEqual(parse('a=b=c&a=%2B+'), [
      ['a', 'b=c'],
      ['a', '+ '],
    ])
  })

  test('that would not be sent again as it was is refused', () => {
    for (const body of ['a=%E9', 'a=%', 'a=%zz', '%E9=1', 'a=%00', '%00=a', 'a=%ED%A0%80', 'a=ü'])
      assert.equal(parse(body), 'malformed', body)
    assert.equal(parse('a=\xe9', 'latin1'), 'malformed')
  })

  test('of too many fields is too large, however many', () => {
    assert.equal((parse('a&'.repeat(MOST_FIELDS - 1)) as unknown[]).length, MOST_FIELDS)
    assert.equal(parse('a&'.repeat(MOST_FIELDS)), 'size')
    assert.equal(parse('&'.repeat(64 * 1024)), 'size')
  })
})

describe('what a body parser has made', () => {
  test('is the same after the same parser has read the fields', async () => {
    const app = express()
    app.use(express.urlencoded({ extended: true }))
    app.post('/', (req, res) => void res.json(req.body))
    const server = await startLoopbackServer(app as never)
    const readBy = async (body: string): Promise<unknown> =>
      (
        await fetch(`http://127.0.0.1:${server.port}/`, {
          method: 'POST',
          body,
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
        })
      ).json()
    try {
      const bodies = [
        'a=1&b=2&a=3',
        'a[]=1',
        'a[]=1&a[]=2',
        'a[b]=1&a[c][d]=2',
        'a[0][x]=1&a[0][y]=2&a[1][x]=3',
        'a[b][]=1&a[b][]=',
        'a=&=x&%C3%BC=%F0%9F%98%80',
      ]
      for (const body of bodies) {
        const parsed = await readBy(body)
        assert.deepEqual(await readBy(encode(fieldsOfParsed(parsed))), parsed, body)
      }
    } finally {
      await server.stop()
    }
  })

  test('is the same for the parser of Node', () => {
    for (const body of ['a=1&b=2&a=3', 'a%5Bb%5D=1&a%5B%5D=2', 'a=&=x']) {
      const parsed = { ...parsePlain(body) }
      assert.deepEqual({ ...parsePlain(encode(fieldsOfParsed(parsed))) }, parsed, body)
    }
  })

  test('that is no form is refused', () => {
    const deep = JSON.parse(`${'{"a":'.repeat(8)}"x"${'}'.repeat(8)}`)
    const cyclic: Record<string, unknown> = {}
    cyclic.a = cyclic
    for (const body of [
      undefined,
      null,
      'a=1',
      1,
      ['a'],
      { a: 1 },
      { a: null },
      { a: ['x', 1] },
      deep,
      cyclic,
      { a: { '[b': '1' } },
      { a: '\0' },
      { '\0': 'a' },
    ])
      assert.equal(fieldsOfParsed(body), 'malformed', typeof body)
    assert.equal(fieldsOfParsed({ a: Array.from({ length: MOST_FIELDS + 1 }, () => 'x') }), 'size')
    assert.deepEqual(fieldsOfParsed({}), [])
  })
})
