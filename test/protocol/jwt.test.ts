import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { test } from 'node:test'
import { type CryptoKey, importJWK } from 'jose'
import { OidcError, type OidcErrorCode } from '../../lib/errors.js'
import { type JwtExpectations, type KeysFor, verifyJwt } from '../../lib/protocol/jwt.js'

const provider = generateKeyPairSync('rsa', { modulusLength: 2048 })
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 })
const curve = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const edwards = generateKeyPairSync('ed25519')
const secret = Buffer.alloc(32, 7)

const rs256: JwtExpectations = { algorithm: 'RS256' }
const claims = { iss: 'https://op.example', sub: 'user', name: 'Jané' }

const providerKey = await publicKey(provider, 'RS256')
const strangerKey = await publicKey(stranger, 'RS256')
const keysFor: KeysFor = async () => [providerKey]

async function publicKey(pair: { publicKey: KeyObject }, alg: string): Promise<CryptoKey> {
  return (await importJWK(pair.publicKey.export({ format: 'jwk' }), alg)) as CryptoKey
}

function encode(part: unknown): string {
  return Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')
}

/** Signs whatever header and payload, as no library would. */
function forge(header: unknown, payload: unknown = claims, key = provider.privateKey): string {
  const input = `${encode(header)}.${encode(payload)}`
  return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`
}

function mac(header: unknown, key: string | Buffer): string {
  const input = `${encode(header)}.${encode(claims)}`
  return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`
}

const valid = forge({ alg: 'RS256', kid: 'k1' })
const [validHeader = '', validPayload = '', validSignature = ''] = valid.split('.')

test('a token of the provider is taken, with what its header says', async () => {
  assert.deepEqual(await verifyJwt(valid, keysFor, rs256), { header: { alg: 'RS256', kid: 'k1' }, claims })
})

test('keys are asked for by algorithm and kid, and by nothing else', async () => {
  const asked: unknown[] = []
  const watching: KeysFor = async header => {
    asked.push(header)
    return [providerKey]
  }
  await verifyJwt(forge({ alg: 'RS256', kid: 'k1', jku: 'https://evil.example', typ: 'JWT' }), watching, rs256)
  await verifyJwt(forge({ alg: 'RS256' }), watching, rs256)
  assert.deepEqual(asked, [{ alg: 'RS256', kid: 'k1' }, { alg: 'RS256' }])
})

test('without a kid every candidate is tried', async () => {
  const twoKeys: KeysFor = async () => [strangerKey, providerKey]
  assert.deepEqual((await verifyJwt(forge({ alg: 'RS256' }), twoKeys, rs256)).claims, claims)
})

test('a key that cannot be used does not keep the others from being tried', async () => {
  const wrongKind = await publicKey(curve, 'ES256')
  const twoKeys: KeysFor = async () => [wrongKind, providerKey]
  assert.deepEqual((await verifyJwt(valid, twoKeys, rs256)).claims, claims)
})

for (const [algorithm, key, token] of [
  ['ES256', await publicKey(curve, 'ES256'), forgeEc],
  ['EdDSA', await publicKey(edwards, 'EdDSA'), forgeEdwards],
  ['Ed25519', await publicKey(edwards, 'Ed25519'), forgeEdwards],
  ['HS256', new Uint8Array(secret), (header: unknown) => mac(header, secret)],
] as const) {
  test(`${algorithm} works where it is expected`, async () => {
    const found = await verifyJwt(token({ alg: algorithm }), async () => [key], { algorithm })
    assert.deepEqual(found, { header: { alg: algorithm }, claims })
  })
}

function forgeEc(header: unknown): string {
  const input = `${encode(header)}.${encode(claims)}`
  const signature = sign('sha256', Buffer.from(input), { key: curve.privateKey, dsaEncoding: 'ieee-p1363' })
  return `${input}.${signature.toString('base64url')}`
}

function forgeEdwards(header: unknown): string {
  const input = `${encode(header)}.${encode(claims)}`
  return `${input}.${sign(null, Buffer.from(input), edwards.privateKey).toString('base64url')}`
}

test('a kid and a typ that are null are absent', async () => {
  const { header } = await verifyJwt(forge({ alg: 'RS256', kid: null, typ: null }), async () => [providerKey], rs256)
  assert.deepEqual(header, { alg: 'RS256' })
})

test('whole numbers beyond 2^53 are text with every digit, in claims however deep; a numeric sub stays a number', async () => {
  const text =
    '{"sub":9007199254740993,"id":9007199254740993,"org":{"ids":[-9007199254740993,1]},"ratio":9007199254740993.5}'
  const { claims: read } = await verifyJwt(forge({ alg: 'RS256', kid: 'k1' }, text), keysFor, rs256)
  assert.equal(typeof read.sub, 'number')
  assert.deepEqual(
    [read.id, read.org, typeof read.ratio],
    ['9007199254740993', { ids: ['-9007199254740993', 1] }, 'number'],
  )
})

const publicJwk = stranger.publicKey.export({ format: 'jwk' })
const deep = `{"a":${'['.repeat(40)}${']'.repeat(40)}}`

const rejections: readonly (readonly [string, string, OidcErrorCode])[] = [
  ['two parts', `${validHeader}.${validPayload}`, 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['four parts', `${valid}.x`, 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['five parts, as an encrypted one has', `${valid}.x.x`, 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['a blank in it', valid.replace('.', ' .'), 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['a line break at its end', `${valid}\n`, 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['padding', `${valid}=`, 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['nothing but dots', '..', 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['nothing in it', '', 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['a header that is not JSON', forge('alg'), 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['a header that is a list', forge(['RS256']), 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['a header that is null', forge(null), 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['a kid that is a number', forge({ alg: 'RS256', kid: 42 }), 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['a kid that is an object', forge({ alg: 'RS256', kid: {} }), 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['a typ that is a list', forge({ alg: 'RS256', typ: ['JWT'] }), 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['an unknown critical extension', forge({ alg: 'RS256', crit: ['x'], x: 1 }), 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['a payload that is not encoded', forge({ alg: 'RS256', crit: ['b64'], b64: false }), 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['an empty list of extensions', forge({ alg: 'RS256', crit: [] }), 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['the type of an access token', forge({ alg: 'RS256', typ: 'at+jwt' }), 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  [
    'the full type of an access token',
    forge({ alg: 'RS256', typ: 'application/at+jwt' }),
    'ERR_OIDC_ID_TOKEN_MALFORMED',
  ],
  ['the type of a logout token', forge({ alg: 'RS256', typ: 'logout+jwt' }), 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['the type of a security event', forge({ alg: 'RS256', typ: 'secevent+jwt' }), 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['a type that only begins like that of a JWT', forge({ alg: 'RS256', typ: 'jwt+x' }), 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['an empty type', forge({ alg: 'RS256', typ: '' }), 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['claims that are a list', forge({ alg: 'RS256' }, [claims]), 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['claims that are a text', forge({ alg: 'RS256' }, '"text"'), 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['claims that are null', forge({ alg: 'RS256' }, null), 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['claims that are not JSON', forge({ alg: 'RS256' }, 'text'), 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['claims nested too deep', forge({ alg: 'RS256' }, deep), 'ERR_OIDC_ID_TOKEN_MALFORMED'],
  ['another algorithm of the same key', forge({ alg: 'PS256', kid: 'k1' }), 'ERR_OIDC_ID_TOKEN_ALGORITHM'],
  ['another algorithm of another key', forgeEc({ alg: 'ES256', kid: 'k1' }), 'ERR_OIDC_ID_TOKEN_ALGORITHM'],
  ['no algorithm', forge({ kid: 'k1' }), 'ERR_OIDC_ID_TOKEN_ALGORITHM'],
  ['an algorithm that is a list', forge({ alg: ['RS256'] }), 'ERR_OIDC_ID_TOKEN_ALGORITHM'],
  ['a shared secret of ours', mac({ alg: 'HS256' }, secret), 'ERR_OIDC_ID_TOKEN_ALGORITHM'],
  [
    'a signature by another party',
    forge({ alg: 'RS256', kid: 'k1' }, claims, stranger.privateKey),
    'ERR_OIDC_ID_TOKEN_SIGNATURE',
  ],
  ['no signature', `${validHeader}.${validPayload}.`, 'ERR_OIDC_ID_TOKEN_SIGNATURE'],
  ['the first half of its signature', valid.slice(0, -171), 'ERR_OIDC_ID_TOKEN_SIGNATURE'],
  ['a signature that cannot be decoded', `${validHeader}.${validPayload}.A`, 'ERR_OIDC_ID_TOKEN_SIGNATURE'],
  [
    'other claims',
    `${validHeader}.${encode({ ...claims, sub: 'admin' })}.${validSignature}`,
    'ERR_OIDC_ID_TOKEN_SIGNATURE',
  ],
  [
    'another header',
    `${encode({ alg: 'RS256', kid: 'k2' })}.${validPayload}.${validSignature}`,
    'ERR_OIDC_ID_TOKEN_SIGNATURE',
  ],
  ...['none', 'None', 'NONE', 'nOnE', 'none ', '', 'rs256', 'RS256 '].map(
    alg => [`the algorithm "${alg}"`, `${encode({ alg })}.${validPayload}.`, 'ERR_OIDC_ID_TOKEN_ALGORITHM'] as const,
  ),
  ...publicKeyForms().map(
    ([form, key]) =>
      [`a MAC made with the public key as ${form}`, mac({ alg: 'HS256' }, key), 'ERR_OIDC_ID_TOKEN_ALGORITHM'] as const,
  ),
  ...Object.entries({
    jwk: publicJwk,
    jku: 'https://evil.example/jwks',
    x5u: 'https://evil.example/x',
    x5c: ['MII'],
  }).map(
    ([name, hint]) =>
      [
        `a ${name} of its own`,
        forge({ alg: 'RS256', [name]: hint }, claims, stranger.privateKey),
        'ERR_OIDC_ID_TOKEN_SIGNATURE',
      ] as const,
  ),
]

function publicKeyForms(): readonly (readonly [string, string | Buffer])[] {
  const spki = provider.publicKey.export({ type: 'spki', format: 'pem' }).toString()
  return [
    ['SPKI', spki],
    ['SPKI without a line break', spki.trim()],
    ['PKCS #1', provider.publicKey.export({ type: 'pkcs1', format: 'pem' }).toString()],
    ['DER', provider.publicKey.export({ type: 'spki', format: 'der' })],
    ['JWK', JSON.stringify(provider.publicKey.export({ format: 'jwk' }))],
    ['modulus', Buffer.from(provider.publicKey.export({ format: 'jwk' }).n ?? '', 'base64url')],
  ]
}

for (const [name, token, code] of rejections) {
  test(`a token with ${name} is refused`, async () => {
    await assert.rejects(verifyJwt(token, keysFor, rs256), { code })
  })
}

test('every byte of the signature counts', async () => {
  const signature = Buffer.from(validSignature, 'base64url')
  for (let i = 0; i < signature.length; i += 16) {
    const flipped = Buffer.from(signature)
    flipped[i] = (flipped[i] ?? 0) ^ 0x5a
    const token = `${validHeader}.${validPayload}.${flipped.toString('base64url')}`
    await assert.rejects(verifyJwt(token, keysFor, rs256), { code: 'ERR_OIDC_ID_TOKEN_SIGNATURE' })
  }
})

test('a signature of zeros is not one', async () => {
  const key = await publicKey(curve, 'ES256')
  const token = `${encode({ alg: 'ES256' })}.${validPayload}.${Buffer.alloc(64).toString('base64url')}`
  await assert.rejects(
    verifyJwt(token, async () => [key], { algorithm: 'ES256' }),
    { code: 'ERR_OIDC_ID_TOKEN_SIGNATURE' },
  )
})

test('claims that are not UTF-8 are refused', async () => {
  const input = `${encode({ alg: 'RS256' })}.${Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('base64url')}`
  const token = `${input}.${sign('sha256', Buffer.from(input), provider.privateKey).toString('base64url')}`
  await assert.rejects(verifyJwt(token, keysFor, rs256), { code: 'ERR_OIDC_ID_TOKEN_MALFORMED' })
})

test('the details of a wrong signature are the error of the last key', async () => {
  const error = await verifyJwt(`${validHeader}.${validPayload}.`, keysFor, rs256).then(
    () => assert.fail('the token was taken'),
    (caught: OidcError) => caught,
  )
  assert.equal((error.cause as { code: string }).code, 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED')
})

test('a token no key fits is refused', async () => {
  await assert.rejects(
    verifyJwt(valid, async () => [], rs256),
    { code: 'ERR_OIDC_ID_TOKEN_KEY' },
  )
})

test('no key is fetched for a token that is refused for its header', async () => {
  const asked: unknown[] = []
  const watching: KeysFor = async header => {
    asked.push(header)
    return [providerKey]
  }
  for (const header of [
    { alg: 'none' },
    { alg: 'RS256', kid: 1 },
    { alg: 'RS256', typ: 'at+jwt' },
    { alg: 'RS256', crit: ['x'] },
  ]) {
    await assert.rejects(verifyJwt(forge(header), watching, rs256), OidcError)
  }
  assert.deepEqual(asked, [])
})

test('a failure to find keys is passed on as it is', async () => {
  const failure = new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'away')
  const failing = () => Promise.reject(failure)
  await assert.rejects(verifyJwt(valid, failing, rs256), failure)
})

for (const typ of ['JWT', 'jwt', 'application/jwt']) {
  test(`the type "${typ}" says nothing special`, async () => {
    assert.deepEqual((await verifyJwt(forge({ alg: 'RS256', typ }), keysFor, rs256)).header, { alg: 'RS256', typ })
  })
}

test('a caller that expects a special type decides itself', async () => {
  const logout: JwtExpectations = { ...rs256, typ: typ => typ === 'logout+jwt' }
  assert.deepEqual((await verifyJwt(forge({ alg: 'RS256', typ: 'logout+jwt' }), keysFor, logout)).claims, claims)
  await assert.rejects(verifyJwt(forge({ alg: 'RS256' }), keysFor, logout), { code: 'ERR_OIDC_ID_TOKEN_MALFORMED' })
})

test('a token is as long as it may be, and not one character longer', async () => {
  const withMaximum = (maxLength: number) => verifyJwt(valid, keysFor, { ...rs256, maxLength })
  assert.deepEqual((await withMaximum(valid.length)).claims, claims)
  await assert.rejects(withMaximum(valid.length - 1), { code: 'ERR_OIDC_ID_TOKEN_MALFORMED' })
})

test('30 KB of groups are taken, more than 64 KB of anything are not', async () => {
  const groups = Array.from({ length: 500 }, (_, index) => `cn=group-${index},ou=departments,dc=example`)
  assert.deepEqual((await verifyJwt(forge({ alg: 'RS256' }, { groups }), keysFor, rs256)).claims, { groups })
  const long = forge({ alg: 'RS256' }, { text: 'x'.repeat(50_000) })
  await assert.rejects(verifyJwt(long, keysFor, rs256), { code: 'ERR_OIDC_ID_TOKEN_MALFORMED' })
})

test('neither message nor details of a refusal quote the token', async () => {
  const tokens = [forge('{"secret'), forge({ alg: 'RS256' }, '{"secret'), forge({ alg: 'secret\r\n' })]
  for (const token of tokens) {
    const error = await verifyJwt(token, keysFor, rs256).then(
      () => assert.fail('the token was taken'),
      (caught: OidcError) => caught,
    )
    assert.equal(`${error.message}${(error.cause as Error | undefined)?.message}`.includes('secret'), false)
    assert.equal(JSON.stringify(error.cause ?? '').includes('\\r'), false)
  }
})
