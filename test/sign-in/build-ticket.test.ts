import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Config } from '../../lib/options/config.js'
import { buildTicket } from '../../lib/sign-in/build-ticket.js'
import { authenticationOf } from '../../lib/tokens/refresh-claims.js'

const NOW = 1_780_272_000
const site = {
  issuer: 'https://op.example',
  lifetime: 3600,
  now: () => new Date(NOW * 1000),
  session: false,
} as unknown as Config
const idToken = { iss: site.issuer, sub: 'alice', aud: 'client', exp: NOW + 60, iat: NOW }
const least = {
  issuer: 'https://op.example',
  subject: 'alice',
  claims: { sub: 'alice' },
  scope: 'openid',
  signedInAt: NOW,
  expiresAt: NOW + 3600,
}

test('a ticket has what the sign-in has brought, and no member without a value', () => {
  const ticket = buildTicket(site, idToken, { sub: 'alice' }, { scope: 'openid' }, {})
  assert.deepEqual(ticket, least)
  assert.deepEqual(Object.keys(ticket).sort(), Object.keys(least).sort())
  assert.deepEqual(authenticationOf(ticket), {})
})

test('a ticket says that a key of the device was offered, where the site offers it', () => {
  const offered = (session: unknown) =>
    buildTicket({ ...site, session } as Config, idToken, {}, { scope: 'openid' }, {}).deviceOffered
  assert.deepEqual(
    [offered(false), offered({}), offered({ device: { required: false } })],
    [undefined, undefined, true],
  )
})

test('a ticket ends at session_expiry where that is earlier, and never later than the site says', () => {
  const end = (session_expiry: number) =>
    buildTicket({ ...site, clockTolerance: 30 }, { ...idToken, session_expiry }, {}, { scope: 'openid' }, {}).expiresAt
  assert.deepEqual(
    [end(NOW + 60), end(NOW + 3600), end(NOW + 7200), end(NOW - 10)].map(at => at - NOW),
    [60, 3600, 3600, 20],
  )
})

for (const [member, claims, tokens, request, expected] of [
  ['sid', { sid: 's1' }, {}, {}, 's1'],
  ['authTime', { auth_time: 0 }, {}, {}, 0],
  ['acr', { acr: '' }, {}, {}, ''],
  ['amr', { amr: ['pwd'] }, {}, {}, ['pwd']],
  ['accessTokenExpiresAt', {}, { expiresAt: NOW + 60 }, {}, NOW + 60],
  ['sessionState', {}, {}, { sessionState: 'a.b' }, 'a.b'],
  ['requestedScope', {}, {}, { requestedScope: 'openid email' }, 'openid email'],
  ['requestedMaxAge', {}, {}, { requestedMaxAge: 0 }, 0],
] as const) {
  test(`a ticket has ${member} where the sign-in has brought it, and nothing else then`, () => {
    const ticket = buildTicket(site, { ...idToken, ...claims }, {}, { scope: 'openid', ...tokens }, request)
    const { claims: _, ...others } = ticket
    const { claims: __, ...common } = least
    assert.deepEqual(others, { ...common, [member]: expected })
  })
}
