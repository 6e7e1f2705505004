import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { OidcError } from '../../lib/errors.js'
import { createRenewals } from '../../lib/handlers/renewal.js'
import { isDue, isFresh } from '../../lib/handlers/token-freshness.js'
import { createTokenGate } from '../../lib/handlers/token-gate.js'
import { createState, type State } from '../../lib/state/state.js'
import { secret } from '../support/secrets.js'

/** Epoch s. */
const START = 1_780_272_000
const SESSIONS = 10_000

function createBench() {
  let seconds = START
  const now = () => new Date(seconds * 1000)
  const advance = (more: number) => {
    seconds += more
  }
  const state = createState({
    secrets: [secret('session secret')],
    idle: 3600,
    absolute: 36_000,
    timeout: 500,
    now,
    log: () => {},
  })
  const gate = createTokenGate(now)
  const renewals = createRenewals({ timeouts: { provider: 60_000, redis: 800 }, now, log: () => {} }, gate)
  return { state, gate, renewals, advance }
}

function ticketOf(at: number) {
  const times = { signedInAt: START, expiresAt: START + 36_000 }
  return { issuer: 'https://op.example.com', subject: `user ${at}`, claims: {}, scope: 'openid', ...times }
}

async function signInAll(state: State): Promise<string[]> {
  const tokens = { scope: 'openid', accessToken: 'first', refreshToken: 'first' }
  const ids: string[] = []
  for (let at = 0; at < SESSIONS; at += 1) {
    ids.push(await state.signIn({ ticket: ticketOf(at), tokens, previous: [], keep: [] }))
  }
  return ids
}

test('10,000 sessions that expire in one second: each is refreshed once, and never more than 50 at a time', async t => {
  const { state, renewals } = createBench()
  const ids = await signInAll(state)
  let underWay = 0
  let most = 0
  let total = 0
  const outcomes = await Promise.allSettled(
    ids.map(async id => {
      const vault = state.vault(id)
      const view = await vault.open()
      if (view === undefined) throw new Error('the session is gone')
      return renewals.renew({
        vault,
        view,
        isSettled: ({ tokens }) => tokens?.accessToken === 'second',
        async request() {
          underWay += 1
          total += 1
          most = Math.max(most, underWay)
          await wait(1)
          underWay -= 1
          return { change: () => ({ tokens: { scope: 'openid', accessToken: 'second' } }), discard() {} }
        },
      })
    }),
  )
  t.diagnostic(`${total} token requests for ${SESSIONS} sessions, at most ${most} at a time`)
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, SESSIONS)
  assert.equal(total, SESSIONS)
  assert.equal(most, 50)
})

test('the same with a provider that is down: after a few dozen requests it gets a rest, and all sessions stay', async t => {
  const { state, renewals, advance } = createBench()
  const ids = await signInAll(state)
  let total = 0
  const askAll = () =>
    Promise.allSettled(
      ids.map(async id => {
        const vault = state.vault(id)
        const view = await vault.open()
        if (view === undefined) throw new Error('the session is gone')
        return renewals.renew({
          vault,
          view,
          isSettled: () => false,
          async request() {
            total += 1
            await wait(1)
            throw new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'down')
          },
        })
      }),
    )
  const outcomes = await askAll()
  const first = total
  for (const outcome of outcomes) {
    assert.equal(outcome.status === 'rejected' && outcome.reason.code, 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  }
  advance(120)
  await askAll()
  t.diagnostic(`${first} token requests for ${SESSIONS} sessions, and ${total - first} more after the rest`)
  assert.ok(first < 60, `${first} requests`)
  assert.equal(total - first, 1)
  for (const id of ids.slice(0, 100)) assert.ok(await state.load(id))
})

test('the gate opens again with the first success', async () => {
  const { gate, advance } = createBench()
  const down = new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'down')
  for (let at = 0; at < 3; at += 1) {
    const leave = await gate.enter(10)
    gate.report(down)
    leave()
  }
  await assert.rejects(gate.enter(10), down)
  advance(2)
  const leave = await gate.enter(10)
  await assert.rejects(gate.enter(10), { code: 'ERR_OIDC_PROVIDER_UNAVAILABLE' })
  gate.report(undefined)
  leave()
  await Promise.all(Array.from({ length: 50 }, () => gate.enter(10)))
})

test('failures that are about one session give the provider no rest', async () => {
  const { gate } = createBench()
  for (let at = 0; at < 10; at += 1) {
    const leave = await gate.enter(10)
    gate.report(new OidcError('ERR_OIDC_REFRESH_REJECTED', 'void'))
    leave()
  }
})

test('renewals ahead of time are spread: sessions that began together are not due together', () => {
  const token = { issuedAt: 0, expiresAt: 3600 }
  const due = (now: number) =>
    Array.from({ length: 1000 }, (_, at) => isDue(token, 60, now, `session ${at}`)).filter(Boolean).length
  assert.equal(due(3600 - 181), 0)
  assert.ok(due(3600 - 120) > 400 && due(3600 - 120) < 600, `${due(3600 - 120)} of 1000 in the middle`)
  assert.equal(due(3600 - 60 + 1), 1000)
  assert.ok(isFresh(token, 60, 3600 - 60))
})
