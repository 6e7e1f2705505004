import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { OidcError, type OidcErrorCode, oidcErrorCodes } from '../lib/errors.js'
import { readPage, sectionOf } from './tools/documentation.js'

const page = readPage('docs/troubleshooting.md')

/** `ERR_OIDC_LOGOUT_TOKEN_…` stands for all codes that begin so. */
const isNamed = (code: string, text: string) =>
  new RegExp(`\\b${code}\\b`).test(text) ||
  [...text.matchAll(/(ERR_OIDC_\w+_)…/g)].some(([, family = '']) => code.startsWith(family))

const rows = page.text.split('\n').filter(line => line.startsWith('| '))

describe('docs/troubleshooting.md', () => {
  test('leads to every code there is', () => {
    assert.deepEqual(
      oidcErrorCodes.filter(code => !isNamed(code, page.text)),
      [],
    )
  })

  test('names no code that there is not', () => {
    const named = [...page.text.matchAll(/\bERR_OIDC_\w*[A-Z]\b(?!_?…)/g)].map(([code]) => code)
    assert.ok(named.length > 50)
    assert.deepEqual(
      named.filter(code => !oidcErrorCodes.some(known => known === code)),
      [],
    )
  })

  test('quotes the sentence that the browser shows for a code', () => {
    let quotes = 0
    for (const [, seen = '', codes = ''] of sectionOf(
      page,
      '## The browser comes back, and the sign-in fails',
    ).matchAll(/^\| (.*?) \| (.*?) \|/gm)) {
      const sentences = [...codes.matchAll(/ERR_OIDC_\w+/g)].map(
        ([code]) => new OidcError(code as OidcErrorCode, 'x').sentence,
      )
      for (const [, quote = ''] of seen.matchAll(/"([^"]*)"/g)) {
        const words = quote.split('…').map(part => part.trim())
        assert.ok(
          sentences.some(sentence => words.every(part => sentence.includes(part))),
          `${quote} is no sentence of ${codes}`,
        )
        quotes += 1
      }
    }
    assert.ok(quotes > 15, `${quotes} quotes`)
  })

  test('quotes lines of the log, and messages of the start, as they are written', () => {
    const folder = new URL('../lib/', import.meta.url)
    const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.ts'))
      .map(name => readFileSync(new URL(name, folder), 'utf8'))
      .join('\n')
    const lines = [...sectionOf(page, '## What the log says').matchAll(/^\| `([^`]+)` \|/gm)].map(
      ([, line = '']) => line,
    )
    assert.ok(lines.length > 10)
    assert.deepEqual(
      lines.filter(line => !sources.includes(line)),
      [],
    )
  })

  test('every row has a response', () => {
    assert.ok(rows.length > 80)
    for (const row of rows) assert.doesNotMatch(row, /\|\s*\|/, row)
  })
})
