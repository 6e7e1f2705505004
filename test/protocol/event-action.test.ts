import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { actionFor } from '../../lib/protocol/event-action.js'

describe('the default action', () => {
  const caep = 'https://schemas.openid.net/secevent/caep/event-type/'
  const risc = 'https://schemas.openid.net/secevent/risc/event-type/'
  const table: readonly [type: string, payload: Readonly<Record<string, unknown>>, action: string][] = [
    [`${caep}session-revoked`, {}, 'end'],
    [`${risc}sessions-revoked`, {}, 'end'],
    [`${risc}account-disabled`, { reason: 'hijacking' }, 'end'],
    [`${risc}account-purged`, {}, 'end'],
    [`${risc}account-credential-change-required`, {}, 'end'],
    [`${risc}credential-compromise`, {}, 'end'],
    ['https://schemas.openid.net/secevent/oauth/event-type/tokens-revoked', {}, 'end'],
    [`${caep}credential-change`, { change_type: 'update' }, 'reauthenticate'],
    [`${caep}assurance-level-change`, { change_direction: 'decrease' }, 'reauthenticate'],
    [`${caep}assurance-level-change`, {}, 'reauthenticate'],
    [`${caep}assurance-level-change`, { change_direction: 'increase' }, 'none'],
    [`${caep}token-claims-change`, { claims: { role: 'reader' } }, 'sign-in'],
    [`${caep}device-compliance-change`, {}, 'none'],
    [`${risc}account-enabled`, {}, 'none'],
    ['https://schemas.openid.net/secevent/ssf/event-type/verification', { state: 'x' }, 'none'],
    ['session-revoked', {}, 'none'],
    ['__proto__', {}, 'none'],
  ]
  for (const [type, payload, action] of table)
    test(`for ${type.split('/').at(-1)} ${JSON.stringify(payload)} is ${action}`, () => {
      assert.equal(actionFor(type, payload), action)
    })
})
