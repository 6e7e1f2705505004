import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { describe, test } from 'node:test'
import {
  DEVICE_ALGORITHMS,
  type DeviceKey,
  isSameKey,
  parseDeviceProof,
  verifyRefresh,
  verifyRegistration,
} from '../../lib/protocol/device-proof.js'

type Json = Record<string, unknown>

interface Pair {
  readonly alg: 'ES256' | 'RS256'
  readonly privateKey: KeyObject
  readonly jwk: Json
}

const ec = createPair('ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' }))
const otherEc = createPair('ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' }))
const rsa = createPair('RS256', generateKeyPairSync('rsa', { modulusLength: 2048 }))

function createPair(
  alg: Pair['alg'],
  { publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject },
): Pair {
  return { alg, privateKey, jwk: { ...publicKey.export({ format: 'jwk' }) } }
}

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** A correct proof of a registration, unless told otherwise. */
function prove(
  pair: Pair,
  { header = {}, claims = {} }: { header?: Json | string; claims?: Json | string } = {},
): string {
  const wholeHeader = typeof header === 'string' ? header : { alg: pair.alg, typ: 'dbsc+jwt', jwk: pair.jwk, ...header }
  const input = `${encode(wholeHeader)}.${encode(typeof claims === 'string' ? claims : { jti: 'c1', ...claims })}`
  return `${input}.${signInput(pair, input)}`
}

function signInput({ alg, privateKey }: Pair, input: string): string {
  const encoding = alg === 'ES256' ? { dsaEncoding: 'ieee-p1363' as const } : {}
  return sign('sha256', Buffer.from(input), { key: privateKey, ...encoding }).toString('base64url')
}

const refused = (message: string) => ({ code: 'ERR_OIDC_DEVICE_PROOF', message: `device proof: ${message}` })

/** JSON leaves a member out that is undefined. */
const refresh = (pair: Pair, header: Json = {}) => prove(pair, { header: { jwk: undefined, ...header } })

test('ES256 and RS256 are offered, in this order', () => {
  assert.deepEqual(DEVICE_ALGORITHMS, ['ES256', 'RS256'])
})

for (const pair of [ec, rsa]) {
  describe(`a proof with ${pair.alg}`, () => {
    test('registers its key, public members only', () => {
      const { x, y, n } = pair.jwk
      const proof = parseDeviceProof(prove(pair, { header: { jwk: { ...pair.jwk, d: 'AAAA', kid: 'k' } } }))
      assert.equal(proof.challenge, 'c1')
      assert.equal(proof.alg, pair.alg)
      assert.deepEqual(verifyRegistration(proof), pair.alg === 'ES256' ? { alg: 'ES256', x, y } : { alg: 'RS256', n })
    })

    test('may be in quotes', () => {
      assert.equal(parseDeviceProof(`"${prove(pair)}"`).challenge, 'c1')
    })

    test('refreshes with the registered key, and brings none', () => {
      const key = verifyRegistration(parseDeviceProof(prove(pair)))
      verifyRefresh(parseDeviceProof(refresh(pair)), key)
      assert.throws(
        () => verifyRefresh(parseDeviceProof(prove(pair)), key),
        refused('it brings a key, and is no registration'),
      )
    })

    test('is refused where what is signed was changed, or the signature', () => {
      const key = verifyRegistration(parseDeviceProof(prove(pair)))
      const [header = '', , signature = ''] = refresh(pair).split('.')
      const other = `${header}.${encode({ jti: 'c2' })}.${signature}`
      const damaged = `${header}.${encode({ jti: 'c1' })}.${signature.slice(0, -8)}AAAAAAAA`
      const short = `${header}.${encode({ jti: 'c1' })}.AAAA`
      for (const proof of [other, damaged, short])
        assert.throws(
          () => verifyRefresh(parseDeviceProof(proof), key),
          refused('its signature was not made by the key'),
        )
    })
  })
}

test('a registration is refused whose key did not make the signature', () => {
  assert.throws(
    () => verifyRegistration(parseDeviceProof(prove(ec, { header: { jwk: otherEc.jwk } }))),
    refused('its signature was not made by the key'),
  )
})

test('a refresh is refused with another key, and with another algorithm', () => {
  const key = verifyRegistration(parseDeviceProof(prove(ec)))
  assert.throws(
    () => verifyRefresh(parseDeviceProof(refresh(otherEc)), key),
    refused('its signature was not made by the key'),
  )
  assert.throws(
    () => verifyRefresh(parseDeviceProof(refresh(rsa)), key),
    refused('it is signed with another algorithm than the registered key'),
  )
})

describe('a proof is refused', () => {
  const es256 = ec.alg
  const cases: readonly [name: string, proof: string, message: string][] = [
    ['that is empty', '', 'its header cannot be read'],
    ['without a signature', prove(ec).replace(/[\w-]+$/, ''), 'its header cannot be read'],
    ['with a fourth part', `${prove(ec)}.AAAA`, 'its header cannot be read'],
    ['that something follows', `${prove(ec)};a=1`, 'its header cannot be read'],
    ['that something precedes', `a=${prove(ec)}`, 'its header cannot be read'],
    ['whose header is no JSON', prove(ec, { header: 'nonsense' }), 'its header cannot be read'],
    ['whose header is a list', prove(ec, { header: '[]' }), 'its header cannot be read'],
    ['whose claims are no JSON', prove(ec, { claims: '{' }), 'its claims cannot be read'],
    ['whose claims are null', prove(ec, { claims: 'null' }), 'its claims cannot be read'],
    ['whose claims are nested too deep', prove(ec, { claims: { a: nested(40) } }), 'its claims cannot be read'],
    ['without a typ', prove(ec, { header: { typ: undefined } }), 'it was issued for another purpose'],
    ['of another typ', prove(ec, { header: { typ: 'dpop+jwt' } }), 'it was issued for another purpose'],
    [
      'without an alg',
      prove(ec, { header: { alg: undefined } }),
      'it is signed with an algorithm that was not offered',
    ],
    ['with alg none', prove(ec, { header: { alg: 'none' } }), 'it is signed with an algorithm that was not offered'],
    ['with alg HS256', prove(ec, { header: { alg: 'HS256' } }), 'it is signed with an algorithm that was not offered'],
    ['with alg es256', prove(ec, { header: { alg: 'es256' } }), 'it is signed with an algorithm that was not offered'],
    [
      'with a list as alg',
      prove(ec, { header: { alg: [es256] } }),
      'it is signed with an algorithm that was not offered',
    ],
    ['with a critical extension', prove(ec, { header: { crit: ['b64'] } }), 'it has a critical extension'],
    ['without a jti', prove(ec, { claims: { jti: undefined } }), 'its jti is not a string'],
    ['whose jti is a number', prove(ec, { claims: { jti: 1 } }), 'its jti is not a string'],
  ]
  for (const [name, proof, message] of cases)
    test(name, () => {
      assert.throws(() => parseDeviceProof(proof), refused(message))
    })

  test('that is longer than 4096 characters', () => {
    const filled = (length: number) => {
      const proof = (filler: number) => prove(rsa, { claims: { a: 'a'.repeat(filler) } })
      let filler = Math.floor(((length - proof(0).length) * 3) / 4) - 3
      while (proof(filler).length < length) filler += 1
      return proof(filler)
    }
    assert.equal(parseDeviceProof(filled(4096)).challenge, 'c1')
    assert.throws(() => parseDeviceProof(filled(4097)), refused('it is too long'))
  })

  test('whose message would tell what a stranger wrote', () => {
    const proof = prove(ec, { header: { typ: 'a\nb' } })
    assert.throws(() => parseDeviceProof(proof), { cause: { actual: 'ab' } })
    assert.throws(() => parseDeviceProof(prove(ec, { claims: '{' })), { cause: undefined })
  })
})

describe('the key of a registration is refused', () => {
  const bytes = (length: number) => Buffer.alloc(length, 0xff).toString('base64url')
  const unfit = 'its key does not fit its algorithm'
  const cases: readonly [name: string, pair: Pair, jwk: unknown, message?: string][] = [
    ['that is missing', ec, undefined, 'it names no key'],
    ['that is null', ec, null, 'it names no key'],
    ['that is a string', ec, 'key', 'it names no key'],
    ['that is a list', ec, [ec.jwk], 'it names no key'],
    ['of RSA for ES256', ec, rsa.jwk],
    ['of P-256 for RS256', rsa, ec.jwk],
    ['of another type with the members of P-256', ec, { ...ec.jwk, kty: 'OKP' }],
    ['of another curve', ec, { ...ec.jwk, crv: 'P-384' }],
    ['without x', ec, { ...ec.jwk, x: undefined }],
    ['without y', ec, { ...ec.jwk, y: undefined }],
    ['with a list as x', ec, { ...ec.jwk, x: [ec.jwk.x] }],
    ['with a short coordinate', ec, { ...ec.jwk, x: bytes(31) }],
    ['with a long coordinate', ec, { ...ec.jwk, y: bytes(33) }],
    ['with a coordinate in another alphabet', ec, { ...ec.jwk, y: `${'A'.repeat(42)}+` }],
    ['that is no point of the curve', ec, { ...ec.jwk, x: bytes(32) }, 'its key is not a point of the curve'],
    ['of another type with the members of RSA', rsa, { ...rsa.jwk, kty: 'oct' }],
    ['of RSA with another exponent', rsa, { ...rsa.jwk, e: 'Aw' }],
    ['of RSA without a modulus', rsa, { ...rsa.jwk, n: undefined }],
    ['of RSA with 2032 bits', rsa, { ...rsa.jwk, n: bytes(254) }],
    ['of RSA with 4104 bits', rsa, { ...rsa.jwk, n: bytes(513) }],
    ['of RSA in another alphabet', rsa, { ...rsa.jwk, n: `${bytes(256).slice(1)}+` }],
  ]
  for (const [name, pair, jwk, message = unfit] of cases)
    test(name, () => {
      const proof = parseDeviceProof(prove(pair, { header: { jwk } as Json }))
      assert.throws(() => verifyRegistration(proof), refused(message))
    })

  test('and one of RSA with 4096 bits is read', () => {
    const proof = parseDeviceProof(prove(rsa, { header: { jwk: { ...rsa.jwk, n: bytes(512) } } }))
    assert.throws(() => verifyRegistration(proof), refused('its signature was not made by the key'))
  })
})

test('two registrations of one key are the same, and of two keys are not', () => {
  const keyOf = (pair: Pair): DeviceKey => verifyRegistration(parseDeviceProof(prove(pair)))
  assert.ok(isSameKey(keyOf(ec), keyOf(ec)))
  assert.ok(isSameKey(keyOf(rsa), { ...keyOf(rsa) }))
  assert.ok(!isSameKey(keyOf(ec), keyOf(otherEc)))
  assert.ok(!isSameKey(keyOf(ec), keyOf(rsa)))
})

function nested(levels: number): unknown {
  return levels === 0 ? 0 : [nested(levels - 1)]
}
