import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { buildTokenHash, checkTokenHashes } from '../../lib/protocol/token-hash.js'

const code = 'Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk'
const accessToken = 'jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y'
const state = 'af0ifjsldkj'
const claims = {
  c_hash: 'LDktKdoQak3Pk0cnXxCltA',
  at_hash: '77QmUPtjPfzWtF2AnpK9RQ',
  s_hash: buildTokenHash(state, 'RS256'),
}
const required = { codeHash: true, accessTokenHash: true }
const optional = { codeHash: false, accessTokenHash: false }

test('the hashes of OpenID Connect Core appendix A come out', () => {
  assert.equal(buildTokenHash(code, 'RS256'), claims.c_hash)
  assert.equal(buildTokenHash(accessToken, 'RS256'), claims.at_hash)
})

for (const [algorithms, hash, bytes] of [
  [['RS256', 'PS256', 'ES256', 'HS256'], 'sha256', 16],
  [['RS384', 'PS384', 'ES384', 'HS384'], 'sha384', 24],
  [['RS512', 'PS512', 'ES512', 'HS512', 'EdDSA', 'Ed25519'], 'sha512', 32],
] as const) {
  for (const alg of algorithms) {
    test(`${alg} goes with the left half of ${hash}`, () => {
      const expected = createHash(hash).update(code).digest().subarray(0, bytes).toString('base64url')
      assert.equal(buildTokenHash(code, alg), expected)
    })
  }
}

for (const alg of ['none', '', 'RS1', 'RS2560', 'xRS256', 'ES256K', 'Ed448']) {
  test(`no hash goes with the algorithm "${alg}"`, () => {
    assert.throws(() => buildTokenHash(code, alg), { code: 'ERR_OIDC_ID_TOKEN_ALGORITHM' })
  })
}

test('a code, a token and a state that belong to the ID Token are taken', () => {
  checkTokenHashes(claims, 'RS256', { code, accessToken, state }, required)
})

const rejections = [
  { name: 'c_hash of another code', change: { c_hash: claims.at_hash }, error: 'ERR_OIDC_ID_TOKEN_CODE_HASH' },
  {
    name: 'c_hash with one more character',
    change: { c_hash: `${claims.c_hash}1` },
    error: 'ERR_OIDC_ID_TOKEN_CODE_HASH',
  },
  { name: 'c_hash missing', change: { c_hash: undefined }, error: 'ERR_OIDC_ID_TOKEN_CODE_HASH' },
  { name: 'c_hash empty', change: { c_hash: '' }, error: 'ERR_OIDC_ID_TOKEN_CODE_HASH' },
  { name: 'c_hash as a list', change: { c_hash: [claims.c_hash] }, error: 'ERR_OIDC_ID_TOKEN_CODE_HASH' },
  {
    name: 'at_hash of another token',
    change: { at_hash: claims.c_hash },
    error: 'ERR_OIDC_ID_TOKEN_ACCESS_TOKEN_HASH',
  },
  { name: 'at_hash missing', change: { at_hash: undefined }, error: 'ERR_OIDC_ID_TOKEN_ACCESS_TOKEN_HASH' },
  { name: 'at_hash that is null', change: { at_hash: null }, error: 'ERR_OIDC_ID_TOKEN_ACCESS_TOKEN_HASH' },
  { name: 's_hash of another state', change: { s_hash: claims.c_hash }, error: 'ERR_OIDC_ID_TOKEN_STATE_HASH' },
  { name: 's_hash as a number', change: { s_hash: 0 }, error: 'ERR_OIDC_ID_TOKEN_STATE_HASH' },
]

for (const { name, change, error } of rejections) {
  test(`an ID Token with ${name} vouches for nothing`, () => {
    const check = () => checkTokenHashes({ ...claims, ...change }, 'RS256', { code, accessToken, state }, required)
    assert.throws(check, { code: error })
  })
}

test('a hash made for another algorithm is not the hash', () => {
  assert.throws(() => checkTokenHashes(claims, 'RS384', { code }, required), { code: 'ERR_OIDC_ID_TOKEN_CODE_HASH' })
})

test('hashes that are not required may be missing, but not wrong', () => {
  checkTokenHashes({}, 'RS256', { code, accessToken, state }, optional)
  assert.throws(() => checkTokenHashes({ c_hash: 'x' }, 'RS256', { code }, optional), {
    code: 'ERR_OIDC_ID_TOKEN_CODE_HASH',
  })
  assert.throws(() => checkTokenHashes({ at_hash: 'x' }, 'RS256', { accessToken }, optional), {
    code: 'ERR_OIDC_ID_TOKEN_ACCESS_TOKEN_HASH',
  })
})

test('a hash of something that did not come along is not looked at', () => {
  checkTokenHashes({ c_hash: 'x', at_hash: 'x', s_hash: 'x' }, 'RS256', {}, optional)
})

test('a hash that is required cannot be checked without its value', () => {
  assert.throws(() => checkTokenHashes(claims, 'RS256', {}, required), { code: 'ERR_OIDC_ID_TOKEN_CODE_HASH' })
  assert.throws(() => checkTokenHashes(claims, 'RS256', { code }, required), {
    code: 'ERR_OIDC_ID_TOKEN_ACCESS_TOKEN_HASH',
  })
})
