import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  checkSessionExpiryFormat,
  checkSessionNotOver,
  isSessionOver,
  mergeIdTokenClaims,
  sessionCeiling,
} from '../../lib/protocol/session-expiry.js'

const clocks = { now: 1_780_272_000, clockTolerance: 30 }
const { now } = clocks

for (const [expiry, isOver, ceiling] of [
  [undefined, false, Number.POSITIVE_INFINITY],
  [now + 600, false, now + 600],
  [now + 0.5, false, now + 30.5],
  [now + 600.9, false, now + 600],
  [now, false, now + 30],
  [now - 29, false, now + 1],
  [now - 30, true, now],
  [now - 3600, true, now - 3570],
  [0, true, 30],
] as const) {
  test(`session_expiry ${expiry === undefined ? 'left out' : `${expiry - now} seconds from now`}: ${isOver ? 'the session is over' : 'the session goes on'}`, () => {
    assert.equal(isSessionOver({ session_expiry: expiry }, clocks), isOver)
    assert.equal(sessionCeiling({ session_expiry: expiry }, clocks), Math.ceil(ceiling))
  })
}

test('of the two ID Tokens of a sign-in the earlier session_expiry counts, and for the rest the second', () => {
  const merged = (first: object | undefined, second: object) => mergeIdTokenClaims({ ...first }, { ...second })
  assert.deepEqual(merged({ session_expiry: 5, name: 'a' }, { session_expiry: 9, name: 'b' }), {
    session_expiry: 5,
    name: 'b',
  })
  assert.deepEqual(merged({ session_expiry: 9 }, { session_expiry: 5 }), { session_expiry: 5 })
  assert.deepEqual(merged({ session_expiry: 9 }, { name: 'b' }), { session_expiry: 9, name: 'b' })
  assert.deepEqual(merged(undefined, { session_expiry: 9 }), { session_expiry: 9 })
  assert.deepEqual(merged(undefined, {}), {})
})

test('a session_expiry that is not a time is refused', () => {
  for (const value of [undefined, 0, now + 0.5])
    assert.doesNotThrow(() => checkSessionExpiryFormat({ session_expiry: value }))
  for (const value of [null, '', String(now), -1, Number.NaN, Number.POSITIVE_INFINITY, [now], {}, true])
    assert.throws(() => checkSessionExpiryFormat({ session_expiry: value }), {
      code: 'ERR_OIDC_ID_TOKEN_MALFORMED',
      message: 'ID Token: session_expiry is not a time',
    })
})

test('a session that is over does not begin', () => {
  for (const value of [undefined, now + 600, now - 29])
    assert.doesNotThrow(() => checkSessionNotOver({ session_expiry: value }, clocks))
  assert.throws(() => checkSessionNotOver({ session_expiry: now - 30 }, clocks), {
    code: 'ERR_OIDC_ID_TOKEN_EXPIRED',
    message: /session_expiry is 30 seconds behind the clock of this site/,
    cause: { actual: now - 30, expected: now },
  })
})
