import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UnsecuredJWT } from 'jose'
import { OidcError, type OidcErrorCode } from '../../lib/errors.js'
import {
  checkRefreshedIdTokenClaims,
  isForeignIdToken,
  readKeptIdToken,
} from '../../lib/protocol/refreshed-id-token.js'

const now = 1_780_272_000
const issuer = 'https://op.example.com'
const clientId = 'client'
const original = {
  iss: issuer,
  sub: 'alice',
  aud: clientId,
  exp: now - 600,
  iat: now - 900,
  nonce: 'nonce of the sign-in',
}
const valid = { iss: issuer, sub: 'alice', aud: clientId, exp: now + 300, iat: now }
const check = (claims: Record<string, unknown>, kept: Parameters<typeof checkRefreshedIdTokenClaims>[1] = original) =>
  checkRefreshedIdTokenClaims(claims, kept, { issuer, clientId, now, clockTolerance: 30 })

test('a refreshed ID Token about the same person passes, with the same nonce or without', () => {
  assert.equal(check(valid).sub, 'alice')
  assert.equal(check({ ...valid, nonce: original.nonce }).sub, 'alice')
  assert.equal(check({ ...valid, aud: [clientId] }).sub, 'alice')
})

test('where the first ID Token is gone, issuer and subject are compared', () => {
  assert.equal(check(valid, { iss: issuer, sub: 'alice' }).sub, 'alice')
  assert.throws(() => check(valid, { iss: issuer, sub: 'bob' }), { code: 'ERR_OIDC_ID_TOKEN_MISMATCH' })
  assert.throws(() => check(valid, { iss: 'https://other.example.com', sub: 'alice' }), {
    code: 'ERR_OIDC_ID_TOKEN_MISMATCH',
  })
})

const rejections: readonly [string, Record<string, unknown>, OidcErrorCode][] = [
  ['another sub', { sub: 'bob' }, 'ERR_OIDC_ID_TOKEN_MISMATCH'],
  ['no sub', { sub: undefined }, 'ERR_OIDC_ID_TOKEN_SUBJECT'],
  ['another iss', { iss: 'https://other.example.com' }, 'ERR_OIDC_ID_TOKEN_ISSUER'],
  ['another aud', { aud: 'other' }, 'ERR_OIDC_ID_TOKEN_AUDIENCE'],
  ['one more aud', { aud: [clientId, 'other'], azp: clientId }, 'ERR_OIDC_ID_TOKEN_MISMATCH'],
  ['another azp', { azp: 'other' }, 'ERR_OIDC_ID_TOKEN_AUTHORIZED_PARTY'],
  ['exp in the past', { exp: now - 30 }, 'ERR_OIDC_ID_TOKEN_EXPIRED'],
  ['no exp', { exp: undefined }, 'ERR_OIDC_ID_TOKEN_EXPIRED'],
  ['iat long ago', { iat: now - 700 }, 'ERR_OIDC_ID_TOKEN_ISSUED_AT'],
  ['iat in the future', { iat: now + 60 }, 'ERR_OIDC_ID_TOKEN_ISSUED_AT'],
  ['nbf in the future', { nbf: now + 60 }, 'ERR_OIDC_ID_TOKEN_NOT_BEFORE'],
  ['another nonce', { nonce: 'another' }, 'ERR_OIDC_ID_TOKEN_NONCE'],
  ['a nonce that is a number', { nonce: 7 }, 'ERR_OIDC_ID_TOKEN_NONCE'],
  ['a session_expiry that is a text', { session_expiry: String(now + 600) }, 'ERR_OIDC_ID_TOKEN_MALFORMED'],
]

for (const [description, change, code] of rejections) {
  test(`a refreshed ID Token with ${description} is refused`, () => {
    assert.throws(() => check({ ...valid, ...change }), { code })
  })
}

for (const change of [
  { nonce: '' },
  { nonce: null },
  { sid: '' },
  { sid: null },
  { sid: 7 },
  { nbf: null },
  { azp: null },
]) {
  test(`a refreshed ID Token with ${JSON.stringify(change)} is one without it`, () => {
    assert.deepEqual(check({ ...valid, ...change }), valid)
  })
}

test('a refreshed ID Token with a sid that is a number is refused where logout tokens need it', () => {
  const expected = { issuer, clientId, now, clockTolerance: 30, usesSid: true }
  const refuse = () => checkRefreshedIdTokenClaims({ ...valid, sid: 7 }, original, expected)
  assert.throws(refuse, { code: 'ERR_OIDC_ID_TOKEN_MALFORMED' })
})

test('a nonce where the sign-in is known to have had none is refused', () => {
  const { nonce: _, ...kept } = original
  assert.throws(() => check({ ...valid, nonce: 'sudden' }, kept), { code: 'ERR_OIDC_ID_TOKEN_NONCE' })
})

test('a token of another user is told from a damaged one', () => {
  for (const code of ['MISMATCH', 'ISSUER', 'AUDIENCE', 'AUTHORIZED_PARTY', 'SUBJECT', 'NONCE']) {
    assert.equal(isForeignIdToken(new OidcError(`ERR_OIDC_ID_TOKEN_${code}` as OidcErrorCode, 'x')), true, code)
  }
  for (const code of ['SIGNATURE', 'EXPIRED', 'MALFORMED', 'ACCESS_TOKEN_HASH', 'KEY', 'ALGORITHM']) {
    assert.equal(isForeignIdToken(new OidcError(`ERR_OIDC_ID_TOKEN_${code}` as OidcErrorCode, 'x')), false, code)
  }
  assert.equal(isForeignIdToken(new Error('x')), false)
})

test('a kept ID Token is read without a key, and damage is no exception', () => {
  assert.equal(readKeptIdToken(new UnsecuredJWT({ sub: 'alice' }).encode())?.sub, 'alice')
  for (const text of [undefined, '', 'a.b.c', 'nonsense']) assert.equal(readKeptIdToken(text), undefined)
})
