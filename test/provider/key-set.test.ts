import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { compactVerify, exportJWK, generateKeyPair, type JWK } from 'jose'
import type { OidcErrorCode } from '../../lib/errors.js'
import { createHttp } from '../../lib/provider/http.js'
import { createKeySet } from '../../lib/provider/key-set.js'
import {
  createClock,
  createGate,
  createLocalServer,
  createSigner,
  json,
  type Responder,
  rejected,
  reset,
  text,
} from './support.js'

const one = await createSigner('RS256', 'one')
const two = await createSigner('RS256', 'two')
const three = await createSigner('RS256', 'three')
const MINUTE = 60

async function setUp(t: TestContext, keys: readonly unknown[] = [one.jwk]) {
  const server = await createLocalServer(t)
  const clock = createClock()
  const publish = (published: readonly unknown[]) => server.on('/jwks', json({ keys: published }))
  publish(keys)
  const jwksUri = async () => `${server.origin}/jwks`
  const keySet = createKeySet({ jwksUri, http: createHttp({ fetch }), now: clock.now })
  const fetches = () => server.count('/jwks')
  return { server, clock, publish, keySet, fetches }
}

const rs256 = (kid?: string) => ({ alg: 'RS256', ...(kid === undefined ? {} : { kid }) })

test('a key is fetched when it is first needed, imported once, and verifies what its twin has signed', async t => {
  const { keySet, fetches } = await setUp(t, [two.jwk, one.jwk])
  assert.equal(fetches(), 0)
  const [key] = await keySet.keysFor(rs256('one'))
  assert.ok(key, 'no key')
  await compactVerify(await one.sign({ a: 1 }), key)
  assert.equal((await keySet.keysFor(rs256('one')))[0], key)
  assert.equal((await keySet.keysFor(rs256())).length, 2)
  assert.equal(fetches(), 1)
})

test('an unchanged key is not imported again after a reload', async t => {
  const { keySet, publish, fetches } = await setUp(t)
  const [key] = await keySet.keysFor(rs256('one'))
  publish([two.jwk, one.jwk])
  assert.equal((await keySet.keysFor(rs256('two'))).length, 1)
  assert.equal((await keySet.keysFor(rs256('one')))[0], key)
  assert.equal(fetches(), 2)
})

test('concurrent first callers share one request', async t => {
  const { server, keySet, fetches } = await setUp(t)
  const gate = createGate(json({ keys: [one.jwk] }))
  server.on('/jwks', gate.response)
  const callers = Array.from({ length: 50 }, () => keySet.keysFor(rs256('one')))
  gate.open()
  for (const keys of await Promise.all(callers)) assert.equal(keys.length, 1)
  assert.equal(fetches(), 1)
})

test('a key published just before it signs is found at once, twice in a row', async t => {
  const { keySet, publish, fetches } = await setUp(t)
  await keySet.warm()
  publish([two.jwk])
  assert.equal((await keySet.keysFor(rs256('two'))).length, 1)
  publish([three.jwk])
  assert.equal((await keySet.keysFor(rs256('three'))).length, 1)
  assert.equal(fetches(), 3)
  assert.deepEqual(await keySet.keysFor(rs256('one')), [])
})

test('concurrent callers with a new key share one request', async t => {
  const { keySet, publish, fetches } = await setUp(t)
  await keySet.warm()
  publish([two.jwk])
  const callers = Array.from({ length: 50 }, () => keySet.keysFor(rs256('two')))
  for (const keys of await Promise.all(callers)) assert.equal(keys.length, 1)
  assert.equal(fetches(), 2)
})

test('a new key is found although a request that began before it was published is under way', async t => {
  const { server, keySet, publish, clock, fetches } = await setUp(t)
  await keySet.warm()
  const gate = createGate(json({ keys: [one.jwk] }))
  server.on('/jwks', gate.response)
  clock.advance(10 * MINUTE)
  await keySet.warm()
  const finding = keySet.keysFor(rs256('two'))
  while (fetches() < 2) await new Promise(setImmediate)
  publish([two.jwk])
  gate.open()
  assert.equal((await finding).length, 1)
  assert.equal(fetches(), 3)
})

test('a flood of 10 000 unknown kids costs as many requests as the budget allows', async t => {
  const { keySet, clock, fetches } = await setUp(t)
  await keySet.warm()
  for (let i = 0; i < 10_000; i += 100) {
    const batch = Array.from({ length: 100 }, (_, j) => keySet.keysFor(rs256(`random-${i + j}`)))
    for (const keys of await Promise.all(batch)) assert.deepEqual(keys, [])
  }
  assert.equal(fetches(), 1 + 5)
  clock.advance(10)
  await keySet.keysFor(rs256('random'))
  await keySet.keysFor(rs256('random'))
  assert.equal(fetches(), 1 + 5 + 1)
  assert.equal((await keySet.keysFor(rs256('one'))).length, 1)
})

test('a kid that the first load does not bring is not asked for again by the same caller', async t => {
  const { keySet, fetches } = await setUp(t)
  assert.deepEqual(await keySet.keysFor(rs256('unknown')), [])
  assert.equal(fetches(), 1)
})

const hostileKids = ['__proto__', 'constructor', '../../etc/passwd', '', 'x'.repeat(60_000)]
for (const kid of hostileKids) {
  test(`the kid ${JSON.stringify(kid.slice(0, 20))} finds nothing`, async t => {
    const { keySet } = await setUp(t)
    assert.deepEqual(await keySet.keysFor(rs256(kid)), [])
  })
}

test('keys are reloaded in the background from ten minutes on', async t => {
  const { keySet, publish, clock, fetches } = await setUp(t)
  await keySet.warm()
  clock.advance(10 * MINUTE - 1)
  await keySet.keysFor(rs256('one'))
  assert.equal(fetches(), 1)
  publish([two.jwk])
  clock.advance(1)
  assert.equal((await keySet.keysFor(rs256('one'))).length, 1)
  assert.equal((await keySet.keysFor(rs256('two'))).length, 1)
  assert.deepEqual(await keySet.keysFor(rs256('one')).then(keys => keys.length), 0)
})

test('a key that was withdrawn is not accepted by a process that slept for an hour', async t => {
  const { keySet, publish, clock } = await setUp(t)
  await keySet.warm()
  publish([two.jwk])
  clock.advance(60 * MINUTE)
  assert.deepEqual(await keySet.keysFor(rs256('one')), [])
})

const mishaps: readonly { name: string; response: Responder; code: OidcErrorCode }[] = [
  { name: 'status 500', response: json({ keys: [two.jwk] }, 500), code: 'ERR_OIDC_PROVIDER_UNAVAILABLE' },
  { name: 'status 404', response: json({ keys: [two.jwk] }, 404), code: 'ERR_OIDC_PROVIDER_RESPONSE' },
  { name: 'an empty set', response: json({ keys: [] }), code: 'ERR_OIDC_PROVIDER_RESPONSE' },
  { name: 'no set', response: json({}), code: 'ERR_OIDC_PROVIDER_RESPONSE' },
  { name: 'null', response: json(null), code: 'ERR_OIDC_PROVIDER_RESPONSE' },
  { name: 'keys that are an object', response: json({ keys: { 0: two.jwk } }), code: 'ERR_OIDC_PROVIDER_RESPONSE' },
  {
    name: 'garbage in the set',
    response: json({ keys: [null, 1, 'x', [], {}, { kty: 1 }] }),
    code: 'ERR_OIDC_PROVIDER_RESPONSE',
  },
  { name: 'HTML', response: text(200, 'text/html', '<html>'), code: 'ERR_OIDC_PROVIDER_RESPONSE' },
  { name: 'a cut connection', response: reset(), code: 'ERR_OIDC_PROVIDER_UNAVAILABLE' },
]
for (const { name, response, code } of mishaps) {
  test(`${name} instead of keys leaves the known ones in use, and an unknown one unknown`, async t => {
    const { server, keySet, clock } = await setUp(t)
    server.on('/jwks', response)
    await rejected(keySet.warm(), code)
    clock.advance(1)
    server.on('/jwks', json({ keys: [one.jwk] }))
    await keySet.warm()
    server.on('/jwks', response)
    clock.advance(60 * MINUTE)
    assert.equal((await keySet.keysFor(rs256('one'))).length, 1)
    await rejected(keySet.keysFor(rs256('unknown')), code)
    assert.equal((await keySet.keysFor(rs256('one'))).length, 1)
    clock.advance(6 * 24 * 60 * MINUTE)
    assert.equal((await keySet.keysFor(rs256('one'))).length, 1)
    clock.advance(24 * 60 * MINUTE)
    await rejected(keySet.keysFor(rs256('one')), code)
  })
}

test('keys of kinds that are not supported or not for signatures do not disturb the good one', async t => {
  const secp256k1 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'jwk' })
  const x25519 = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' })
  const { publicKey } = await generateKeyPair('RSA-OAEP', { extractable: true })
  const forEncryption = { ...(await exportJWK(publicKey)), use: 'enc', alg: 'RSA-OAEP' }
  const { e: _, ...damaged } = one.jwk
  const odd = [secp256k1, x25519, forEncryption, damaged, { kty: 'oct', k: 'AAAA' }, { kty: 'new' }, null, 'x']
  const { keySet } = await setUp(t, [...odd, one.jwk, { ...one.jwk, n: 'AQAB' }])
  const token = await one.sign({})
  for (const header of [rs256('one'), rs256()]) {
    const keys = await keySet.keysFor(header)
    const verified = await Promise.allSettled(keys.map(key => compactVerify(token, key)))
    assert.equal(verified.filter(({ status }) => status === 'fulfilled').length, 1)
  }
  assert.deepEqual(await keySet.keysFor({ alg: 'ES256' }), [])
})

test('a key nested too deep is left out', async t => {
  const { server, keySet } = await setUp(t)
  const deep = `{"kty":"RSA","x":${'['.repeat(10_000)}${']'.repeat(10_000)}}`
  server.on('/jwks', text(200, 'application/json', `{"keys":[${deep},${JSON.stringify(one.jwk)}]}`))
  assert.equal((await keySet.keysFor(rs256())).length, 1)
})

test('one key published twice counts once, and two keys of one name both count', async t => {
  const { keySet } = await setUp(t, [one.jwk, one.jwk, { ...two.jwk, kid: 'one' }])
  assert.equal((await keySet.keysFor(rs256('one'))).length, 2)
})

test('a set with very many keys is looked at up to a point', async t => {
  const many = (count: number) => Array.from({ length: count }, (_, i): JWK => ({ kty: 'EC', kid: `${i}` }))
  const { keySet } = await setUp(t, [...many(999), one.jwk])
  assert.equal((await keySet.keysFor(rs256('one'))).length, 1)
  const { keySet: larger } = await setUp(t, [...many(1000), one.jwk])
  assert.equal((await larger.keysFor(rs256('one'))).length, 0)
  const twins = Array.from({ length: 150 }, (_, i): JWK => ({ ...one.jwk, kid: `${i}` }))
  const { keySet: ambiguous } = await setUp(t, twins)
  assert.equal((await ambiguous.keysFor(rs256())).length, 100)
})

test('a reload returns whether anything has changed', async t => {
  const { keySet, publish, fetches } = await setUp(t)
  await keySet.warm()
  assert.equal(await keySet.reload(), false)
  publish([{ ...two.jwk, kid: 'one' }])
  assert.equal(await keySet.reload(), true)
  publish([{ ...two.jwk, kid: 'one' }, three.jwk])
  assert.equal(await keySet.reload(), true)
  publish([three.jwk])
  assert.equal(await keySet.reload(), true)
  assert.equal(fetches(), 5)
})

test('a reload that fails, or that the budget does not allow, has changed nothing', async t => {
  const { server, keySet, publish, fetches } = await setUp(t)
  await keySet.warm()
  server.on('/jwks', reset())
  assert.equal(await keySet.reload(), false)
  for (let i = 0; i < 4; i += 1) await keySet.reload()
  publish([two.jwk])
  assert.equal(await keySet.reload(), false)
  // A read that is cut is made once more.
  assert.equal(fetches(), 1 + 2 * 5)
})
