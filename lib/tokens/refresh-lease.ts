import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { OidcError } from '../errors.js'
import type { SiteConfig } from '../options/config.js'
import type { RefreshVerdict } from '../protocol/refused-refresh.js'
import type { StoredTokens, TokenStore } from '../store/token-store.js'
import { COUNTING_PAUSES, withTimeLimit } from '../time.js'
import { failureAfter, failureError, pauseOf } from './back-off.js'
import { isStoreAway, keepSaving, type Refreshed, releaseLease, type Save, saveRefresh } from './refresh-save.js'
import type { RequestLimiter } from './request-limiter.js'

/** Tokens that have to be refreshed, and what a failure means. */
export interface LeaseRequest {
  readonly tokenStore: TokenStore
  /** What the store held when the caller decided to refresh. */
  readonly view: StoredTokens
  /** Whether what the store holds now is what the caller wants: another process was faster. */
  isUpToDate(view: StoredTokens): boolean
  /** The `failureKey` of the one token it is for; left out: there is only one. */
  readonly token?: string
  /** What a failure of the provider means. */
  judge(error: OidcError): RefreshVerdict
}

/**
 * The sole right to refresh the tokens of one store, and a turn at the token endpoint. The owner sends one request, and ends with
 * {@link Lease.commit} or {@link Lease.fail}, all of it inside {@link Lease.complete}.
 */
export interface Lease {
  readonly isAcquired: true
  /** What the store held when the lease was acquired. */
  readonly view: StoredTokens
  /**
   * Waits for the exchange until the deadline. An exchange that takes longer goes on in the background, because the provider may have
   * replaced the refresh token.
   * @throws {OidcError} ERR_OIDC_PROVIDER_UNAVAILABLE at the deadline
   */
  complete<T>(exchange: Promise<T>): Promise<T>
  /**
   * Writes what the provider sent and releases the lease. Where the store is away, writing is tried again in the background.
   * @param error - why only a part of the response can be used: thrown after the write, and other processes pause for it
   * @returns what the store holds now
   * @throws {OidcError} ERR_OIDC_LOGIN_REQUIRED when the session has ended, ERR_OIDC_STORE_UNAVAILABLE, and `error`
   */
  commit(refreshed: Refreshed, error?: unknown): Promise<StoredTokens>
  /**
   * Publishes a failure, so that other processes do not try again for a while, and releases the lease; ends the session where the verdict says so.
   * @returns what another process has written meanwhile, where the failure is about tokens that it has replaced
   * @throws {unknown} the failure, as it was judged
   */
  fail(error: unknown): Promise<StoredTokens>
}

/** Another process was faster: `view` holds its tokens. */
interface AlreadyRefreshed {
  readonly isAcquired: false
  readonly view: StoredTokens
}

/**
 * One lease at a time for the tokens of one store, however many processes want it. A process that does not get the lease waits for the
 * tokens of the one that did. The lease lasts longer than the longest request, and one whose owner has died is waited for no longer.
 */
export interface Leases {
  /**
   * @throws {OidcError} ERR_OIDC_LOGIN_REQUIRED when the session has ended, ERR_OIDC_STORE_UNAVAILABLE, and the failure of another process
   *   or of this one for which no request is sent now
   */
  acquire(request: LeaseRequest): Promise<Lease | AlreadyRefreshed>
  /** Resolves when no exchange is under way in the background and nothing is waiting to be written. */
  whenIdle(): Promise<void>
}

/** Milliseconds beyond the deadlines of everything that happens within a lease. */
export const SLACK = 4_000

/** Milliseconds for which writing refreshed tokens is tried, at least. */
const SAVE_PATIENCE = 30_000

const FIRST_PAUSE = 20
const LONGEST_PAUSE = 250

type LeaseConfig = Pick<SiteConfig, 'timeouts' | 'now' | 'log'>

export function createLeases(config: LeaseConfig, limiter: RequestLimiter): Leases {
  const { timeouts, now } = config
  const duration = timeouts.provider + 2 * timeouts.redis + SLACK
  const background = createBackground()
  const context = { config, limiter, duration, background }

  async function acquire(request: LeaseRequest): Promise<Lease | AlreadyRefreshed> {
    const owner = randomUUID()
    const until = performance.now() + duration + SLACK
    const isLeased = createLeaseWatch(duration, now)
    let { view } = request
    for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 1.5, LONGEST_PAUSE)) {
      const lease = isLeased(view) ? undefined : await tryToAcquire(context, request, owner, view)
      if (lease !== undefined) return lease
      if (performance.now() > until) {
        throw new OidcError(
          'ERR_OIDC_PROVIDER_UNAVAILABLE',
          'another process has been refreshing these tokens for too long',
        )
      }
      await wait(pause * (0.5 + Math.random() / 2))
      const current = await request.tokenStore.open()
      if (current === undefined) throw ended()
      if (request.isUpToDate(current)) return { isAcquired: false, view: current }
      if (current.version.failure !== request.view.version.failure) {
        const failure = pauseOf(current, request.token, now())
        if (failure !== undefined) throw failureError(failure, now())
      }
      view = current
    }
  }

  return { acquire, whenIdle: background.whenIdle }
}

interface LeaseContext {
  readonly config: LeaseConfig
  readonly limiter: RequestLimiter
  /** Milliseconds a lease lasts. */
  readonly duration: number
  readonly background: Background
}

/** `undefined`: another process has the lease, or has written since `view`. */
async function tryToAcquire(
  context: LeaseContext,
  request: LeaseRequest,
  owner: string,
  view: StoredTokens,
): Promise<Lease | undefined> {
  const leave = await context.limiter.enter(context.duration)
  let lease: Lease | undefined
  try {
    const outcome = await acquireInStore(context, request, owner, view)
    if (outcome === 'absent') throw ended()
    if (outcome === 'acquired') lease = createLease(context, { request, owner, view, leave })
    return lease
  } finally {
    if (lease === undefined) leave()
  }
}

/** The response may be lost although the lease was taken: the owner asks again, and where that fails too, releases what it may hold. */
async function acquireInStore(
  { duration, background }: LeaseContext,
  { tokenStore }: LeaseRequest,
  owner: string,
  view: StoredTokens,
) {
  try {
    return await tokenStore.acquire(owner, view, duration).catch(error => {
      if (!isStoreAway(error)) throw error
      return tokenStore.acquire(owner, view, duration)
    })
  } catch (error) {
    if (isStoreAway(error)) background.add(releaseLease(tokenStore, owner, view, savePatience(duration)))
    throw error
  }
}

interface AcquiredLease {
  readonly request: LeaseRequest
  readonly owner: string
  readonly view: StoredTokens
  /** Ends the turn at the token endpoint. */
  leave(): void
}

function createLease(context: LeaseContext, { request, owner, view, leave }: AcquiredLease): Lease {
  const { config, limiter, duration, background } = context
  const { tokenStore, token } = request
  const began = limiter.begin()
  let isLate = false

  const judge = (error: unknown) => (error instanceof OidcError ? request.judge(error) : undefined)
  const failureOf = (verdict: RefreshVerdict | undefined) => failureAfter(view, token, verdict, config.now())

  async function save(what: Save): Promise<StoredTokens | undefined> {
    try {
      return await saveRefresh(what)
    } catch (error) {
      if (isStoreAway(error))
        background.add(keepSaving(what, savePatience(duration)).catch(() => config.log(LOST, { level: 'error' })))
      throw error
    }
  }

  return {
    isAcquired: true,
    view,
    async complete(exchange) {
      try {
        const late = async () => {
          isLate = true
          background.add(exchange)
          const error = new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'the provider did not respond in time')
          limiter.report(error, began)
          // A longer lease for the rest of the exchange. The failure is written without an owner, so that the lease stays.
          await tokenStore.acquire(owner, view, duration).catch(() => {})
          await tokenStore.commit('', view, failureOf(judge(error))).catch(() => {})
          throw error
        }
        return await withTimeLimit(exchange, config.timeouts.provider, late, COUNTING_PAUSES)
      } finally {
        leave()
      }
    },
    async commit({ change, discard }, error) {
      limiter.report(error, began)
      const verdict = judge(error)
      const result = error !== undefined ? failureOf(verdict) : token === undefined ? {} : { refreshed: token }
      const refreshed = { discard, change: (current: StoredTokens) => ({ ...change(current), ...result }) }
      const kept = await save({ tokenStore, owner, view, refreshed })
      if (error !== undefined) throw verdict?.error ?? error
      if (kept === undefined) throw ended()
      return kept
    },
    async fail(error) {
      limiter.report(error, began)
      if (isLate && isOutage(error)) {
        // The failure was published at the deadline.
        await tokenStore.commit(owner, view, {})
        throw error
      }
      const verdict = judge(error)
      if (verdict?.endsSession === true) return endOrFind(request, view, verdict.error)
      // Where this fails too, the lease expires by itself.
      await tokenStore.commit(owner, view, failureOf(verdict)).catch(() => {})
      throw verdict?.error ?? error
    },
  }
}

const LOST =
  'refreshed tokens could not be written, because Redis was not available; the user of that session has to sign in again'

/** Milliseconds. */
function savePatience(duration: number): number {
  return Math.max(duration, SAVE_PATIENCE)
}

/** Ends the session, unless another process has written newer tokens. */
async function endOrFind(request: LeaseRequest, view: StoredTokens, rejection: OidcError): Promise<StoredTokens> {
  if (await request.tokenStore.endIf(view)) throw rejection
  const current = await request.tokenStore.open()
  if (current === undefined) throw ended()
  if (request.isUpToDate(current)) return current
  throw rejection
}

function isOutage(error: unknown): boolean {
  return error instanceof OidcError && error.code === 'ERR_OIDC_PROVIDER_UNAVAILABLE'
}

/** Whether to wait without asking for the lease. A lease whose end our clock cannot judge is over when we have watched it for its duration. */
function createLeaseWatch(duration: number, now: () => Date): (view: StoredTokens) => boolean {
  let watched = { leasedUntil: 0, since: 0 }
  return ({ leasedUntil }) => {
    if (leasedUntil !== watched.leasedUntil) watched = { leasedUntil, since: performance.now() }
    return now().getTime() < leasedUntil && performance.now() - watched.since < duration
  }
}

/** Work that no caller waits for. */
interface Background {
  add(work: Promise<unknown>): void
  whenIdle(): Promise<void>
}

function createBackground(): Background {
  const underWay = new Set<Promise<void>>()
  return {
    add(work) {
      const done = work.then(
        () => {},
        () => {},
      )
      underWay.add(done)
      void done.then(() => underWay.delete(done))
    },
    async whenIdle() {
      while (underWay.size > 0) await Promise.all(underWay)
    },
  }
}

function ended(): OidcError {
  return new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'the session has ended')
}
