import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CONTENT_ALGORITHMS, KEY_ALGORITHMS, selectEncryption } from '../../lib/protocol/encryption-algorithms.js'
import type { ProviderMetadata } from '../../lib/protocol/wire.js'

function metadata(algorithms?: readonly string[], contents?: readonly string[]): ProviderMetadata {
  return {
    issuer: 'https://op.example',
    authorization_endpoint: 'https://op.example/authorize',
    ...(algorithms && { request_object_encryption_alg_values_supported: algorithms }),
    ...(contents && { request_object_encryption_enc_values_supported: contents }),
  }
}

describe('what request objects are encrypted with', () => {
  test('is whatever a key fits where the provider lists nothing', () => {
    assert.deepEqual(selectEncryption(metadata(), {}), {
      algorithms: KEY_ALGORITHMS,
      contentEncryption: 'A128CBC-HS256',
    })
  })

  test('is what the provider lists, without what is not safe', () => {
    const listed = metadata(['RSA1_5', 'dir', 'ECDH-ES', 'RSA-OAEP', 'ECDH-ES+A256KW'], ['A192GCM', 'A256GCM'])
    assert.deepEqual(selectEncryption(listed, {}), {
      algorithms: ['ECDH-ES', 'ECDH-ES+A256KW'],
      contentEncryption: 'A256GCM',
    })
  })

  test('is refused where the provider lists nothing that is safe', () => {
    for (const listed of [metadata(['RSA1_5', 'dir']), metadata(undefined, ['A192GCM'])])
      assert.throws(() => selectEncryption(listed, {}), { code: 'ERR_OIDC_UNSUPPORTED', message: /requestObject/ })
  })

  test('is what an option names, and the log says that it is not listed', () => {
    const told: string[] = []
    const wish = { algorithm: 'RSA-OAEP-256', contentEncryption: 'A256GCM' } as const
    const usable = selectEncryption(metadata(['ECDH-ES'], ['A128GCM']), wish, line => told.push(line))
    assert.deepEqual(usable, { algorithms: ['RSA-OAEP-256'], contentEncryption: 'A256GCM' })
    assert.equal(told.length, 2)
  })

  test('is never RSA1_5, a password or a shared secret', () => {
    const names = [...KEY_ALGORITHMS, ...CONTENT_ALGORITHMS].join()
    assert.doesNotMatch(names, /RSA1_5|RSA-OAEP,|PBES2|dir/)
  })
})
