import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { OidcError, oidcErrorCodes } from '../lib/errors.js'

const page = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8')
const entries = [...page.matchAll(/^### (\w+)\n(\d{3})\. (.+)$/gm)].map(([, code, status, text]) => ({
  code,
  status,
  text,
}))

test('docs/errors.md has one entry per code, in the order of the table', () => {
  assert.deepEqual(
    entries.map(({ code }) => code),
    [...oidcErrorCodes],
  )
})

test('docs/errors.md names the status each code has', () => {
  for (const code of oidcErrorCodes) {
    const entry = entries.find(candidate => candidate.code === code)
    assert.equal(entry?.status, String(new OidcError(code, 'x').status), code)
    assert.ok((entry?.text?.length ?? 0) > 20, `${code} says what it means`)
  }
})

test('every code is thrown somewhere in lib/', () => {
  const sources = readSources(new URL('../lib/', import.meta.url))
  for (const code of oidcErrorCodes) {
    // The ID Token checks build their codes from the last words.
    const suffix = code.replace('ERR_OIDC_ID_TOKEN_', '')
    assert.ok(sources.includes(`'${code}'`) || sources.includes(`'${suffix}'`), `${code} is never used`)
  }
})

test('an OidcError says who it is to Express, to http-errors users and to people', () => {
  const error = new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'no user is signed in', { cause: { a: 1 } })
  assert.equal(error.name, 'OidcError')
  assert.equal(error.status, 401)
  assert.equal(error.statusCode, 401)
  assert.deepEqual(error.cause, { a: 1 })
  assert.match(error.sentence, /^[A-Z].*\.$/)
})

function readSources(folder: URL): string {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return files
    .filter(name => name.endsWith('.ts') && name !== 'errors.ts')
    .map(name => readFileSync(new URL(name, folder), 'utf8'))
    .join('\n')
}
