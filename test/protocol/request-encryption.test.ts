import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, test } from 'node:test'
import { compactDecrypt, type JWK } from 'jose'
import { CONTENT_ALGORITHMS, KEY_ALGORITHMS } from '../../lib/protocol/encryption-algorithms.js'
import { encryptRequestObject, noEncryptionKey, selectEncryptionKey } from '../../lib/protocol/request-encryption.js'

const pairs = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ec: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  okp: generateKeyPairSync('x25519'),
}
const publicJwk = (name: keyof typeof pairs, more: object = { use: 'enc' }) =>
  ({ ...pairs[name].publicKey.export({ format: 'jwk' }), kid: name, ...more }) as JWK
const all = { algorithms: KEY_ALGORITHMS }
const find = (keys: readonly JWK[], algorithms = all) => selectEncryptionKey(keys, algorithms)?.jwk.kid

describe('the key that request objects are encrypted to', () => {
  test('is one for encryption', () => {
    const signing = publicJwk('rsa', { use: 'sig', kid: 'sig' })
    assert.equal(find([signing, publicJwk('rsa')]), 'rsa')
    assert.equal(find([signing]), undefined)
    assert.equal(find([publicJwk('rsa', {})]), undefined, 'a key without a use may be one for signatures')
    assert.equal(find([publicJwk('rsa', { alg: 'RSA-OAEP-256' })]), 'rsa')
    assert.equal(find([publicJwk('rsa', { alg: 'PS256' })]), undefined)
  })

  test('fits the algorithm, and comes with the best that fits', () => {
    assert.deepEqual(
      KEY_ALGORITHMS.map(name => find([publicJwk('ec'), publicJwk('rsa')], { algorithms: [name] as never })),
      ['rsa', 'ec', 'ec', 'ec'],
    )
    assert.equal(selectEncryptionKey([publicJwk('okp')], all)?.algorithm, 'ECDH-ES')
    assert.equal(
      selectEncryptionKey([publicJwk('ec', { use: 'enc', alg: 'ECDH-ES+A256KW' })], all)?.algorithm,
      'ECDH-ES+A256KW',
    )
    assert.equal(find([publicJwk('rsa', { use: 'enc', alg: 'RSA1_5' })]), undefined)
    assert.equal(find([publicJwk('rsa', { use: 'enc', alg: 'RSA-OAEP' })]), undefined)
  })

  test('is none that is private, weak or of a curve for signatures', () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
    const signs = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
    assert.equal(find([{ ...weak, use: 'enc', kid: 'x' } as JWK]), undefined)
    assert.equal(find([{ ...signs, use: 'enc', kid: 'x' } as JWK]), undefined)
    assert.equal(find([publicJwk('ec', { use: 'enc', d: 'AAAA' })]), undefined)
  })
})

for (const [name, algorithm] of [
  ['rsa', 'RSA-OAEP-256'],
  ['ec', 'ECDH-ES'],
  ['ec', 'ECDH-ES+A128KW'],
  ['okp', 'ECDH-ES+A256KW'],
] as const) {
  test(`a request object is encrypted with ${algorithm} to a key of ${name}, and says what is inside`, async () => {
    for (const contentEncryption of CONTENT_ALGORITHMS) {
      const token = await encryptRequestObject('a.b.c', { jwk: publicJwk(name), algorithm }, { contentEncryption })
      const { plaintext, protectedHeader } = await compactDecrypt(token, pairs[name].privateKey)
      const { alg, enc, cty, kid, zip } = protectedHeader
      assert.equal(Buffer.from(plaintext).toString(), 'a.b.c')
      assert.deepEqual([alg, enc, cty, kid, zip], [algorithm, contentEncryption, 'JWT', name, undefined])
    }
  })
}

test('a key that is damaged is no reason to send the request as it is', async () => {
  const jwk = { ...publicJwk('ec'), x: 'AAAA' }
  await assert.rejects(encryptRequestObject('a.b.c', { jwk, algorithm: 'ECDH-ES' }, { contentEncryption: 'A128GCM' }), {
    code: 'ERR_OIDC_UNSUPPORTED',
  })
  assert.match(noEncryptionKey({ algorithms: ['ECDH-ES'] }).message, /no key.*ECDH-ES.*requestObject\.encryption/)
})
