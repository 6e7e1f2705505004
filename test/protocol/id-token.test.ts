import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OidcErrorCode } from '../../lib/errors.js'
import { checkIdTokenClaims, checkSameIdentity, type IdTokenExpectations } from '../../lib/protocol/id-token.js'
import type { IdTokenClaims } from '../../lib/protocol/wire.js'

const now = 1_750_000_000

const expected: IdTokenExpectations = {
  issuer: 'https://op.example',
  clientId: 'client',
  nonce: 'nonce-of-this-attempt',
  now,
  clockTolerance: 30,
}

const valid: IdTokenClaims = {
  iss: expected.issuer,
  sub: 'user-subject-1234531',
  aud: 'client',
  exp: now + 300,
  iat: now,
  nonce: expected.nonce,
}

type Change = Readonly<Record<string, unknown>>

function accepts(name: string, change: Change, expectations: Partial<IdTokenExpectations> = {}): void {
  test(`an ID Token with ${name} is taken`, () => {
    const claims = { ...valid, ...change }
    assert.deepEqual(checkIdTokenClaims(claims, { ...expected, ...expectations }), claims)
  })
}

function rejects(
  code: OidcErrorCode,
  changes: readonly Change[],
  expectations: Partial<IdTokenExpectations> = {},
): void {
  for (const change of changes) {
    const told = JSON.stringify(expectations) === '{}' ? '' : ` where ${JSON.stringify(expectations)} is expected`
    test(`an ID Token with ${inspect(change)}${told} is refused with ${code}`, () => {
      assert.throws(() => checkIdTokenClaims({ ...valid, ...change }, { ...expected, ...expectations }), { code })
    })
  }
}

function inspect(change: Change): string {
  const text = (_name: string, value: unknown) =>
    typeof value === 'number' || value === undefined ? String(value) : value
  return (JSON.stringify(change, text) ?? '').slice(0, 80)
}

accepts('every claim right', {})
accepts('claims that were not requested', { email: 'a@example.com', groups: ['x'] })

rejects('ERR_OIDC_ID_TOKEN_ISSUER', [
  { iss: undefined },
  { iss: null },
  { iss: 'https://op.example1' },
  { iss: 'https://op.example/' },
  { iss: 'https://op.exampl' },
  { iss: 'https://OP.example' },
  { iss: 'http://op.example' },
  { iss: 'https://oр.example' },
  { iss: ['https://op.example'] },
  { iss: '' },
])

accepts('this client as the only one of a list of audiences', { aud: ['client'] })
accepts('this client twice among its audiences', { aud: ['client', 'client'] })
rejects('ERR_OIDC_ID_TOKEN_AUDIENCE', [
  { aud: undefined },
  { aud: null },
  { aud: 'client1' },
  { aud: 'clien' },
  { aud: 'Client' },
  { aud: '' },
  { aud: [] },
  { aud: ['other'] },
  { aud: ['client', 7] },
  { aud: [['client']] },
  { aud: { client: 'client' } },
])

accepts('this client as its authorized party', { azp: 'client' })
accepts('further audiences and this client as authorized party', { aud: ['client', 'api'], azp: 'client' })
rejects('ERR_OIDC_ID_TOKEN_AUTHORIZED_PARTY', [
  { aud: ['client', 'api'] },
  { aud: ['api', 'client'], azp: 'api' },
  { azp: 'other' },
  { aud: ['client', 'api'], azp: null },
  { aud: ['client', 'api'], azp: '' },
  { azp: ['client'] },
])

accepts('a subject of one character', { sub: '0' })
accepts('a subject of 255 characters', { sub: 'x'.repeat(255) })
accepts('a blank inside its subject', { sub: 'auth|john doe' })
rejects('ERR_OIDC_ID_TOKEN_SUBJECT', [
  { sub: undefined },
  { sub: null },
  { sub: '' },
  { sub: '   ' },
  { sub: 'x'.repeat(256) },
  { sub: 42 },
  { sub: ['user'] },
  { sub: 'us\u0000er' },
  { sub: 'us\ner' },
  { sub: 'jos\u00e9' },
  { sub: 'jose\u0301' },
])

accepts('an end within the tolerance', { exp: now - 29 })
accepts('the last second a date can hold as its end', { exp: 8.64e12 })
accepts('an end that is a fraction within the tolerance', { exp: now - 29.5 })
rejects('ERR_OIDC_ID_TOKEN_EXPIRED', [
  { exp: undefined },
  { exp: null },
  { exp: now - 30 },
  { exp: now - 31 },
  { exp: 0 },
  { exp: -1 },
  { exp: 8.64e12 + 1 },
  { exp: 1e300 },
  { exp: Number.NaN },
  { exp: Number.POSITIVE_INFINITY },
  { exp: String(now + 300) },
  { exp: [now + 300] },
])

accepts('a clock slightly ahead of ours', { iat: now + 30 })
accepts('an age of ten minutes', { iat: now - 630 })
rejects('ERR_OIDC_ID_TOKEN_ISSUED_AT', [
  { iat: undefined },
  { iat: null },
  { iat: now + 31 },
  { iat: now + 3600 },
  { iat: now - 631 },
  { iat: now - 86_400 },
  { iat: 0 },
  { iat: -1 },
  { iat: Number.NaN },
  { iat: 1e300 },
  { iat: String(now) },
])

accepts('a beginning in the past', { nbf: now - 1 })
accepts('a beginning within the tolerance', { nbf: now + 30 })
accepts('the beginning of time as its beginning', { nbf: 0 })
rejects('ERR_OIDC_ID_TOKEN_NOT_BEFORE', [{ nbf: now + 31 }, { nbf: String(now) }, { nbf: -1 }])

rejects('ERR_OIDC_ID_TOKEN_NONCE', [
  { nonce: undefined },
  { nonce: null },
  { nonce: '' },
  { nonce: 'nonce-of-that-attempt' },
  { nonce: `${expected.nonce}1` },
  { nonce: 'nonce' },
  { nonce: [expected.nonce] },
  { nonce: 42 },
])

accepts('an acr that was not requested', { acr: '0' })
accepts('an acr that was asked for', { acr: 'mfa' }, { acrValues: ['hwk', 'mfa'] })
accepts('an acr where any would do', { acr: 'pwd' }, { acrValues: [] })
rejects('ERR_OIDC_ID_TOKEN_ACR', [{}, { acr: 'pwd' }, { acr: '' }, { acr: null }, { acr: ['mfa'] }], {
  acrValues: ['mfa'],
})
rejects('ERR_OIDC_ID_TOKEN_ACR', [{}, { acr: 1 }, { acr: null }, { acr: '' }], { acrValues: [] })

accepts('an auth_time that was not requested', { auth_time: 1 })
accepts('an auth_time of tomorrow that was not requested', { auth_time: now + 86_400 })
accepts('an auth_time just within max_age', { auth_time: now - 90 }, { maxAge: 60 })
accepts('an auth_time of this moment for max_age 0', { auth_time: now - 30 }, { maxAge: 0 })
accepts('an auth_time of a clock slightly ahead', { auth_time: now + 30 }, { maxAge: 60 })
rejects('ERR_OIDC_ID_TOKEN_AUTH_TIME', [{ auth_time: String(now) }, { auth_time: -1 }, { auth_time: {} }], {
  freshLogin: true,
})
rejects(
  'ERR_OIDC_ID_TOKEN_AUTH_TIME',
  [
    {},
    { auth_time: now - 91 },
    { auth_time: now + 31 },
    { auth_time: now + 3600 },
    { auth_time: String(now) },
    { auth_time: null },
  ],
  { maxAge: 60 },
)
rejects('ERR_OIDC_ID_TOKEN_AUTH_TIME', [{}, { auth_time: now - 31 }, { auth_time: 0 }], { maxAge: 0 })

accepts('a session id', { sid: '08a5019c-17e1-4977-8f42-65a12843ea02' })
rejects('ERR_OIDC_ID_TOKEN_MALFORMED', [{ sid: 42 }, { sid: ['x'] }, { sid: {} }, { sid: false }], { usesSid: true })

const notNeeded: readonly Change[] = [
  ...['acr', 'auth_time', 'azp', 'nbf', 'sid', 'c_hash', 'at_hash', 's_hash', 'email', 'amr'].map(name => ({
    [name]: null,
  })),
  ...['acr', 'auth_time', 'azp', 'nbf', 'sid', 'c_hash', 'at_hash', 's_hash'].map(name => ({ [name]: '' })),
  ...[7, {}, ['mfa'], true].map(acr => ({ acr })),
  ...[String(now), -1, {}, 1e300].map(auth_time => ({ auth_time })),
  ...[42, ['x'], {}, false].map(sid => ({ sid })),
]

for (const change of notNeeded) {
  test(`an ID Token with ${inspect(change)}, which nothing needs, is one without it`, () => {
    assert.deepEqual(checkIdTokenClaims({ ...valid, ...change }, expected), valid)
  })
}

test('a sid without a value is absent where logout tokens need it, too', () => {
  for (const sid of [null, '']) {
    assert.deepEqual(checkIdTokenClaims({ ...valid, sid }, { ...expected, usesSid: true }), valid)
  }
})

test('the details of a refusal contain no secret, and are truncated for a log line', () => {
  const iss = `https://evil.example/\r\n${'x'.repeat(500)}`
  assert.throws(() => checkIdTokenClaims({ ...valid, iss }, expected), {
    cause: { actual: `https://evil.example/${'x'.repeat(179)}`, expected: expected.issuer },
  })
})

test('the details of a refused nonce or subject do not contain it', () => {
  assert.throws(() => checkIdTokenClaims({ ...valid, nonce: 'secret' }, expected), {
    cause: { actual: 'string', expected: undefined },
  })
  assert.throws(() => checkIdTokenClaims({ ...valid, sub: 'josé' }, expected), {
    cause: { actual: 'string', expected: undefined },
  })
})

accepts('a time at which the session ends', { session_expiry: now + 3600 })
accepts('a session that ends in the tolerance between two clocks', { session_expiry: now - 29 })
rejects('ERR_OIDC_ID_TOKEN_EXPIRED', [
  { session_expiry: now - 30 },
  { session_expiry: now - 86_400 },
  { session_expiry: 0 },
])
rejects('ERR_OIDC_ID_TOKEN_MALFORMED', [
  { session_expiry: '' },
  { session_expiry: String(now + 3600) },
  { session_expiry: true },
  { session_expiry: -1 },
  { session_expiry: 1e300 },
  { session_expiry: Number.NaN },
  { session_expiry: [now + 3600] },
  { session_expiry: { at: now + 3600 } },
])

test('a session_expiry of null says nothing', () => {
  const { session_expiry } = checkIdTokenClaims({ ...valid, session_expiry: null }, expected)
  assert.equal(session_expiry, undefined)
})

test('two ID Tokens of one sign-in agree, whatever the form and order of their audiences', () => {
  checkSameIdentity(valid, { ...valid, iat: now + 1, email: 'a@example.com' })
  checkSameIdentity(valid, { ...valid, aud: ['client'] })
  checkSameIdentity({ ...valid, aud: ['client', 'api'] }, { ...valid, aud: ['api', 'client', 'api'] })
})

const strangers: readonly Partial<IdTokenClaims>[] = [
  { iss: 'https://op.example/' },
  { sub: 'user-subject-1234532' },
  { sub: 'User-subject-1234531' },
  { aud: 'other' },
  { aud: ['client', 'api'] },
  { aud: [] },
]

for (const change of strangers) {
  test(`two ID Tokens of one sign-in cannot differ by ${JSON.stringify(change)}`, () => {
    assert.throws(() => checkSameIdentity(valid, { ...valid, ...change }), { code: 'ERR_OIDC_ID_TOKEN_MISMATCH' })
    assert.throws(() => checkSameIdentity({ ...valid, ...change }, valid), { code: 'ERR_OIDC_ID_TOKEN_MISMATCH' })
  })
}

test('audiences are compared one by one, not by their number', () => {
  const first = { ...valid, aud: ['client', 'api'] }
  assert.throws(() => checkSameIdentity(first, { ...valid, aud: ['client', 'other'] }), {
    code: 'ERR_OIDC_ID_TOKEN_MISMATCH',
  })
})
