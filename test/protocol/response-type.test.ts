import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  hasResponseType,
  isResponseType,
  parseResponseType,
  returnsAccessToken,
  returnsCode,
  returnsIdToken,
} from '../../lib/protocol/response-type.js'

const spellings = [
  ['code', 'code'],
  ['id_token', 'id_token'],
  ['code id_token', 'code id_token'],
  ['id_token code', 'code id_token'],
  ['token code', 'code token'],
  ['code id_token token', 'code id_token token'],
  ['token code id_token', 'code id_token token'],
  ['  id_token   token code ', 'code id_token token'],
  ['id_token token', 'id_token token'],
  ['token id_token', 'id_token token'],
] as const

for (const [text, expected] of spellings) {
  test(`"${text}" is the response type "${expected}"`, () => {
    assert.equal(parseResponseType(text), expected)
  })
}

for (const text of ['', 'token', 'none', 'code code', 'CODE', 'code id_token token extra', 'code,id_token']) {
  test(`"${text}" is not a response type of this package`, () => {
    assert.throws(() => parseResponseType(text), { code: 'ERR_OIDC_OPTIONS' })
  })
}

const parts = [
  ['code', true, false, false],
  ['code id_token', true, true, false],
  ['code token', true, false, true],
  ['code id_token token', true, true, true],
  ['id_token', false, true, false],
] as const

for (const [responseType, code, idToken, accessToken] of parts) {
  test(`"${responseType}" says what comes through the browser`, () => {
    assert.equal(returnsCode(responseType), code)
    assert.equal(returnsIdToken(responseType), idToken)
    assert.equal(returnsAccessToken(responseType), accessToken)
    assert.equal(isResponseType(responseType), true)
  })
}

test('only the canonical word order is taken for a response type that was parsed before', () => {
  assert.equal(isResponseType('id_token code'), false)
  assert.equal(isResponseType(undefined), false)
})

test('a published list is read as sets of words', () => {
  const supported = [
    'code',
    'id_token code',
    'token code id_token',
    'id_token',
    'token id_token',
    'token code',
    'token',
  ]
  for (const [responseType] of parts) assert.equal(hasResponseType(supported, responseType), true)
})

test('a published list without the response type does not have it', () => {
  assert.equal(hasResponseType(['code', 'code id_token token', 'id_token'], 'code id_token'), false)
  assert.equal(hasResponseType([], 'code'), false)
})
