import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { OidcError, type OidcErrorCode } from '../../lib/errors.js'
import { createRenewals } from '../../lib/handlers/renewal.js'
import type { Renewal } from '../../lib/handlers/renewal-attempt.js'
import { createTokenGate } from '../../lib/handlers/token-gate.js'
import { createState, type State } from '../../lib/state/state.js'
import type { Tokens } from '../../lib/state/ticket.js'
import type { TokenVault, VaultView } from '../../lib/state/token-vault.js'
import { secret } from '../support/secrets.js'

/** Epoch s. */
const START = 1_780_272_000

function createBench(timeouts = { provider: 1_000, redis: 100 }) {
  let seconds = START
  const now = () => new Date(seconds * 1000)
  const advance = (more: number) => {
    seconds += more
  }
  const log: string[] = []
  const state = createState({
    secrets: [secret('session secret')],
    idle: 3600,
    absolute: 36_000,
    timeout: 500,
    now,
    log: () => {},
  })
  const create = () => createRenewals({ timeouts, now, log: line => log.push(line) }, createTokenGate(now))
  return { state, create, log, advance }
}

async function signIn(state: State): Promise<TokenVault> {
  const ticket = {
    issuer: 'https://op.example.com',
    subject: 'alice',
    claims: {},
    scope: 'openid',
    signedInAt: START,
    expiresAt: START + 36_000,
  }
  const id = await state.signIn({ ticket, tokens: named('first'), previous: [], keep: [] })
  return state.vault(id)
}

function named(name: string): Tokens {
  return { scope: 'openid', accessToken: `access ${name}`, refreshToken: `refresh ${name}` }
}

async function openVault(vault: TokenVault): Promise<VaultView> {
  const view = await vault.open()
  assert.ok(view, 'no view')
  return view
}

function renewalOf(vault: TokenVault, view: VaultView, request: Renewal['request']): Renewal {
  const isSettled = ({ tokens }: VaultView) => tokens?.accessToken !== view.tokens?.accessToken
  return { vault, view, isSettled, request }
}

function brings(name: string, discard = () => {}) {
  return async () => ({ change: () => ({ tokens: named(name) }), discard })
}

function failsWith(code: OidcErrorCode) {
  return async (): Promise<never> => {
    throw new OidcError(code, 'as the test wants it')
  }
}

test('two processes that renew at once: one asks, the other gets its result', async () => {
  const { state, create } = createBench()
  const vault = await signIn(state)
  const view = await openVault(vault)
  let asked = 0
  const request = async () => {
    asked += 1
    await wait(50)
    return brings('second')()
  }
  const [a, b] = await Promise.all([
    create().renew(renewalOf(vault, view, request)),
    create().renew(renewalOf(vault, view, request)),
  ])
  assert.equal(asked, 1)
  assert.deepEqual([a.tokens, b.tokens], [named('second'), named('second')])
})

test('who comes with an old view finds what was renewed meanwhile, and does not ask', async () => {
  const { state, create } = createBench()
  const vault = await signIn(state)
  const view = await openVault(vault)
  await create().renew(renewalOf(vault, view, brings('second')))
  const late = await create().renew(renewalOf(vault, view, failsWith('ERR_OIDC_PROVIDER_UNAVAILABLE')))
  assert.deepEqual(late.tokens, named('second'))
})

test('invalid_grant for a token that another process has replaced meanwhile ends nothing', async () => {
  const { state, create } = createBench()
  const vault = await signIn(state)
  const view = await openVault(vault)
  const kept = await create().renew(
    renewalOf(vault, view, async () => {
      assert.equal(await vault.settle('', view, { tokens: named('of another process') }), 'done')
      return failsWith('ERR_OIDC_REFRESH_REJECTED')()
    }),
  )
  assert.deepEqual(kept.tokens, named('of another process'))
  assert.ok(await vault.open(), 'the session has ended')
})

test('invalid_grant for the newest token ends the session', async () => {
  const { state, create } = createBench()
  const vault = await signIn(state)
  const view = await openVault(vault)
  const renewal = renewalOf(vault, view, failsWith('ERR_OIDC_REFRESH_REJECTED'))
  await assert.rejects(create().renew(renewal), { code: 'ERR_OIDC_REFRESH_REJECTED' })
  assert.equal(await vault.open(), undefined)
  assert.equal((await state.list({ issuer: 'https://op.example.com', subject: 'alice' })).length, 0)
})

test('a failure is published: who waits gets it, and does not try again', async () => {
  const { state, create } = createBench()
  const vault = await signIn(state)
  const view = await openVault(vault)
  let asked = 0
  const request = async () => {
    asked += 1
    await wait(50)
    return failsWith('ERR_OIDC_CLIENT_REJECTED')()
  }
  const outcomes = await Promise.allSettled([
    create().renew(renewalOf(vault, view, request)),
    create().renew(renewalOf(vault, view, request)),
  ])
  assert.equal(asked, 1)
  for (const outcome of outcomes) {
    assert.equal(outcome.status === 'rejected' && outcome.reason.code, 'ERR_OIDC_CLIENT_REJECTED')
  }
})

test('a refusal that is about the request is not published', async () => {
  const { state, create } = createBench()
  const vault = await signIn(state)
  const view = await openVault(vault)
  const renewal = renewalOf(vault, view, failsWith('ERR_OIDC_TOKEN_DENIED'))
  await assert.rejects(create().renew(renewal), { code: 'ERR_OIDC_TOKEN_DENIED' })
  const after = await openVault(vault)
  assert.deepEqual([after.failure, after.heldUntil], [undefined, 0])
})

test('the pause after failures doubles, with chance in it, and a success forgets it', async () => {
  const { state, create, advance } = createBench()
  const vault = await signIn(state)
  for (const longest of [1, 2, 4, 8]) {
    const view = await openVault(vault)
    await assert.rejects(create().renew(renewalOf(vault, view, failsWith('ERR_OIDC_TOKEN_RESPONSE'))))
    const { failure } = await openVault(vault)
    const pause = (failure?.retryAt ?? 0) - START
    assert.ok(pause >= longest / 2 && pause <= longest, `${pause} is not a pause of ${longest}`)
  }
  advance(10)
  await create().renew(renewalOf(vault, await openVault(vault), brings('second')))
  assert.equal((await openVault(vault)).failure, undefined)
})

test('what a session that ended meanwhile would have got is discarded', async () => {
  const { state, create } = createBench()
  const vault = await signIn(state)
  const view = await openVault(vault)
  let discarded = 0
  const request = async () => {
    await vault.endIf(view)
    return brings('second', () => {
      discarded += 1
    })()
  }
  await assert.rejects(create().renew(renewalOf(vault, view, request)), { code: 'ERR_OIDC_LOGIN_REQUIRED' })
  assert.equal(discarded, 1)
  assert.equal(await vault.open(), undefined)
})

test('a claim whose owner has died is taken over when it runs out, not earlier', async () => {
  const { state, create, advance } = createBench()
  const vault = await signIn(state)
  const view = await openVault(vault)
  assert.equal(await vault.claim('a dead process', view, 60_000), 'claimed')
  let asked = 0
  let claims = 0
  const watched: TokenVault = {
    ...vault,
    claim(...args) {
      claims += 1
      return vault.claim(...args)
    },
  }
  // Seen with the claim in it, so that there is no reason to ask for it while it lasts.
  const renewing = create().renew(
    renewalOf(watched, await openVault(vault), async () => {
      asked += 1
      return brings('second')()
    }),
  )
  await wait(300)
  assert.deepEqual([asked, claims], [0, 0])
  advance(61)
  assert.deepEqual((await renewing).tokens, named('second'))
})

test('a ticket that changed while the provider was asked keeps its change', async () => {
  const { state, create } = createBench()
  const vault = await signIn(state)
  const view = await openVault(vault)
  const { ticket } = view
  assert.ok(ticket, 'no ticket')
  await create().renew(
    renewalOf(vault, view, async () => {
      await vault.settle('', view, { ticket: { ...ticket, claims: { name: 'new' } } })
      return {
        change: now => ({ tokens: named('second'), ticket: { ...(now.ticket ?? ticket), scope: 'openid more' } }),
        discard() {},
      }
    }),
  )
  const after = await openVault(vault)
  assert.deepEqual([after.ticket?.claims, after.ticket?.scope], [{ name: 'new' }, 'openid more'])
})

test('a save that Redis refuses is tried again in the background until it works', async () => {
  const { state, create } = createBench()
  const vault = await signIn(state)
  const view = await openVault(vault)
  let failures = 3
  const flaky: TokenVault = {
    ...vault,
    async settle(owner, seen, change) {
      if (failures > 0) {
        failures -= 1
        throw new OidcError('ERR_OIDC_STORE_UNAVAILABLE', 'Redis is not available')
      }
      return vault.settle(owner, seen, change)
    },
  }
  const renewals = create()
  await assert.rejects(renewals.renew(renewalOf(flaky, view, brings('second'))), { code: 'ERR_OIDC_STORE_UNAVAILABLE' })
  await renewals.settled()
  assert.deepEqual((await openVault(vault)).tokens, named('second'))
})

test('a save whose answer was lost is recognised as done', async () => {
  const { state, create } = createBench()
  const vault = await signIn(state)
  const view = await openVault(vault)
  let isFirst = true
  let discarded = 0
  const deaf: TokenVault = {
    ...vault,
    async settle(owner, seen, change) {
      const outcome = await vault.settle(owner, seen, change)
      if (!isFirst) return outcome
      isFirst = false
      throw new OidcError('ERR_OIDC_STORE_UNAVAILABLE', 'Redis is not available')
    },
  }
  const renewals = create()
  const renewal = renewalOf(
    deaf,
    view,
    brings('second', () => {
      discarded += 1
    }),
  )
  await assert.rejects(renewals.renew(renewal), { code: 'ERR_OIDC_STORE_UNAVAILABLE' })
  await renewals.settled()
  assert.deepEqual((await openVault(vault)).tokens, named('second'))
  assert.equal(discarded, 0)
})

for (const [description, theirs, discards] of [
  ['a newer token of another process', named('of another process'), 0],
  ['tokens that were given back', { scope: 'openid' }, 1],
] as const) {
  test(`${description}, found when it comes to writing, is not written over`, async () => {
    const { state, create } = createBench()
    const vault = await signIn(state)
    const view = await openVault(vault)
    let discarded = 0
    const request = async () => {
      await vault.settle('', view, { tokens: theirs })
      return brings('second', () => {
        discarded += 1
      })()
    }
    await create().renew(renewalOf(vault, view, request))
    assert.deepEqual((await openVault(vault)).tokens, theirs)
    assert.equal(discarded, discards)
  })
}
