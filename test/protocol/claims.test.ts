import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { buildClaims, defaultProtocolClaims } from '../../lib/protocol/claims.js'
import type { IdTokenClaims, UserInfo } from '../../lib/protocol/wire.js'

const idTokenClaims: IdTokenClaims = {
  iss: 'https://op.example',
  sub: 'user',
  aud: 'client',
  exp: 2,
  iat: 1,
  nbf: 1,
  nonce: 'nonce',
  azp: 'client',
  c_hash: 'c',
  at_hash: 'a',
  s_hash: 's',
  sid: 'session',
  auth_time: 1,
  name: 'Jane of the ID Token',
}

function fromWire<T>(text: string): T {
  return JSON.parse(text) as T
}

test('the protocol keeps its claims for itself, and the person keeps theirs', () => {
  assert.deepEqual(buildClaims(idTokenClaims, undefined, defaultProtocolClaims), {
    sub: 'user',
    sid: 'session',
    auth_time: 1,
    name: 'Jane of the ID Token',
  })
})

test('the claims of the protocol are these ten', () => {
  assert.deepEqual(defaultProtocolClaims, [
    'iss',
    'aud',
    'nbf',
    'exp',
    'iat',
    'nonce',
    'c_hash',
    'at_hash',
    's_hash',
    'azp',
  ])
})

test('userinfo comes over the ID Token', () => {
  const claims = buildClaims(
    idTokenClaims,
    { sub: 'user', name: 'Jane', email: 'j@example.com' },
    defaultProtocolClaims,
  )
  assert.equal(claims.name, 'Jane')
  assert.equal(claims.email, 'j@example.com')
})

test('userinfo does not speak for the ID Token, whether its claims are kept or not', () => {
  const userInfo = {
    sub: 'admin',
    sid: 'other',
    ...Object.fromEntries(defaultProtocolClaims.map(name => [name, 'other'])),
  }
  assert.deepEqual(buildClaims(idTokenClaims, userInfo, []), idTokenClaims)
  assert.equal('iss' in buildClaims(idTokenClaims, userInfo, defaultProtocolClaims), false)
})

test('userinfo brings no session id where the ID Token has none', () => {
  const { sid: _, ...without } = idTokenClaims
  assert.equal('sid' in buildClaims(without, { sub: 'user', sid: 'other' }, defaultProtocolClaims), false)
})

test('a boolean of the ID Token that userinfo of Cognito writes as text stays a boolean, and no other text becomes one', () => {
  const verified = { ...idTokenClaims, email_verified: true, custom: false }
  const claims = (userInfo: object) => buildClaims(verified, { sub: 'user', ...userInfo }, defaultProtocolClaims)
  assert.equal(claims({ email_verified: 'true' }).email_verified, true)
  assert.equal(claims({ email_verified: 'False' }).email_verified, false)
  assert.equal(claims({ custom: 'true' }).custom, true)
  assert.equal(claims({ custom: 'yes' }).custom, 'yes')
  assert.equal(claims({ phone_number_verified: 'true' }).phone_number_verified, 'true')
  assert.equal(claims({ newsletter: 'true' }).newsletter, 'true')
})

test('userinfo says nothing that only an ID Token can say, even where the site keeps all claims', () => {
  const forged = { jti: 'x', cnf: { jkt: 'x' }, acr: 'mfa', amr: ['mfa'], auth_time: 2, sid: 'x', iss: 'x', nonce: 'x' }
  const { sub, iss } = idTokenClaims
  const claims = buildClaims({ sub, iss } as IdTokenClaims, { sub, ...forged }, [])
  assert.deepEqual(claims, { sub, iss })
})

test('a claim that is null is absent, and does not replace one that has a value', () => {
  const claims = buildClaims({ ...idTokenClaims, nickname: null }, { sub: 'user', name: null }, defaultProtocolClaims)
  assert.equal(claims.name, 'Jane of the ID Token')
  assert.equal('nickname' in claims, false)
})

test('a site decides which claims are left out, of userinfo too', () => {
  const claims = buildClaims(idTokenClaims, { sub: 'user', name: 'Jane', picture: 'x' }, ['name', 'picture'])
  assert.equal('name' in claims, false)
  assert.equal('picture' in claims, false)
  assert.equal(claims.iss, idTokenClaims.iss)
})

test('claims kept elsewhere are not followed and prove nothing', () => {
  const references = {
    _claim_names: { credit: 'src1' },
    _claim_sources: { src1: { endpoint: 'https://evil.example' } },
  }
  const claims = buildClaims({ ...idTokenClaims, ...references }, { sub: 'user', ...references }, [])
  assert.deepEqual(claims, idTokenClaims)
})

test('a claim with several values has each of them once, in the order they came', () => {
  const userInfo = fromWire<UserInfo>(`{
    "sub": "user",
    "role": ["admin", "user", "admin"],
    "mixed": [1, "1", 1, null, null, true],
    "org": [{"id": 1, "tags": ["a"]}, {"tags": ["a"], "id": 1}, {"id": 2}]
  }`)
  assert.deepEqual(buildClaims(idTokenClaims, userInfo, [...defaultProtocolClaims, 'sid', 'auth_time', 'name']), {
    sub: 'user',
    role: ['admin', 'user'],
    mixed: [1, '1', null, true],
    org: [{ id: 1, tags: ['a'] }, { id: 2 }],
  })
})

test('values whose members read alike at first are told apart', () => {
  const list = [{ a: 'b,c' }, { 'a,b': 'c' }, { a: { b: 1 } }, { a: [1] }, { a: '1' }]
  assert.deepEqual(buildClaims({ ...idTokenClaims, list }, undefined, []).list, list)
})

test('a list inside a claim may repeat itself', () => {
  const place = { coordinates: [5, 5] }
  assert.deepEqual(buildClaims({ ...idTokenClaims, place }, undefined, []).place, place)
})

test('names that mean something to JavaScript are left out, at every depth', () => {
  const poison =
    '{"sub":"user","__proto__":{"admin":true},"constructor":1,"prototype":2,"a":[{"b":{"__proto__":{"admin":true},"c":3}}]}'
  const claims = buildClaims(fromWire(poison), fromWire(poison), [])
  assert.deepEqual(claims, { sub: 'user', a: [{ b: { c: 3 } }] })
  assert.equal((claims as { admin?: boolean }).admin, undefined)
  assert.equal(({} as { admin?: boolean }).admin, undefined)
})

test('other names of object methods are claims like any other', () => {
  const claims = buildClaims(fromWire('{"sub":"user","toString":"x","hasOwnProperty":"y"}'), undefined, [])
  assert.deepEqual(Object.entries(claims), [
    ['sub', 'user'],
    ['toString', 'x'],
    ['hasOwnProperty', 'y'],
  ])
})

test('the result shares nothing with what came in', () => {
  const address = { country: 'DE' }
  const claims = buildClaims({ ...idTokenClaims, address }, undefined, [])
  assert.deepEqual(claims.address, address)
  assert.notEqual(claims.address, address)
})

test('a hundred thousand values are made unique in one go', () => {
  const role = Array.from({ length: 100_000 }, (_, index) => ({ id: index % 50_000 }))
  const claims = buildClaims({ ...idTokenClaims, role }, undefined, [])
  assert.equal((claims.role as unknown[]).length, 50_000)
})

test('whatever comes in, plain claims come out', () => {
  const names = [...defaultProtocolClaims, 'sub', 'sid', 'name', '_claim_names', '_claim_sources']
  const odd = ['__proto__', 'constructor', 'prototype', 'toString', '']
  const name = fc.oneof(fc.constantFrom(...names, ...odd), fc.string({ maxLength: 6 }))
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 3 }),
    fc.array(fc.constantFrom(...'aab')),
    fc.dictionary(name, fc.jsonValue({ maxDepth: 1 })),
  )
  const source = fc
    .dictionary(name, value)
    .map(members => fromWire<UserInfo>(JSON.stringify({ ...members, sub: 'user' })))
  fc.assert(
    fc.property(source, fc.option(source, { nil: undefined }), (first, userInfo) => {
      const [firstText, userInfoText] = [JSON.stringify(first), JSON.stringify(userInfo)]
      const claims = buildClaims(first as unknown as IdTokenClaims, userInfo, defaultProtocolClaims)

      assert.deepEqual(JSON.parse(JSON.stringify(claims)), claims)
      assert.equal(Object.getPrototypeOf(claims), Object.prototype)
      assert.deepEqual([JSON.stringify(first), JSON.stringify(userInfo)], [firstText, userInfoText])
      assert.equal(claims.sub, 'user')
      assert.deepEqual(claims.sid, buildClaims(first as unknown as IdTokenClaims, undefined, []).sid)
      for (const gone of [...defaultProtocolClaims, '_claim_names', '_claim_sources'])
        assert.equal(Object.hasOwn(claims, gone), false)
      assert.doesNotMatch(JSON.stringify(claims), /"(__proto__|constructor|prototype)":/)
      for (const member of Object.values(claims)) if (Array.isArray(member)) assertUnique(member)
      const again = buildClaims(claims as unknown as IdTokenClaims, undefined, defaultProtocolClaims)
      assert.deepEqual(again, claims)
    }),
    { seed: 20250101, numRuns: 1000 },
  )
})

function assertUnique(values: readonly unknown[]): void {
  values.forEach((value, index) => {
    for (const other of values.slice(index + 1)) assert.notDeepEqual(value, other)
  })
}
