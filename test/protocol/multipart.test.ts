import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { boundaryOf, MOST_FIELDS, parseMultipart } from '../../lib/protocol/multipart.js'

const BOUNDARY = '----WebKitFormBoundaryAb12'

function part(head: string, value: string): string {
  return `--${BOUNDARY}\r\n${head}\r\n\r\n${value}\r\n`
}

const field = (name: string, value: string) => part(`Content-Disposition: form-data; name="${name}"`, value)

function parse(text: string, encoding: BufferEncoding = 'utf8') {
  return parseMultipart(Buffer.from(text, encoding), BOUNDARY)
}

const END = `--${BOUNDARY}--\r\n`

describe('a multipart body', () => {
  test('has the fields that a browser has written, in their order', () => {
    const body = field('a', 'one') + field('b', '') + field('a', 'zwei\r\nZeilen – ü') + field('', '--\r\n\r\n--') + END
    assert.deepEqual(parse(body), [
      ['a', 'one'],
      ['b', ''],
      ['a', 'zwei\r\nZeilen – ü'],
      ['', '--\r\n\r\n--'],
    ])
    assert.deepEqual(parse(`${field('a', '1')}--${BOUNDARY}--`), [['a', '1']])
    assert.deepEqual(parse(END), [])
  })

  test('has the fields that another implementation has encoded', async () => {
    const text = fc.string({ unit: 'grapheme-composite', maxLength: 20 })
    const piece = fc.oneof(text, fc.constantFrom('\r', '\n', '"', '--', '%22', '\\', ': ', ';', '\ufeff'))
    const word = fc.array(piece, { maxLength: 4 }).map(pieces => pieces.join('').replaceAll('\0', ''))
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(word, word), { maxLength: 6 }), async pairs => {
        const form = new FormData()
        for (const [name, value] of pairs) form.append(name, value)
        const response = new Response(form)
        const boundary = boundaryOf(response.headers.get('content-type') ?? '')
        const lines = (value: string) => value.replace(/\r\n|\r|\n/g, '\r\n')
        const written = (name: string) =>
          lines(name).replaceAll('\r', '%0D').replaceAll('\n', '%0A').replaceAll('"', '%22')
        assert.deepEqual(
          parseMultipart(Buffer.from(await response.arrayBuffer()), boundary ?? ''),
          pairs.map(([name, value]) => [written(name), lines(value)]),
        )
      }),
      { numRuns: 300 },
    )
  })

  test('with a file says so, and one without a chosen file is a field', () => {
    const file = (name: string, content: string) =>
      part(
        `Content-Disposition: form-data; name="f"; filename="${name}"\r\nContent-Type: application/octet-stream`,
        content,
      )
    assert.equal(parse(field('a', '1') + file('x.bin', 'x') + END), 'files')
    assert.equal(parse(file('', 'x') + END), 'files')
    assert.equal(parse(file('x.bin', '') + END), 'files')
    assert.equal(parse(file('x.bin', '\xff\xfe') + END, 'latin1'), 'files')
    assert.deepEqual(parse(field('a', '1') + file('', '') + END), [
      ['a', '1'],
      ['f', null],
    ])
  })

  test('that no browser writes is refused', () => {
    const good = field('a', '1')
    const head = 'Content-Disposition: form-data; name="a"'
    const bodies = {
      'is empty': '',
      'has no end': good,
      'has a preamble': `hello\r\n${good}${END}`,
      'has an epilogue': `${good}${END}more`,
      'has another boundary': good.replaceAll('Ab12', 'Ab13') + END.replaceAll('Ab12', 'Ab13'),
      'ends in a header': `--${BOUNDARY}\r\n${head}`,
      'has a part without headers': `--${BOUNDARY}\r\n\r\n1\r\n${END}`,
      'has a part without an end of its headers': `--${BOUNDARY}\r\n${head}\r\n1\r\n${END}`,
      'has line feeds alone': (good + END).replaceAll('\r\n', '\n'),
      'has a part without a name': part('Content-Disposition: form-data', '1') + END,
      'has a part that is no form data': part('Content-Disposition: attachment; name="a"', '1') + END,
      'has two names': part(`${head}; name="b"`, '1') + END,
      'has an escaped name': part('Content-Disposition: form-data; name="a\\"b"', '1') + END,
      'has a bare name': part('Content-Disposition: form-data; name=a', '1') + END,
      'has a name in another encoding': part(`${head}; filename*=UTF-8''x`, '1') + END,
      'has two dispositions': part(`${head}\r\n${head}`, '1') + END,
      'has an encoding of its own': part(`${head}\r\nContent-Transfer-Encoding: base64`, 'MQ==') + END,
      'has a type of its own': part(`${head}\r\nContent-Type: text/plain;charset=utf-7`, '1') + END,
      'has a folded header': part(`${head}\r\n folded`, '1') + END,
      'has a file without a type': part(`${head}; filename="x"`, '1') + END,
      'has NUL in a value': field('a', '1\0') + END,
      'has NUL in a name': field('a\0', '1') + END,
      'has nested parts': part(`${head}\r\nContent-Type: multipart/mixed; boundary=b`, '--b--') + END,
    }
    for (const [what, body] of Object.entries(bodies)) assert.equal(parse(body), 'malformed', what)
    assert.equal(parse(field('a', '\xe9') + END, 'latin1'), 'malformed', 'another encoding')
    assert.equal(parse(field('\xe9', 'a') + END, 'latin1'), 'malformed', 'another encoding of a name')
  })

  test('of too many fields is too large, however many', () => {
    assert.equal((parse(field('a', '1').repeat(MOST_FIELDS) + END) as unknown[]).length, MOST_FIELDS)
    assert.equal(parse(field('a', '1').repeat(MOST_FIELDS + 1) + END), 'size')
    assert.equal(parse(field('', '').repeat(20_000)), 'size')
  })

  test('has a boundary that is named as browsers name it', () => {
    assert.equal(boundaryOf(`multipart/form-data; boundary=${BOUNDARY}`), BOUNDARY)
    assert.equal(boundaryOf('multipart/form-data; boundary="a b"'), 'a b')
    assert.equal(boundaryOf('Multipart/Form-Data;boundary=a'), 'a')
    const others = [
      undefined,
      '',
      'multipart/form-data',
      'multipart/form-data; boundary=',
      'multipart/form-data; boundary=""',
      'multipart/form-data; boundary="a "',
      `multipart/form-data; boundary=${'a'.repeat(71)}`,
      'multipart/form-data; boundary=a; boundary=b',
      'multipart/form-data; boundary=a\r\nb',
      'multipart/mixed; boundary=a',
      'x multipart/form-data; boundary=a',
    ]
    for (const type of others) assert.equal(boundaryOf(type), undefined, type)
  })
})
