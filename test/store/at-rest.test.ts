import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { deriveProofKey } from '../../lib/protocol/dpop.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import {
  dataOf,
  issuer,
  replaceTokens,
  StoreFixture,
  save,
  savedSession,
  sealingSecret,
  signIn,
  ticket,
  tokens,
  visit,
} from './fixtures.js'

const fixture = new StoreFixture()
let server: RedisServer
before(async () => {
  server = await startRedis()
})
after(async () => {
  await fixture.close()
  await server.stop()
})

test('a copy of the whole Redis holds no session id, no token, nothing about a person and no secret', async () => {
  const store = fixture.stateOf('ioredis 6', server)
  const email = 'carol.private@mail.example.com'
  const identity = {
    subject: email,
    sid: secret('provider session'),
    claims: { sub: email, email, name: 'Carol Private' },
  }
  const proofKey = deriveProofKey('ES256', randomBytes(64))
  const held = { ...tokens({ idToken: secret('id token') }), proofKey }
  const earlier = await savedSession(store, { cart: 'secret shoes' })
  const id = await signIn(store, {
    ticket: ticket(identity),
    tokens: held,
    previous: [earlier],
    keep: ['cart'],
    metadata: { agent: 'Private Browser' },
  })
  const anonymous = await savedSession(store, { address: 'Private Road 1' })
  const renewed = tokens()
  await replaceTokens(store, id, { tokens: renewed })
  const req = await visit(store, id)
  dataOf(req).message = 'secret message'
  await save(req)
  const used = [secret('state'), secret('jti')]
  for (const value of used) await store.consume('state', value, 60)
  fixture.clock.seconds += 1000
  await store.load(id)
  await store.ping()

  const contents = await server.contents()
  assert.equal(contents.length > 1000, true)
  assert.ok(contents.includes('oidc:'), 'the copy is readable')
  const needles = [
    ...[proofKey.d, proofKey.x, earlier, id, anonymous, ...used, sealingSecret, identity.sid, email, issuer],
    ...['carol', 'Carol', 'Private', 'private@', 'shoes', 'secret', 'cart', 'agent', 'openid', 'Bearer', 'subject'],
    ...[held, renewed].flatMap(({ idToken, accessToken, refreshToken }) => [idToken, accessToken, refreshToken]),
  ].filter(needle => needle !== undefined)
  for (const needle of needles) {
    for (const form of [needle, Buffer.from(needle).toString('base64url'), Buffer.from(needle).toString('hex')]) {
      assert.equal(contents.includes(form.slice(0, 40)), false, `${needle} is there`)
    }
    // The bytes of a base64url id would be as good as its text.
    if (needle.length === 43) assert.equal(contents.includes(Buffer.from(needle, 'base64url')), false)
  }
})

test('keys in Redis cannot be made from what an outsider knows of a person', async () => {
  const keys = async () => new Set((await server.command('KEYS', 'oidc:i:*')) as string[])
  const before = await keys()
  await signIn(fixture.stateOf('ioredis 6', server, { secrets: [secret('sealing secret')] }))
  await signIn(fixture.stateOf('ioredis 6', server, { secrets: [secret('sealing secret')] }))
  const added = [...(await keys())].filter(key => !before.has(key))
  assert.equal(added.length, 4)
})
