import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { calculateJwkThumbprint, EmbeddedJWK, importJWK, jwtVerify } from 'jose'
import {
  asksForNonce,
  deriveProofKey,
  importProofKey,
  type ProofKey,
  parseNonce,
  proofKeyThumbprint,
  signProof,
} from '../../lib/protocol/dpop.js'
import { PROOF_ALGORITHMS } from '../../lib/protocol/proof-algorithms.js'

const now = 1_780_272_000
const prove = (key: ProofKey, more: object = {}) =>
  signProof(key, importProofKey(key), { method: 'GET', url: 'https://api.test/a', now, jti: 'once', ...more })
const verify = (proof: string) => jwtVerify(proof, EmbeddedJWK, { typ: 'dpop+jwt', currentDate: new Date(now * 1000) })

/** The key of the examples in RFC 9449. */
const example: ProofKey = {
  alg: 'ES256',
  d: '',
  x: 'l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs',
  y: '9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA',
}

for (const alg of PROOF_ALGORITHMS) {
  test(`a key of ${alg} is derived from its secret, the same one every time, and jose takes its proofs`, async () => {
    const secret = randomBytes(64)
    const key = deriveProofKey(alg, secret)
    assert.deepEqual(deriveProofKey(alg, Buffer.from(secret)), key)
    assert.notEqual(deriveProofKey(alg, randomBytes(64)).d, key.d)
    const url = 'https://api.test:8443/a%20b/?q=1#part'
    const proof = prove(key, { method: 'POST', url, nonce: 'n-1', accessToken: 'at' })
    const { payload, protectedHeader } = await verify(proof)
    assert.equal(protectedHeader.alg, alg)
    assert.deepEqual(payload, {
      jti: 'once',
      htm: 'POST',
      htu: 'https://api.test:8443/a%20b/',
      iat: now,
      ath: createHash('sha256').update('at').digest('base64url'),
      nonce: 'n-1',
    })
    const { jwk } = protectedHeader
    assert.ok(jwk)
    assert.deepEqual(Object.keys(jwk).sort(), alg === 'ES256' ? ['crv', 'kty', 'x', 'y'] : ['crv', 'kty', 'x'])
    assert.equal(await calculateJwkThumbprint(jwk), proofKeyThumbprint(key))
  })

  test(`private and public part of a key of ${alg} belong together, however small its numbers are`, async () => {
    for (const secret of [Buffer.alloc(48), Buffer.alloc(64, 1), Buffer.alloc(64, 0xff)]) {
      const key = deriveProofKey(alg, secret)
      await verify(prove(key))
      const kty = alg === 'ES256' ? { kty: 'EC', crv: 'P-256' } : { kty: 'OKP', crv: 'Ed25519' }
      await importJWK({ ...kty, ...key }, alg)
    }
  })
}

test('a key needs more random bits than it has itself', () => {
  assert.throws(() => deriveProofKey('ES256', randomBytes(32)), TypeError)
})

test('the thumbprint and ath are those of RFC 9449', async () => {
  assert.equal(proofKeyThumbprint(example), '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I')
  const accessToken = 'Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU'
  const { payload } = await verify(prove(deriveProofKey('ES256', randomBytes(64)), { accessToken }))
  assert.equal(payload.ath, 'fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo')
})

test('a proof without a token and a nonce has neither', async () => {
  const { payload } = await verify(prove(deriveProofKey('ES256', randomBytes(64))))
  assert.deepEqual(Object.keys(payload), ['jti', 'htm', 'htu', 'iat'])
})

test('a nonce of other characters, an empty one and one that is too long are no nonces', () => {
  assert.equal(parseNonce('eyJ7S_zG.eyJH0-Z.HX4w-7v'), 'eyJ7S_zG.eyJH0-Z.HX4w-7v')
  for (const bad of [null, undefined, '', ' ', 'a b', 'a"b', 'a\\b', 'a, b', 'ä', 'a'.repeat(513)])
    assert.equal(parseNonce(bad), undefined, String(bad))
})

test('a challenge asks for a nonce whatever its scheme, its order and its letter case', () => {
  for (const challenge of [
    'DPoP error="use_dpop_nonce", error_description="Resource server requires nonce in DPoP proof"',
    'dPoP error="use_dpop_nonce"',
    'DPoP algs="ES256 PS256", error="use_dpop_nonce"',
    'Bearer realm="x", error="invalid_request", DPoP error=use_dpop_nonce',
  ])
    assert.equal(asksForNonce(challenge), true, challenge)
  for (const challenge of [
    null,
    undefined,
    '',
    'DPoP error="invalid_token"',
    'DPoP error_description="use_dpop_nonce"',
  ])
    assert.equal(asksForNonce(challenge), false, String(challenge))
})
