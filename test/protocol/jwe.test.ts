import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { before, describe, test } from 'node:test'
import { CompactEncrypt, type JWK } from 'jose'
import { OidcError } from '../../lib/index.js'
import { decryptJwt, selectDecryptionKeys } from '../../lib/protocol/jwe.js'

const INSIDE = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.AAAA'

type Pair = { readonly publicKey: KeyObject; readonly privateKey: KeyObject }
let rsa: Pair
let otherRsa: Pair
const ec: Pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const okp: Pair = generateKeyPairSync('x25519')

before(() => {
  rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  otherRsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
})

function encrypt(header: object, key: KeyObject, plaintext = INSIDE): Promise<string> {
  const given = { enc: 'A256GCM', cty: 'JWT', ...header } as unknown as { alg: string; enc: string }
  return new CompactEncrypt(Buffer.from(plaintext)).setProtectedHeader(given).encrypt(key)
}

function jwk({ privateKey }: Pair, more: Partial<JWK>): JWK {
  return { ...(privateKey.export({ format: 'jwk' }) as JWK), ...more }
}

/** The same token, with another header. */
function withHeader(token: string, change: (header: Record<string, unknown>) => object | string): string {
  const [head = '', ...rest] = token.split('.')
  const changed = change(JSON.parse(Buffer.from(head, 'base64url').toString()) as Record<string, unknown>)
  const text = typeof changed === 'string' ? changed : JSON.stringify(changed)
  return [Buffer.from(text).toString('base64url'), ...rest].join('.')
}

const headerSets = (more: object) => (header: object) => ({ ...header, ...more })

describe('what is opened', () => {
  for (const alg of ['RSA-OAEP-256', 'ECDH-ES', 'ECDH-ES+A128KW', 'ECDH-ES+A256KW']) {
    for (const enc of ['A128GCM', 'A256GCM', 'A128CBC-HS256', 'A256CBC-HS512']) {
      test(`${alg} with ${enc}`, async () => {
        for (const pair of alg.startsWith('RSA') ? [rsa] : [ec, okp]) {
          const token = await encrypt({ alg, enc }, pair.publicKey)
          assert.equal(await decryptJwt(token, [pair.privateKey]), INSIDE)
          assert.equal(await decryptJwt(token, [jwk(pair, {})]), INSIDE)
        }
      })
    }
  }

  test('a token without cty, and one with the long form of it', async () => {
    for (const cty of [undefined, 'jwt', 'application/jwt']) {
      const token = await encrypt({ alg: 'RSA-OAEP-256', cty }, rsa.publicKey)
      assert.equal(await decryptJwt(token, [rsa.privateKey]), INSIDE)
    }
  })

  test('with several keys of one type and no kid, the one that fits is found', async () => {
    const token = await encrypt({ alg: 'RSA-OAEP-256' }, rsa.publicKey)
    assert.equal(await decryptJwt(token, [otherRsa.privateKey, ec.privateKey, rsa.privateKey]), INSIDE)
  })

  test('a key that the token names is tried before any number of keys without a name', async () => {
    const token = await encrypt({ alg: 'RSA-OAEP-256', kid: 'new' }, rsa.publicKey)
    const nameless = Array.from({ length: 6 }, () => otherRsa.privateKey)
    assert.equal(await decryptJwt(token, [...nameless, jwk(rsa, { kid: 'new' })]), INSIDE)
  })
})

describe('which key', () => {
  const header = { alg: 'ECDH-ES', kid: 'one' }
  for (const [what, key, fits] of [
    ['the same kid', { kid: 'one' }, true],
    ['another kid', { kid: 'two' }, false],
    ['no kid', {}, true],
    ['use enc', { use: 'enc' }, true],
    ['use sig', { use: 'sig' }, false],
    ['the same alg', { alg: 'ECDH-ES' }, true],
    ['another alg', { alg: 'ECDH-ES+A128KW' }, false],
    ['another type', { kty: 'RSA' }, false],
  ] as const) {
    test(`${what}: ${fits ? 'fits' : 'does not fit'}`, () => {
      const keys = [{ ...jwk(ec, {}), ...key } as JWK]
      assert.equal(selectDecryptionKeys(keys, header).length, fits ? 1 : 0)
    })
  }

  test('a token without kid may mean a key that has one', () => {
    assert.equal(selectDecryptionKeys([jwk(ec, { kid: 'one' })], { alg: 'ECDH-ES' }).length, 1)
  })
})

describe('what is refused', () => {
  const refuses = async (token: string, code: string, keys: readonly (KeyObject | JWK)[] = [rsa.privateKey]) => {
    const error = await decryptJwt(token, keys).then(
      () => assert.fail('it was opened'),
      (reason: unknown) => reason,
    )
    assert.ok(error instanceof OidcError)
    assert.equal(error.code, code)
    return error
  }

  const headers = [
    ['RSA1_5', headerSets({ alg: 'RSA1_5' })],
    ['RSA-OAEP with SHA-1', headerSets({ alg: 'RSA-OAEP' })],
    ['PBES2 with a count that takes hours', headerSets({ alg: 'PBES2-HS512+A256KW', p2c: 2_147_483_647, p2s: 'AAAA' })],
    ['dir', headerSets({ alg: 'dir' })],
    ['a wrapped key', headerSets({ alg: 'A256KW' })],
    ['alg none', headerSets({ alg: 'none' })],
    ['alg of a signature', headerSets({ alg: 'RS256' })],
    ['alg in another case', headerSets({ alg: 'rsa-oaep-256' })],
    ['alg as a list', headerSets({ alg: ['RSA-OAEP-256'] })],
    ['no alg', headerSets({ alg: undefined })],
    ['enc none', headerSets({ enc: 'none' })],
    ['no enc', headerSets({ enc: undefined })],
    ['enc of another kind', headerSets({ enc: 'A192CBC-HS384' })],
    ['a compressed token', headerSets({ zip: 'DEF' })],
    ['a critical extension', headerSets({ crit: ['exp'], exp: 1 })],
    ['a critical extension of no name', headerSets({ crit: [] })],
    ['content of another type', headerSets({ cty: 'text/plain' })],
    ['a kid that is no string', headerSets({ kid: { $ne: null } })],
  ] as const

  test('RSA1_5, PBES2, dir, compression, critical extensions and every other algorithm: ERR_OIDC_ID_TOKEN_ENCRYPTION, before a key is used', async () => {
    const token = await encrypt({ alg: 'RSA-OAEP-256' }, rsa.publicKey)
    for (const [what, change] of headers) {
      const error = await refuses(withHeader(token, change), 'ERR_OIDC_ID_TOKEN_ENCRYPTION', [])
      assert.match(error.message, /of the encrypted token is not accepted$/, what)
    }
  })

  test('a header that is no JSON object: ERR_OIDC_ID_TOKEN_MALFORMED, and its text is in no message', async () => {
    const token = await encrypt({ alg: 'RSA-OAEP-256' }, rsa.publicKey)
    for (const header of ['secret', '[]', 'null', '"secret"', '{"secret":']) {
      const error = await refuses(
        withHeader(token, () => header),
        'ERR_OIDC_ID_TOKEN_MALFORMED',
      )
      assert.doesNotMatch(String(error), /secret/)
    }
  })

  test('a token that is too long is refused before a key is used', async () => {
    const token = await encrypt({ alg: 'RSA-OAEP-256' }, rsa.publicKey, 'a'.repeat(70_000))
    assert.ok(token.length > 90_000)
    await refuses(token, 'ERR_OIDC_ID_TOKEN_MALFORMED', [])
  })

  test('whatever is wrong with key, padding, tag or text, code and message are the same and there is no cause', async () => {
    const token = await encrypt({ alg: 'RSA-OAEP-256' }, rsa.publicKey)
    const parts = token.split('.')
    const flip = (index: number) =>
      parts.map((part, at) => (at === index ? `${part.startsWith('A') ? 'B' : 'A'}${part.slice(1)}` : part)).join('.')
    const told = new Set<string>()
    const hostile = [flip(1), flip(2), flip(3), flip(4), parts.with(1, '').join('.'), parts.with(1, 'AAAA').join('.')]
    for (const each of [...hostile, await encrypt({ alg: 'RSA-OAEP-256' }, otherRsa.publicKey)]) {
      const error = await refuses(each, 'ERR_OIDC_ID_TOKEN_DECRYPTION')
      told.add(`${error.message} ${String(error.cause)}`)
    }
    assert.deepEqual([...told], ['no key of this site opens the encrypted token undefined'])
  })

  test('an ephemeral key of another curve, off the curve or missing: ERR_OIDC_ID_TOKEN_DECRYPTION', async () => {
    const token = await encrypt({ alg: 'ECDH-ES' }, ec.publicKey)
    const other = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' })
    for (const epk of [
      undefined,
      other,
      { kty: 'EC', crv: 'P-256', x: 'AAAA', y: 'AAAA' },
      { kty: 'oct', k: 'AA' },
      1,
    ]) {
      await refuses(withHeader(token, headerSets({ epk })), 'ERR_OIDC_ID_TOKEN_DECRYPTION', [ec.privateKey])
    }
  })

  test('no key fits: ERR_OIDC_ID_TOKEN_DECRYPTION', async () => {
    const token = await encrypt({ alg: 'RSA-OAEP-256', kid: 'one' }, rsa.publicKey)
    for (const keys of [[], [ec.privateKey], [jwk(rsa, { kid: 'two' })], [jwk(rsa, { use: 'sig' })]]) {
      await refuses(token, 'ERR_OIDC_ID_TOKEN_DECRYPTION', keys)
    }
  })
})
