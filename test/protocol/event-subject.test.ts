import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sessionsNamedBy } from '../../lib/protocol/event-subject.js'

const issuer = 'https://op.example'
const alice = { format: 'iss_sub', iss: issuer, sub: 'alice' }
const session = { format: 'opaque', id: 'sid-1' }

function named(name: string, subject: unknown, expected: object): void {
  test(`${name} names sessions`, () => assert.deepEqual(sessionsNamedBy(subject, issuer), expected))
}

function unnamed(name: string, subject: unknown): void {
  test(`${name} names no session`, () => assert.equal(sessionsNamedBy(subject, issuer), undefined))
}

named('iss_sub of the issuer', alice, { subject: 'alice' })
named(
  'iss_sub with a slash behind the issuer, as Google writes it,',
  { ...alice, iss: `${issuer}/` },
  { subject: 'alice' },
)
named('iss-sub of the draft', { subject_type: 'iss-sub', iss: issuer, sub: 'alice' }, { subject: 'alice' })
named(
  'the first alias that is a user',
  { format: 'aliases', identifiers: [{ format: 'email', email: 'a@b.example' }, alice] },
  { subject: 'alice' },
)
named('a complex subject with a session', { format: 'complex', session }, { sid: 'sid-1' })
named(
  'a complex subject with user and session',
  { format: 'complex', user: alice, session },
  { subject: 'alice', sid: 'sid-1' },
)
named(
  'a complex subject without a format',
  { user: alice, tenant: { format: 'opaque', id: 't' } },
  { subject: 'alice' },
)
named(
  'a complex subject with a device',
  { format: 'complex', user: alice, device: { format: 'opaque', id: 'd' } },
  { subject: 'alice' },
)
named(
  'a complex subject with a session of another format',
  { format: 'complex', user: alice, session: { format: 'jwt_id', iss: issuer, jti: 'x' } },
  { subject: 'alice' },
)

unnamed('iss_sub of another issuer', { ...alice, iss: 'https://other.example' })
unnamed('iss_sub of an issuer with two slashes', { ...alice, iss: `${issuer}//` })
unnamed('iss_sub without an issuer', { format: 'iss_sub', sub: 'alice' })
unnamed('a sub that is a number', { ...alice, sub: 7 })
unnamed('an empty sub', { ...alice, sub: '' })
unnamed('an e-mail address', { format: 'email', email: 'alice@example.com' })
unnamed('a telephone number', { format: 'phone_number', phone_number: '+12065550100' })
unnamed('an opaque user', { format: 'opaque', id: 'alice' })
unnamed('an account', { format: 'account', uri: 'acct:alice@op.example' })
unnamed('the session of a user of another issuer', {
  format: 'complex',
  user: { ...alice, iss: 'https://other.example' },
  session,
})
unnamed('the session of a user who is named by e-mail', {
  format: 'complex',
  user: { format: 'email', email: 'a@b.example' },
  session,
})
unnamed('a complex subject with an empty session', { format: 'complex', session: { format: 'opaque', id: '' } })
unnamed('a complex subject with nothing but a tenant', { format: 'complex', tenant: { format: 'opaque', id: 't' } })
unnamed('aliases that are no list', { format: 'aliases', identifiers: alice })
for (const value of [undefined, null, 'alice', 7, [], [alice], {}]) unnamed(`${JSON.stringify(value)}`, value)

test('aliases that are nested without end are looked at up to a depth', () => {
  let subject: object = alice
  for (let depth = 0; depth < 20_000; depth += 1) subject = { format: 'aliases', identifiers: [subject] }
  assert.equal(sessionsNamedBy(subject, issuer), undefined)
})
