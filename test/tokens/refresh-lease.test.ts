import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { OidcError, type OidcErrorCode } from '../../lib/errors.js'
import { createRecordStore, type RecordStore } from '../../lib/store/store.js'
import type { Tokens } from '../../lib/store/ticket.js'
import type { StoredTokens, TokenStore } from '../../lib/store/token-store.js'
import { createLeases, type LeaseRequest } from '../../lib/tokens/refresh-lease.js'
import { createRequestLimiter } from '../../lib/tokens/request-limiter.js'
import { secret } from '../support/secrets.js'
import { refreshUnder, type TestRequest } from './lease-refresh.js'

/** Epoch s. */
const START = 1_780_272_000

function createFixture(timeouts = { provider: 1_000, redis: 100 }) {
  let seconds = START
  const now = () => new Date(seconds * 1000)
  const advance = (more: number) => {
    seconds += more
  }
  const log: string[] = []
  const store = createRecordStore({
    secrets: [secret('session secret')],
    idle: 3600,
    absolute: 36_000,
    timeout: 500,
    now,
    log: () => {},
  })
  const create = () => createLeases({ timeouts, now, log: line => log.push(line) }, createRequestLimiter(now))
  return { store, create, log, advance }
}

async function signIn(store: RecordStore): Promise<TokenStore> {
  const ticket = {
    issuer: 'https://op.example.com',
    subject: 'alice',
    claims: {},
    scope: 'openid',
    signedInAt: START,
    expiresAt: START + 36_000,
  }
  const id = await store.signIn({ ticket, tokens: named('first'), previous: [], keep: [] })
  return store.tokenStore(id)
}

function named(name: string): Tokens {
  return { scope: 'openid', accessToken: `access ${name}`, refreshToken: `refresh ${name}` }
}

async function openTokenStore(tokenStore: TokenStore): Promise<StoredTokens> {
  const view = await tokenStore.open()
  assert.ok(view, 'no view')
  return view
}

function renewalOf(
  tokenStore: TokenStore,
  view: StoredTokens,
  request: TestRequest,
): LeaseRequest & { request: TestRequest } {
  const isUpToDate = ({ tokens }: StoredTokens) => tokens?.accessToken !== view.tokens?.accessToken
  return { tokenStore, view, isUpToDate, judge: judgeSimply, request }
}

/** A rejection ends the session; everything else pauses it. */
function judgeSimply(error: OidcError) {
  return { error, endsSession: error.code === 'ERR_OIDC_REFRESH_REJECTED', pauses: 'session', isLogged: false } as const
}

function brings(name: string, discard = () => {}) {
  return async () => ({ change: () => ({ tokens: named(name) }), discard })
}

function failsWith(code: OidcErrorCode) {
  return async (): Promise<never> => {
    throw new OidcError(code, 'as the test wants it')
  }
}

test('two processes that refresh at once: one sends the request, the other gets its result', async () => {
  const { store, create } = createFixture()
  const tokenStore = await signIn(store)
  const view = await openTokenStore(tokenStore)
  let asked = 0
  const request = async () => {
    asked += 1
    await wait(50)
    return brings('second')()
  }
  const [a, b] = await Promise.all([
    refreshUnder(create(), renewalOf(tokenStore, view, request)),
    refreshUnder(create(), renewalOf(tokenStore, view, request)),
  ])
  assert.equal(asked, 1)
  assert.deepEqual([a.tokens, b.tokens], [named('second'), named('second')])
})

test('a caller with an old version finds the refreshed tokens, and sends no request', async () => {
  const { store, create } = createFixture()
  const tokenStore = await signIn(store)
  const view = await openTokenStore(tokenStore)
  await refreshUnder(create(), renewalOf(tokenStore, view, brings('second')))
  const late = await refreshUnder(create(), renewalOf(tokenStore, view, failsWith('ERR_OIDC_PROVIDER_UNAVAILABLE')))
  assert.deepEqual(late.tokens, named('second'))
})

test('invalid_grant for a token that another process has replaced meanwhile ends nothing', async () => {
  const { store, create } = createFixture()
  const tokenStore = await signIn(store)
  const view = await openTokenStore(tokenStore)
  const kept = await refreshUnder(
    create(),
    renewalOf(tokenStore, view, async () => {
      assert.equal(await tokenStore.commit('', view, { tokens: named('of another process') }), 'done')
      return failsWith('ERR_OIDC_REFRESH_REJECTED')()
    }),
  )
  assert.deepEqual(kept.tokens, named('of another process'))
  assert.ok(await tokenStore.open(), 'the session has ended')
})

test('invalid_grant for the newest token ends the session', async () => {
  const { store, create } = createFixture()
  const tokenStore = await signIn(store)
  const view = await openTokenStore(tokenStore)
  const renewal = renewalOf(tokenStore, view, failsWith('ERR_OIDC_REFRESH_REJECTED'))
  await assert.rejects(refreshUnder(create(), renewal), { code: 'ERR_OIDC_REFRESH_REJECTED' })
  assert.equal(await tokenStore.open(), undefined)
  assert.equal((await store.list({ issuer: 'https://op.example.com', subject: 'alice' })).length, 0)
})

test('a failure is published: who waits gets it, and does not try again', async () => {
  const { store, create } = createFixture()
  const tokenStore = await signIn(store)
  const view = await openTokenStore(tokenStore)
  let asked = 0
  const request = async () => {
    asked += 1
    await wait(50)
    return failsWith('ERR_OIDC_CLIENT_REJECTED')()
  }
  const outcomes = await Promise.allSettled([
    refreshUnder(create(), renewalOf(tokenStore, view, request)),
    refreshUnder(create(), renewalOf(tokenStore, view, request)),
  ])
  assert.equal(asked, 1)
  for (const outcome of outcomes) {
    assert.equal(outcome.status === 'rejected' && outcome.reason.code, 'ERR_OIDC_CLIENT_REJECTED')
  }
})

test('an error that is not of the provider is not published, and the lease is released', async () => {
  const { store, create } = createFixture()
  const tokenStore = await signIn(store)
  const view = await openTokenStore(tokenStore)
  const renewal = renewalOf(tokenStore, view, async () => {
    throw new TypeError('a mistake')
  })
  await assert.rejects(refreshUnder(create(), renewal), TypeError)
  const after = await openTokenStore(tokenStore)
  assert.deepEqual([after.failure, after.leasedUntil], [undefined, 0])
})

test('the pause after failures doubles, with chance in it, and a success forgets it', async () => {
  const { store, create, advance } = createFixture()
  const tokenStore = await signIn(store)
  for (const longest of [1, 2, 4, 8]) {
    const view = await openTokenStore(tokenStore)
    await assert.rejects(refreshUnder(create(), renewalOf(tokenStore, view, failsWith('ERR_OIDC_TOKEN_RESPONSE'))))
    const { failure } = await openTokenStore(tokenStore)
    const pause = (failure?.retryAt ?? 0) - START
    assert.ok(pause >= longest / 2 && pause <= longest, `${pause} is not a pause of ${longest}`)
  }
  advance(10)
  await refreshUnder(create(), renewalOf(tokenStore, await openTokenStore(tokenStore), brings('second')))
  assert.equal((await openTokenStore(tokenStore)).failure, undefined)
})

test('a success forgets an earlier failure that was about the same token only', async () => {
  const { store, create, advance } = createFixture()
  const tokenStore = await signIn(store)
  const of = async (token: string, request: TestRequest) => {
    const judge = (error: OidcError) => ({ error, endsSession: false, pauses: 'token', isLogged: false }) as const
    return refreshUnder(create(), { ...renewalOf(tokenStore, await openTokenStore(tokenStore), request), token, judge })
  }
  const [one, other] = ['a'.repeat(16), 'b'.repeat(16)]
  await assert.rejects(of(one, failsWith('ERR_OIDC_TOKEN_DENIED')))
  await assert.rejects(of(other, failsWith('ERR_OIDC_TOKEN_DENIED')))
  advance(60)
  await of(one, brings('second'))
  assert.deepEqual(
    (await openTokenStore(tokenStore)).failures?.map(({ token }) => token),
    [other],
  )
})

test('what a session that ended meanwhile would have got is discarded', async () => {
  const { store, create } = createFixture()
  const tokenStore = await signIn(store)
  const view = await openTokenStore(tokenStore)
  let discarded = 0
  const request = async () => {
    await tokenStore.endIf(view)
    return brings('second', () => {
      discarded += 1
    })()
  }
  await assert.rejects(refreshUnder(create(), renewalOf(tokenStore, view, request)), {
    code: 'ERR_OIDC_LOGIN_REQUIRED',
  })
  assert.equal(discarded, 1)
  assert.equal(await tokenStore.open(), undefined)
})

test('a claim whose owner has died is taken over when it runs out, not earlier', async () => {
  const { store, create, advance } = createFixture()
  const tokenStore = await signIn(store)
  const view = await openTokenStore(tokenStore)
  assert.equal(await tokenStore.acquire('a dead process', view, 60_000), 'acquired')
  let asked = 0
  let claims = 0
  const watched: TokenStore = {
    ...tokenStore,
    acquire(...args) {
      claims += 1
      return tokenStore.acquire(...args)
    },
  }
  // Seen with the claim in it, so that there is no reason to ask for it while it lasts.
  const renewing = refreshUnder(
    create(),
    renewalOf(watched, await openTokenStore(tokenStore), async () => {
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
  const { store, create } = createFixture()
  const tokenStore = await signIn(store)
  const view = await openTokenStore(tokenStore)
  const { ticket } = view
  assert.ok(ticket, 'no ticket')
  await refreshUnder(
    create(),
    renewalOf(tokenStore, view, async () => {
      await tokenStore.commit('', view, { ticket: { ...ticket, claims: { name: 'new' } } })
      return {
        change: now => ({ tokens: named('second'), ticket: { ...(now.ticket ?? ticket), scope: 'openid more' } }),
        discard() {},
      }
    }),
  )
  const after = await openTokenStore(tokenStore)
  assert.deepEqual([after.ticket?.claims, after.ticket?.scope], [{ name: 'new' }, 'openid more'])
})

test('a save that Redis refuses is tried again in the background until it works', async () => {
  const { store, create } = createFixture()
  const tokenStore = await signIn(store)
  const view = await openTokenStore(tokenStore)
  let failures = 3
  const flaky: TokenStore = {
    ...tokenStore,
    async commit(owner, seen, change) {
      if (failures > 0) {
        failures -= 1
        throw new OidcError('ERR_OIDC_STORE_UNAVAILABLE', 'Redis is not available')
      }
      return tokenStore.commit(owner, seen, change)
    },
  }
  const leases = create()
  await assert.rejects(refreshUnder(leases, renewalOf(flaky, view, brings('second'))), {
    code: 'ERR_OIDC_STORE_UNAVAILABLE',
  })
  await leases.whenIdle()
  assert.deepEqual((await openTokenStore(tokenStore)).tokens, named('second'))
})

test('a save whose reply was lost is recognised as done', async () => {
  const { store, create } = createFixture()
  const tokenStore = await signIn(store)
  const view = await openTokenStore(tokenStore)
  let isFirst = true
  let discarded = 0
  const deaf: TokenStore = {
    ...tokenStore,
    async commit(owner, seen, change) {
      const outcome = await tokenStore.commit(owner, seen, change)
      if (!isFirst) return outcome
      isFirst = false
      throw new OidcError('ERR_OIDC_STORE_UNAVAILABLE', 'Redis is not available')
    },
  }
  const leases = create()
  const renewal = renewalOf(
    deaf,
    view,
    brings('second', () => {
      discarded += 1
    }),
  )
  await assert.rejects(refreshUnder(leases, renewal), { code: 'ERR_OIDC_STORE_UNAVAILABLE' })
  await leases.whenIdle()
  assert.deepEqual((await openTokenStore(tokenStore)).tokens, named('second'))
  assert.equal(discarded, 0)
})

for (const [description, theirs, discards] of [
  ['a newer token of another process', named('of another process'), 0],
  ['tokens that were given back', { scope: 'openid' }, 1],
] as const) {
  test(`${description}, found when it comes to writing, is not written over`, async () => {
    const { store, create } = createFixture()
    const tokenStore = await signIn(store)
    const view = await openTokenStore(tokenStore)
    let discarded = 0
    const request = async () => {
      await tokenStore.commit('', view, { tokens: theirs })
      return brings('second', () => {
        discarded += 1
      })()
    }
    await refreshUnder(create(), renewalOf(tokenStore, view, request))
    assert.deepEqual((await openTokenStore(tokenStore)).tokens, theirs)
    assert.equal(discarded, discards)
  })
}
