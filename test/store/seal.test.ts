import assert from 'node:assert/strict'
import crypto, { createDecipheriv, hkdfSync, KeyObject } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { test } from 'node:test'
import { createSealer, type SealPurpose } from '../../lib/store/seal.js'
import { countCrypto } from '../support/count-crypto.js'
import { secret } from '../support/secrets.js'

const first = secret('sealing secret')
const second = secret('sealing secret')
const id = secret('session id')

test('a sealed value opens to what was sealed, as text and as bytes, empty or large', () => {
  const sealer = createSealer([first])
  for (const plaintext of ['', 'a', 'ü'.repeat(5000)]) {
    assert.equal(sealer.open('ticket', id, sealer.seal('ticket', id, plaintext))?.toString(), plaintext)
    const bytes = Buffer.from(plaintext)
    assert.deepEqual(sealer.open('ticket', id, sealer.seal('ticket', id, bytes)), bytes)
  }
})

test('two seals of one value have nothing in common but version and key id', () => {
  const sealer = createSealer([first])
  const [one, two] = [sealer.seal('ticket', id, 'same'), sealer.seal('ticket', id, 'same')]
  assert.deepEqual(one.subarray(0, 5), two.subarray(0, 5))
  assert.equal(one[0], 1)
  assert.notDeepEqual(one.subarray(5, 17), two.subarray(5, 17))
  assert.notDeepEqual(one.subarray(17), two.subarray(17))
})

test('the key is HKDF-SHA256 of the secret for a record, or for purpose and context', () => {
  const sealer = createSealer([first])
  for (const [purpose, keyed] of [
    ['ticket', 'record'],
    ['tokens', 'record'],
    ['session', 'record'],
    ['summary', 'summary'],
    ['transaction', 'transaction'],
    ['logout', 'logout'],
    ['client', 'client'],
  ] as const) {
    for (const context of [id, `${id} of another`, id]) {
      const sealed = sealer.seal(purpose, context, 'plain')
      const key = Buffer.from(hkdfSync('sha256', first, `express-hybrid-oidc ${keyed}`, context, 32))
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(5, 17))
      decipher.setAAD(Buffer.from(`1 ${purpose} ${context}`))
      decipher.setAuthTag(sealed.subarray(-16))
      assert.equal(decipher.update(sealed.subarray(17, -16)).toString() + decipher.final().toString(), 'plain')
    }
  }
})

test('nothing opens for another purpose, another context or under another secret', () => {
  const sealer = createSealer([first])
  const sealed = sealer.seal('ticket', id, 'plain')
  const purposes: SealPurpose[] = ['transaction', 'logout', 'session', 'tokens', 'summary']
  for (const purpose of purposes) assert.equal(sealer.open(purpose, id, sealed), undefined, purpose)
  assert.equal(sealer.open('ticket', `${id}x`, sealed), undefined)
  assert.equal(sealer.open('ticket', '', sealed), undefined)
  assert.equal(createSealer([second]).open('ticket', id, sealed), undefined)
  assert.equal(sealer.open('ticket', id, sealed)?.toString(), 'plain')
})

test('a value in which any single bit was changed does not open', () => {
  const sealer = createSealer([first])
  const sealed = sealer.seal('ticket', id, 'plain')
  for (let bit = 0; bit < sealed.length * 8; bit += 1) {
    const changed = Buffer.from(sealed)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.equal(sealer.open('ticket', id, changed), undefined, `bit ${bit}`)
  }
})

test('a value that was cut or that is no sealed value at all does not open and does not throw', () => {
  const sealer = createSealer([first])
  const sealed = sealer.seal('ticket', id, 'plain')
  for (let length = 0; length < sealed.length; length += 1) {
    assert.equal(sealer.open('ticket', id, sealed.subarray(0, length)), undefined, `length ${length}`)
  }
  assert.equal(sealer.open('ticket', id, Buffer.from('{"issuer":"x"}'.repeat(10))), undefined)
  assert.equal(sealer.open('ticket', id, Buffer.concat([sealed, Buffer.of(0)])), undefined)
})

test('while secrets rotate the newest writes and all of them read', () => {
  const before = createSealer([first])
  const during = createSealer([second, first])
  const after = createSealer([second])
  const old = before.seal('ticket', id, 'old')
  const fresh = during.seal('ticket', id, 'fresh')
  assert.equal(during.open('ticket', id, old)?.toString(), 'old')
  assert.equal(after.open('ticket', id, fresh)?.toString(), 'fresh')
  assert.equal(before.open('ticket', id, fresh), undefined)
  assert.equal(after.open('ticket', id, old), undefined)
})

test('a signed id verifies under every secret and signs under the newest', () => {
  const before = createSealer([first])
  const during = createSealer([second, first])
  assert.equal(during.verifyId(before.signId(id)), id)
  assert.equal(createSealer([second]).verifyId(during.signId(id)), id)
  assert.equal(before.verifyId(during.signId(id)), undefined)
  assert.equal(before.verifyId(before.signId('with.dots.in.it')), 'with.dots.in.it')
})

test('an id whose signature is wrong in any way is no id', () => {
  const sealer = createSealer([first])
  const signed = sealer.signId(id)
  const mac = signed.slice(id.length + 1)
  const forgeries = [
    '',
    '.',
    id,
    `${id}.`,
    `.${mac}`,
    `${id}x.${mac}`,
    `${id}.${mac}A`,
    `${id}.${mac.slice(0, -1)}`,
    `${id}.${mac.toLowerCase()}`,
    `${signed} `,
    createSealer([second]).signId(id),
    sealer.signId('x'.repeat(600)),
    sealer.signId(''),
  ]
  for (const forgery of forgeries) assert.equal(sealer.verifyId(forgery), undefined, JSON.stringify(forgery))
  assert.equal(sealer.verifyId(signed), id)
  // What was found good a moment ago says nothing about what looks like it.
  for (const forgery of forgeries) assert.equal(sealer.verifyId(forgery), undefined, JSON.stringify(forgery))
  // The last character of a 43-character base64url MAC has two bits that decoders ignore.
  for (const last of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_') {
    const other = signed.slice(0, -1) + last
    assert.equal(sealer.verifyId(other), other === signed ? id : undefined)
  }
})

test('masked names differ by value and by secret, and the newest comes first', () => {
  const [masked] = createSealer([first]).maskName('alice')
  const both = createSealer([second, first]).maskName('alice')
  assert.match(String(masked), /^[\w-]{43}$/)
  assert.equal(both.length, 2)
  assert.equal(both[1], masked)
  assert.notEqual(both[0], masked)
  assert.notDeepEqual(createSealer([first]).maskName('bob'), [masked])
})

test('a sealer needs a secret', () => {
  for (const secrets of [[], [''], [first, '']]) {
    assert.throws(() => createSealer(secrets), { code: 'ERR_OIDC_OPTIONS' })
  }
})

test('what belongs to one realm can be opened, verified and found in no other, though the secret is the same', () => {
  const [here, there] = [createSealer([first], 'here'), createSealer([first], 'there')]
  const sealed = here.seal('ticket', id, 'plain')
  assert.equal(here.open('ticket', id, sealed)?.toString(), 'plain')
  assert.equal(there.open('ticket', id, sealed), undefined)
  assert.equal(there.verifyId(here.signId(id)), undefined)
  assert.notDeepEqual(there.maskName('alice'), here.maskName('alice'))
})

test('keys that live long reach node:crypto as KeyObjects, and on Node 24 all do, because it takes five times as long with bytes', t => {
  const keys: { readonly name: string; readonly isKeyObject: boolean }[] = []
  for (const name of ['createHmac', 'createCipheriv', 'createDecipheriv'] as const) {
    const original = crypto[name] as (...args: unknown[]) => unknown
    t.mock.method(crypto, name, (...args: unknown[]) => {
      keys.push({ name, isKeyObject: args[1] instanceof KeyObject })
      return original(...args)
    })
  }
  syncBuiltinESMExports()
  t.after(() => {
    t.mock.restoreAll()
    syncBuiltinESMExports()
  })
  const sealer = createSealer([first, second])
  for (const purpose of ['ticket', 'summary'] as const)
    assert.equal(sealer.open(purpose, id, sealer.seal(purpose, id, 'plain'))?.toString(), 'plain')
  assert.equal(sealer.verifyId(sealer.signId(id)), id)
  assert.equal(sealer.maskName('value').length, 2)
  assert.deepEqual(new Set(keys.map(({ name }) => name)).size, 3)
  const isSlowWithBytes = process.versions.node.startsWith('24.')
  for (const { name, isKeyObject } of keys) assert.equal(isKeyObject, name === 'createHmac' || isSlowWithBytes, name)
})

/** How often `work` decrypts, and how often it derives a key. */
function asked(work: () => void) {
  const crypto = countCrypto()
  try {
    work()
  } finally {
    crypto.stop()
  }
  return { decrypted: crypto.counts.createDecipheriv, derived: crypto.counts.createHmac }
}

test('what every request reads is decrypted once, as long as the bytes are the same', () => {
  const sealer = createSealer([second, first])
  const sealed = createSealer([first]).seal('ticket', id, '{"a":1}')
  const open = (bytes: Buffer) => sealer.openAgain('ticket', id, bytes)
  assert.equal(open(sealed), '{"a":1}')
  const again = asked(() => {
    // The bytes of another reply.
    for (let each = 0; each < 100; each += 1) assert.equal(open(Buffer.from(sealed)), '{"a":1}')
  })
  assert.deepEqual(again, { decrypted: 0, derived: 0 })
  assert.equal(open(sealer.seal('ticket', id, '{"a":2}')), '{"a":2}')
  // Only the last ones are at hand.
  assert.equal(asked(() => assert.equal(open(sealed), '{"a":1}')).decrypted > 0, true)
})

test('what was opened says nothing about other bytes, another session and another purpose', () => {
  const sealer = createSealer([first])
  const [ticket, session] = [sealer.seal('ticket', id, 'ticket'), sealer.seal('session', id, 'session')]
  assert.equal(sealer.openAgain('ticket', id, ticket), 'ticket')
  assert.equal(sealer.openAgain('session', id, session), 'session')
  for (let bit = 0; bit < ticket.length * 8; bit += 1) {
    const changed = Buffer.from(ticket)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    assert.equal(sealer.openAgain('ticket', id, changed), undefined, `bit ${bit}`)
  }
  for (let length = 0; length < ticket.length; length += 1)
    assert.equal(sealer.openAgain('ticket', id, ticket.subarray(0, length)), undefined, `length ${length}`)
  assert.equal(sealer.openAgain('ticket', id, Buffer.concat([ticket, Buffer.of(0)])), undefined)
  assert.equal(sealer.openAgain('ticket', `${id}x`, ticket), undefined)
  assert.equal(sealer.openAgain('session', id, ticket), undefined)
  assert.equal(sealer.openAgain('ticket', id, session), undefined)
  assert.equal(sealer.openAgain('ticket', id, ticket), 'ticket')
})

test('a reply whose memory is used again does not change what was opened from it', () => {
  const sealer = createSealer([first])
  const sealed = sealer.seal('ticket', id, 'plain')
  const reply = Buffer.from(sealed)
  assert.equal(sealer.openAgain('ticket', id, reply), 'plain')
  reply.fill(0)
  assert.equal(sealer.openAgain('ticket', id, reply), undefined)
  assert.equal(sealer.openAgain('ticket', id, sealed), 'plain')
})

test('of sessions that were opened, a thousand are at hand, and none whose data are long', () => {
  const sealer = createSealer([first])
  const [oldest, ...others] = Array.from({ length: 1001 }, (_, at) => ({
    name: `${id}${at}`,
    sealed: sealer.seal('session', `${id}${at}`, `{"at":${at}}`),
  }))
  assert.ok(oldest)
  const open = ({ name, sealed }: typeof oldest) => sealer.openAgain('session', name, sealed)
  for (const session of [oldest, ...others]) open(session)
  assert.equal(asked(() => others.map(open)).decrypted, 0)
  assert.equal(asked(() => open(oldest)).decrypted, 1)
  const long = sealer.seal('session', id, 'x'.repeat(9000))
  const openLong = () => assert.equal(sealer.openAgain('session', id, long)?.length, 9000)
  assert.equal(asked(() => [openLong(), openLong()]).decrypted, 2)
})

test('of a session that has ended nothing is at hand', () => {
  const sealer = createSealer([first, second])
  const ticket = sealer.seal('ticket', id, 'plain')
  const session = sealer.seal('session', id, 'plain')
  const other = sealer.seal('ticket', 'other', 'plain')
  const open = () => [sealer.openAgain('ticket', id, ticket), sealer.openAgain('session', id, session)]
  const openOther = () => sealer.openAgain('ticket', 'other', other)
  open()
  openOther()
  sealer.forget(id)
  assert.deepEqual(
    asked(() => assert.deepEqual(open(), ['plain', 'plain'])),
    { decrypted: 2, derived: 1 },
  )
  assert.equal(asked(openOther).decrypted, 0)
})

test('the key of a binding, which a site has one of, is derived once', () => {
  const sealer = createSealer([first])
  sealer.seal('binding', 'site', 'first')
  const { derived } = asked(() => {
    for (let each = 0; each < 10; each += 1)
      assert.equal(sealer.open('binding', 'site', sealer.seal('binding', 'site', 'again'))?.toString(), 'again')
  })
  assert.equal(derived, 0)
  assert.equal(sealer.open('binding', 'other site', sealer.seal('binding', 'site', 'plain')), undefined)
})
