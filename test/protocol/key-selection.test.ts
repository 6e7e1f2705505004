import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { before, test } from 'node:test'
import type { JWK } from 'jose'
import { selectKeys } from '../../lib/protocol/key-selection.js'

const rsa: JWK = { kty: 'RSA', kid: 'rsa', use: 'sig', n: modulus(2048), e: 'AQAB' }
const ec: JWK = { kty: 'EC', kid: 'ec', use: 'sig', crv: 'P-256', x: 'x', y: 'y' }
const okp: JWK = { kty: 'OKP', kid: 'okp', use: 'sig', crv: 'Ed25519', x: 'x' }

/** A number of exactly so many bits. Whether it is a product of two primes does not matter here. */
function modulus(bits: number): string {
  const bytes = Buffer.alloc(Math.ceil(bits / 8))
  bytes[0] = 1 << ((bits - 1) % 8)
  return bytes.toString('base64url')
}

let generated: JWK

before(() => {
  generated = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' })
})

test('a key that was really generated is selected', () => {
  assert.deepEqual(selectKeys([generated], { alg: 'RS256' }), [generated])
})

for (const [alg, key] of [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'].map(name => [name, rsa] as const),
  ['ES256', ec],
  ['ES384', { ...ec, crv: 'P-384' }],
  ['ES512', { ...ec, crv: 'P-521' }],
  ['EdDSA', okp],
  ['Ed25519', okp],
] as const) {
  test(`${alg} selects the key that fits, and no other`, () => {
    const kid = key.kid ?? ''
    assert.deepEqual(selectKeys([rsa, ec, okp, key], { alg, kid }).at(-1), key)
    const others = [rsa, ec, okp].filter(other => other.kty !== key.kty)
    assert.deepEqual(selectKeys(others, { alg }), [])
  })
}

for (const alg of [
  'none',
  'HS256',
  'HS384',
  'HS512',
  'ES256K',
  'XRS256',
  'RS2560',
  'RS1',
  'RSA-OAEP',
  'ECDH-ES',
  '',
  '__proto__',
  'toString',
]) {
  test(`the algorithm "${alg}" selects nothing from a published set`, () => {
    const secret: JWK = { kty: 'oct', k: 'c2VjcmV0', kid: 'oct' }
    const { crv: _, ...curveless } = ec
    assert.deepEqual(selectKeys([rsa, ec, okp, secret, curveless], { alg }), [])
  })
}

const unfit: readonly (readonly [string, JWK, string])[] = [
  ['for encryption', { ...rsa, use: 'enc' }, 'RS256'],
  ['of an unknown use', { ...rsa, use: 'SIG' }, 'RS256'],
  ['that may only sign', { ...rsa, key_ops: ['sign'] }, 'RS256'],
  ['that may do nothing', { ...rsa, key_ops: [] }, 'RS256'],
  ['whose operations are no list', { ...rsa, key_ops: 'verify' as unknown as string[] }, 'RS256'],
  ['of another algorithm', { ...rsa, alg: 'RS384' }, 'RS256'],
  ['of another algorithm of the same kind', { ...rsa, alg: 'PS256' }, 'RS256'],
  ['with a private part', { ...rsa, d: 'x' }, 'RS256'],
  ['of a curve with a private part', { ...ec, d: 'x' }, 'ES256'],
  ['with a secret', { ...rsa, k: 'x' } as JWK, 'RS256'],
  ['of another curve', { ...ec, crv: 'P-384' }, 'ES256'],
  ['of the curve secp256k1', { ...ec, crv: 'secp256k1' }, 'ES256'],
  ['of the curve Ed448', { ...okp, crv: 'Ed448' }, 'EdDSA'],
  ['of an elliptic curve in the wrong family', { ...okp, kty: 'EC' }, 'EdDSA'],
  ['of 2047 bits', { ...rsa, n: modulus(2047) }, 'RS256'],
  ['of 1024 bits with zeros in front', { ...rsa, n: `${'A'.repeat(344)}${modulus(1024)}` }, 'RS256'],
  ['of 8193 bits', { ...rsa, n: modulus(8193) }, 'RS256'],
  ['of zero', { ...rsa, n: 'A'.repeat(344) }, 'RS256'],
  ['without a modulus', { kty: 'RSA', e: 'AQAB' }, 'RS256'],
  ['whose modulus is a number', { ...rsa, n: 42 as unknown as string }, 'RS256'],
  ['without a type', { ...rsa, kty: undefined as unknown as string }, 'RS256'],
]

for (const [name, key, alg] of unfit) {
  test(`a key ${name} is left out, and the one beside it is not`, () => {
    const good = key.kty === 'OKP' || alg === 'EdDSA' ? okp : alg === 'ES256' ? ec : rsa
    assert.deepEqual(selectKeys([key, good], { alg }), [good])
  })
}

for (const bits of [2048, 3072, 4096, 8192]) {
  test(`a modulus of ${bits} bits will do`, () => {
    const key = { ...rsa, n: modulus(bits) }
    assert.deepEqual(selectKeys([key], { alg: 'RS256' }), [key])
  })
}

test('entries that are no keys at all break nothing', () => {
  const keys = [null, 'key', 42, [rsa], undefined, rsa] as unknown as JWK[]
  assert.deepEqual(selectKeys(keys, { alg: 'RS256' }), [rsa])
})

test('a key may say that it verifies with this algorithm', () => {
  const key = { ...rsa, alg: 'RS256', key_ops: ['verify'] }
  assert.deepEqual(selectKeys([key], { alg: 'RS256', kid: 'rsa' }), [key])
})

test('with a kid only keys of that name are candidates, twins included', () => {
  const twin = { ...rsa, n: modulus(3072) }
  const other = { ...rsa, kid: 'other' }
  const { kid: _, ...nameless } = rsa
  assert.deepEqual(selectKeys([rsa, other, nameless, twin], { alg: 'RS256', kid: 'rsa' }), [rsa, twin])
  assert.deepEqual(selectKeys([rsa], { alg: 'RS256', kid: '' }), [])
  assert.deepEqual(selectKeys([rsa], { alg: 'RS256', kid: '__proto__' }), [])
})

test('without a kid the one RSA signing key is found among the keys of a whole provider', () => {
  const { kid: _, ...nameless } = rsa
  const keys: JWK[] = [
    { ...rsa, kid: 'enc', use: 'enc', alg: 'RSA-OAEP' },
    { ...ec, kid: 'enc2', use: 'enc', alg: 'ECDH-ES' },
    { ...ec, crv: 'secp256k1' },
    ec,
    okp,
    nameless,
  ]
  assert.deepEqual(selectKeys(keys, { alg: 'RS256' }), [nameless])
})

test('a key that says whose tokens it signs counts for those, where the keys are of many issuers, and for all elsewhere', () => {
  const [one, other] = ['https://login.example/one', 'https://login.example/other']
  const keys = [{ ...rsa, issuer: one } as JWK, { ...rsa, issuer: other } as JWK, rsa]
  assert.deepEqual(selectKeys(keys, { alg: 'RS256', issuers: [one] }), [keys[0], rsa])
  assert.deepEqual(selectKeys(keys, { alg: 'RS256', issuers: [undefined] }), [rsa])
  assert.deepEqual(selectKeys(keys, { alg: 'RS256' }), keys)
})
