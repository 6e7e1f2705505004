import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSignedUserInfo, checkUserInfoSubject, parseUserInfo } from '../../lib/protocol/user-info.js'

const now = 1_750_000_000
const valid = { sub: 'user', name: 'Jane', email_verified: true }
const expected = { issuer: 'https://op.example', clientId: 'client', now, clockTolerance: 30 }

test('userinfo with a subject is taken as it is', () => {
  assert.deepEqual(parseUserInfo(valid), valid)
})

for (const sub of [undefined, null, '', ' ', 42, ['user'], 'x'.repeat(256), 'é']) {
  test(`userinfo whose sub is ${JSON.stringify(sub)?.slice(0, 20)} is refused`, () => {
    assert.throws(() => parseUserInfo({ ...valid, sub }), { code: 'ERR_OIDC_USER_INFO_RESPONSE' })
  })
}

for (const json of [undefined, null, 'text', 42, [], [valid]]) {
  test(`${JSON.stringify(json)?.slice(0, 20)} is not userinfo`, () => {
    assert.throws(() => parseUserInfo(json), { code: 'ERR_OIDC_USER_INFO_RESPONSE' })
  })
}

test('userinfo of the person who signed in is taken', () => {
  checkUserInfoSubject(valid, 'user')
})

for (const sub of ['userinvalid', 'use', 'User', 'user ', '']) {
  test(`userinfo of "user" does not belong to "${sub}"`, () => {
    assert.throws(() => checkUserInfoSubject(valid, sub), { code: 'ERR_OIDC_USER_INFO_SUBJECT' })
  })
}

test('where a provider has many tenants, userinfo that names another one belongs to another user', () => {
  const issuer = 'https://op.example/a'
  checkUserInfoSubject(valid, 'user', issuer)
  checkUserInfoSubject({ ...valid, iss: issuer }, 'user', issuer)
  for (const iss of ['https://op.example/b', `${issuer}/`, [issuer], 1, ''])
    assert.throws(() => checkUserInfoSubject({ ...valid, iss }, 'user', issuer), { code: 'ERR_OIDC_USER_INFO_SUBJECT' })
})

const taken: Record<string, Record<string, unknown>> = {
  'without a sub': {},
  'by our provider for us': { iss: 'https://op.example', aud: 'client', exp: now + 1 },
  'for us among others': { aud: ['api', 'client'] },
  'that ended within the tolerance': { exp: now - 29 },
}

for (const [name, claims] of Object.entries(taken)) {
  test(`signed userinfo ${name} is taken`, () => {
    assert.deepEqual(checkSignedUserInfo({ ...valid, ...claims }, expected), { ...valid, ...claims })
  })
}

test('members of userinfo that are null are absent, signed or not', () => {
  const nulls = { iss: null, aud: null, exp: null, email: null }
  assert.deepEqual(checkSignedUserInfo({ ...valid, ...nulls }, expected), valid)
  assert.deepEqual(parseUserInfo({ ...valid, ...nulls }), valid)
})

const refused: readonly Record<string, unknown>[] = [
  { iss: 'https://op.example/' },
  { iss: ['https://op.example'] },
  { aud: 'other' },
  { aud: [] },
  { exp: now - 30 },
  { exp: String(now + 60) },
  { sub: undefined },
]

for (const claims of refused) {
  const [[name, value] = []] = Object.entries(claims)
  test(`signed userinfo whose ${name} is ${JSON.stringify(value)} is refused`, () => {
    assert.throws(() => checkSignedUserInfo({ ...valid, ...claims }, expected), { code: 'ERR_OIDC_USER_INFO_RESPONSE' })
  })
}
