import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatProviderError, parseChallenge, parseProviderError } from '../../lib/protocol/provider-error.js'

test('what providers really say stays readable', () => {
  for (const text of [
    'AADB2C90118: The user has forgotten their password.',
    'Client requires DPoP and no DPoP proof was sent',
    'Standard token exchange is not enabled for the requested client',
    'The redirect_uri https://www.example.com/callback does not match.',
    'AADSTS50011: Trace ID: 0d8f2d1a-6b1e-4f0a-9c3b-2f1e5d7c8a90 Timestamp: 2026-11-25 19:33:00Z',
    'Der Benutzer ist gesperrt: wenden Sie sich an die Verwaltung für Zugänge',
    'IDX10214: Audience validation failed in Microsoft.IdentityModel.Tokens.Validators',
  ]) {
    assert.equal(parseProviderError({ error: 'x', error_description: text })?.error_description, text)
  }
})

for (const [name, text, expected] of [
  ['a line break', 'a\r\nb\u2028c\u0085d', 'a b c d'],
  ['a colour code', '\u001b[31mred', '[31mred'],
  ['text that runs backwards', 'a\u202eb\u200bc', 'a b c'],
  ['markup', '<script>x</script>', '‹script›x‹/script›'],
  ['an e-mail address', 'user alice@example.com is unknown', 'user … is unknown'],
  ['a JWT', `bad eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZTEifQ.${'c2lnbmF0dXJlMTIzNDU2Nzg5MA'}`, 'bad …'],
  ['a random value', `code ${'0a'.repeat(16)} is unknown`, 'code … is unknown'],
  ['a value that was sent', 'secret "hunter two" is wrong', 'secret "…" is wrong'],
  ['nothing but control characters', '\u0000\u0007', undefined],
  ['no text', 42, undefined],
] as const) {
  test(`of a description with ${name} the harmless part is kept`, () => {
    const found = parseProviderError({ error: 'x', error_description: text }, ['hunter two', ''])
    assert.equal(found?.error_description, expected)
  })
}

test('an address is kept where it is one, and nothing where there is no error', () => {
  const uri = (error_uri: unknown) => parseProviderError({ error: 'x', error_uri })?.error_uri
  assert.equal(uri('https://op.example/errors/5'), 'https://op.example/errors/5')
  for (const odd of ['javascript:alert(1)', 'https://a b', '//x', 7, '']) assert.equal(uri(odd), undefined)
  for (const source of [undefined, null, 'invalid_grant', 5, [], {}, { error: '' }, { error: 7 }, { error: ['x'] }]) {
    assert.equal(parseProviderError(source), undefined)
  }
})

test('whatever a provider says becomes one short line without control characters and without what was sent', () => {
  const random = fc
    .uint8Array({ minLength: 32, maxLength: 32 })
    .map(bytes => createHash('sha256').update(bytes).digest('base64url'))
  const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 2000 }), fc.string({ maxLength: 2000 }))
  const spoken = fc
    .tuple(text, random, text)
    .map(([before, token, after]) => ({ text: `${before} ${token} ${after}`, token }))
  fc.assert(
    fc.property(spoken, spoken, spoken, (error, description, uri) => {
      const source = { error: error.text, error_description: description.text, error_uri: `https://x/${uri.text}` }
      const found = parseProviderError(source, [description.token])
      if (found === undefined) return
      const line = formatProviderError(found)
      assert.ok(line.length < 1300, `${line.length} characters`)
      assert.doesNotMatch(line.replaceAll(/\\u[\da-f]{4}/g, ''), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}<>]/u)
      for (const { token } of [error, description, uri]) assert.ok(!line.includes(token), 'a token')
      assert.deepEqual(parseProviderError(found), found, 'reading it again changes nothing')
    }),
    { seed: 20261125, numRuns: 1000 },
  )
})

test('a challenge says the same as a JSON body', () => {
  const header = 'Bearer realm="a, b", error="insufficient_scope", error_description="needs \\"read\\"", scope=read'
  const { error, error_description: description, scope } = parseChallenge(header)
  assert.deepEqual([error, description, scope], ['insufficient_scope', 'needs "read"', 'read'])
  for (const odd of [null, '', 'Bearer', 'Bearer error', '"'.repeat(5000), '='.repeat(100_000)]) {
    assert.equal(parseChallenge(odd).error, undefined)
  }
})

test('the line for the log has the code, the description in quotes and the address, as far as they are there', () => {
  const error = 'invalid_client'
  const error_description = 'a "wrong" secret'
  const error_uri = 'https://op.example/help'
  assert.equal(formatProviderError({ error }), 'invalid_client')
  assert.equal(formatProviderError({ error, error_description }), 'invalid_client "a \\"wrong\\" secret"')
  assert.equal(formatProviderError({ error, error_uri }), 'invalid_client (https://op.example/help)')
  const all = formatProviderError({ error, error_description, error_uri })
  assert.equal(all, 'invalid_client "a \\"wrong\\" secret" (https://op.example/help)')
})

test('a value that was sent is left out from six characters on; shorter ones are words of every sentence', () => {
  const found = parseProviderError({ error: 'x', error_description: 'abcde abcdef' }, ['abcde', 'abcdef'])
  assert.equal(found?.error_description, 'abcde …')
})
