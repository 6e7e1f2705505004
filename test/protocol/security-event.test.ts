import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { OidcErrorCode } from '../../lib/index.js'
import {
  checkGlobalRevocationClaims,
  checkSecurityEventClaims,
  isGlobalRevocationType,
  isSecurityEventType,
} from '../../lib/protocol/security-event.js'

const NOW = 1_800_000_000
const expected = { issuer: 'https://op.example', audience: 'client', now: NOW, clockTolerance: 30 }
const REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'
const subject = { format: 'iss_sub', iss: 'https://op.example', sub: 'alice' }
const token = {
  iss: 'https://op.example',
  aud: 'client',
  iat: NOW,
  jti: 'event-1',
  sub_id: subject,
  events: { [REVOKED]: { event_timestamp: NOW } },
}

describe('a security event token', () => {
  test('is read with its events, its subject and its transaction', () => {
    assert.deepEqual(checkSecurityEventClaims({ ...token, txn: 'cause-1' }, expected), {
      issuer: 'https://op.example',
      jti: 'event-1',
      issuedAt: NOW,
      txn: 'cause-1',
      events: [{ type: REVOKED, payload: { event_timestamp: NOW }, subject }],
    })
  })

  const accepted: readonly [name: string, claims: object][] = [
    ['years ago', { iat: 1 }],
    ['by a clock that is ahead within the tolerance', { iat: NOW + 30 }],
  ]
  for (const [name, claims] of accepted)
    test(`that was issued ${name} is accepted`, () => {
      assert.equal(checkSecurityEventClaims({ ...token, ...claims }, expected).jti, 'event-1')
    })

  test('for several receivers is accepted', () => {
    assert.equal(checkSecurityEventClaims({ ...token, aud: ['other', 'client'] }, expected).jti, 'event-1')
  })

  test('with 16 events is accepted', () => {
    const events = Object.fromEntries(Array.from({ length: 16 }, (_, at) => [`urn:${at}`, {}]))
    assert.equal(checkSecurityEventClaims({ ...token, events }, expected).events.length, 16)
  })

  const subjects: readonly [name: string, claims: object, expected: object][] = [
    ['the token', {}, subject],
    ['the event', { sub_id: undefined, events: { [REVOKED]: { subject } } }, subject],
    ['sub, as in RFC 8417', { sub_id: undefined, sub: 'alice' }, subject],
    ['nothing', { sub_id: undefined }, {}],
    ['a list', { sub_id: [subject] }, {}],
  ]
  for (const [name, claims, found] of subjects)
    test(`whose subject stands in ${name} is read so`, () => {
      assert.deepEqual(checkSecurityEventClaims({ ...token, ...claims }, expected).events[0]?.subject, found)
    })

  const refused: readonly (readonly [code: OidcErrorCode, name: string, claims: object])[] = [
    ['ERR_OIDC_SIGNAL_ISSUER', 'of another issuer', { iss: 'https://other.example' }],
    ['ERR_OIDC_SIGNAL_ISSUER', 'of the issuer with a slash', { iss: 'https://op.example/' }],
    ['ERR_OIDC_SIGNAL_ISSUER', 'without an issuer', { iss: undefined }],
    ['ERR_OIDC_SIGNAL_AUDIENCE', 'for another receiver', { aud: 'other' }],
    ['ERR_OIDC_SIGNAL_AUDIENCE', 'for no receiver', { aud: undefined }],
    ['ERR_OIDC_SIGNAL_AUDIENCE', 'for an object', { aud: { client: 'client' } }],
    ['ERR_OIDC_SIGNAL_MALFORMED', 'of the future', { iat: NOW + 31 }],
    ['ERR_OIDC_SIGNAL_MALFORMED', 'without a time', { iat: undefined }],
    ['ERR_OIDC_SIGNAL_MALFORMED', 'with a time in words', { iat: String(NOW) }],
    ['ERR_OIDC_SIGNAL_MALFORMED', 'without a jti', { jti: undefined }],
    ['ERR_OIDC_SIGNAL_MALFORMED', 'with an empty jti', { jti: '' }],
    ['ERR_OIDC_SIGNAL_MALFORMED', 'that has expired', { exp: NOW - 30 }],
    ['ERR_OIDC_SIGNAL_MALFORMED', 'with an exp in words', { exp: 'tomorrow' }],
    ['ERR_OIDC_SIGNAL_MALFORMED', 'without events', { events: undefined }],
    ['ERR_OIDC_SIGNAL_MALFORMED', 'with a list of events', { events: [REVOKED] }],
    ['ERR_OIDC_SIGNAL_MALFORMED', 'with no event', { events: {} }],
    ['ERR_OIDC_SIGNAL_MALFORMED', 'with an event that is a text', { events: { [REVOKED]: 'now' } }],
    [
      'ERR_OIDC_SIGNAL_MALFORMED',
      'with 17 events',
      { events: Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`urn:${at}`, {}])) },
    ],
    [
      'ERR_OIDC_SIGNAL_MALFORMED',
      'that is a logout token',
      { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } },
    ],
    ...['nonce', 'at_hash', 'c_hash', 's_hash', 'auth_time', 'scope', 'scp', 'cnf', 'token_introspection'].map(
      name => ['ERR_OIDC_SIGNAL_MALFORMED', `with a ${name}`, { [name]: 'x' }] as const,
    ),
  ]
  for (const [code, name, claims] of refused)
    test(`${name} is refused`, () => {
      assert.throws(() => checkSecurityEventClaims({ ...token, ...claims }, expected), { code })
    })

  test('has a type of its own, or that of any JWT', () => {
    for (const typ of ['secevent+jwt', 'application/secevent+jwt', 'SECEVENT+JWT', 'JWT', undefined])
      assert.equal(isSecurityEventType(typ), true, typ)
    for (const typ of ['at+jwt', 'logout+jwt', 'dpop+jwt', 'global-token-revocation+jwt', ''])
      assert.equal(isSecurityEventType(typ), false, typ)
  })
})

describe('the token of a global revocation', () => {
  const claims = { iss: 'https://op.example', aud: 'client', iat: NOW, exp: NOW + 300, jti: 'r-1' }

  test('is read', () => {
    assert.deepEqual(checkGlobalRevocationClaims(claims, expected), { jti: 'r-1', expiresAt: NOW + 300 })
  })

  test('may be valid for a day', () => {
    assert.equal(checkGlobalRevocationClaims({ ...claims, exp: NOW + 86_400 }, expected).expiresAt, NOW + 86_400)
  })

  for (const [name, exp] of [
    ['without an end', undefined],
    ['with an end in the past', NOW - 30],
    ['with an end in more than a day', NOW + 86_401],
    ['with an end in words', 'tomorrow'],
  ])
    test(`${name} is refused`, () => {
      assert.throws(() => checkGlobalRevocationClaims({ ...claims, exp }, expected), {
        code: 'ERR_OIDC_SIGNAL_MALFORMED',
      })
    })

  test('has a type of its own and no other', () => {
    for (const typ of ['global-token-revocation+jwt', 'application/global-token-revocation+jwt'])
      assert.equal(isGlobalRevocationType(typ), true, typ)
    for (const typ of ['JWT', undefined, 'secevent+jwt', 'at+jwt'])
      assert.equal(isGlobalRevocationType(typ), false, typ)
  })
})
