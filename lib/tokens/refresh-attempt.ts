import { OidcError } from '../errors.js'
import type { RefreshVerdict } from '../protocol/refused-refresh.js'
import type { RefreshFailure } from '../store/refresh-failure.js'
import type { StoredTokens, TokenStore } from '../store/token-store.js'
import { backOff, failuresInRow, isTemporary } from './back-off.js'
import { isStoreAway, keepSaving, type Refreshed, releaseLease, type Save, saveRefresh } from './refresh-save.js'
import type { RequestLimiter } from './request-limiter.js'

/** Tokens that have to be renewed, and by what. */
export interface Refresh {
  readonly tokenStore: TokenStore
  /** What was there when it was decided. */
  readonly view: StoredTokens
  /** Whether what is there now is what was wanted: somebody else was faster. */
  isSettled(view: StoredTokens): boolean
  /** The `failureKey` of the one token it is for; left out: there is only one. */
  readonly token?: string
  /** What a failure means. Left out: a rejection ends the session, and only what may pass by itself is noted. */
  judge?(error: OidcError): RefreshVerdict
  /** Asks the provider, once. What it throws is published, so that nobody else asks for a while. */
  request(view: StoredTokens): Promise<Refreshed & { readonly error?: unknown }>
}

/** What is done by whoever has the right to renew: ask, and write down what came of it, whatever that is. */
export interface RefreshAttempts {
  /** @returns what is kept afterwards @throws {OidcError} as {@link Renewals.renew} in `refresh-lease.ts` */
  make(refresh: Refresh, owner: string, view: StoredTokens): Promise<StoredTokens>
  /** Gives back a lease that may or may not be held, in the background. */
  release(tokenStore: TokenStore, owner: string, view: StoredTokens): void
  /** Resolves when no request is under way and nothing is waiting to be written any more. */
  settled(): Promise<void>
}

/** What came of a request. */
type Asked = { readonly refreshed: Refreshed & { readonly error?: unknown } } | { readonly failed: unknown }

interface AttemptSettings {
  readonly limiter: RequestLimiter
  readonly now: () => Date
  readonly log: (line: string) => void
  /** Milliseconds a lease lasts. */
  readonly duration: number
  /** Milliseconds after which the caller gets an error while the request goes on. */
  readonly deadline: number
  /** Milliseconds for which a renewal is tried to be written. */
  readonly savePatience: number
}

export function createRefreshAttempts(settings: AttemptSettings): RefreshAttempts {
  const { limiter, now, log, duration, deadline, savePatience } = settings
  const background = createBackground()

  async function save(what: Save): Promise<StoredTokens | undefined> {
    try {
      return await saveRefresh(what)
    } catch (error) {
      if (!isStoreAway(error)) throw error
      const saving = keepSaving(what, savePatience).catch(() => {
        log(
          'refreshed tokens could not be written, because Redis was not available; the user of that session has to sign in again',
        )
      })
      background.add(saving)
      throw error
    }
  }

  /** Writes down what came of the request. */
  async function conclude(refresh: Refresh, owner: string, view: StoredTokens, asked: Asked): Promise<StoredTokens> {
    const { tokenStore } = refresh
    if ('failed' in asked) {
      const verdict = judge(refresh, asked.failed)
      if (verdict?.endsSession === true) return endOrFind(refresh, view, verdict.error)
      // Where this fails too, the lease expires by itself.
      await tokenStore.commit(owner, view, failureOf(refresh, view, verdict, now)).catch(() => {})
      throw verdict?.error ?? asked.failed
    }
    const { refreshed } = asked
    const failed = judge(refresh, refreshed.error)
    const note = refreshed.error === undefined ? successOf(refresh) : failureOf(refresh, view, failed, now)
    const noted = {
      discard: refreshed.discard,
      change: (seen: StoredTokens) => ({ ...refreshed.change(seen), ...note }),
    }
    const kept = await save({ tokenStore, owner, view, refreshed: noted })
    if (refreshed.error !== undefined) throw failed?.error ?? refreshed.error
    if (kept === undefined) throw ended()
    return kept
  }

  /** The provider may have replaced the refresh token: the request goes on under a longer lease, and what it brings is kept. */
  async function continueInBackground(
    refresh: Refresh,
    owner: string,
    view: StoredTokens,
    asking: Promise<Asked>,
  ): Promise<never> {
    const { tokenStore } = refresh
    const error = new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'the provider did not respond in time')
    const finish = async (asked: Asked): Promise<unknown> =>
      isOutage(asked) ? tokenStore.commit(owner, view, {}) : conclude(refresh, owner, view, asked)
    background.add(asking.then(finish))
    await tokenStore.acquire(owner, view, duration).catch(() => {})
    // The lease stays: it is another owner's as far as this write is concerned.
    await tokenStore.commit('', view, failureOf(refresh, view, judge(refresh, error), now)).catch(() => {})
    throw error
  }

  return {
    async make(refresh, owner, view) {
      const began = limiter.begin()
      const asking = ask(limiter, refresh, view, began)
      const asked = await withinDeadline(asking, deadline)
      if (asked !== undefined) return conclude(refresh, owner, view, asked)
      limiter.report(new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'the provider did not respond in time'), began)
      return continueInBackground(refresh, owner, view, asking)
    },
    release(tokenStore, owner, view) {
      background.add(releaseLease(tokenStore, owner, view, savePatience))
    },
    settled: background.settled,
  }
}

/** Nothing came in the end. That was noted when the deadline passed. */
function isOutage(asked: Asked): boolean {
  const error = 'failed' in asked ? asked.failed : undefined
  return error instanceof OidcError && error.code === 'ERR_OIDC_PROVIDER_UNAVAILABLE'
}

async function ask(limiter: RequestLimiter, refresh: Refresh, view: StoredTokens, began: number): Promise<Asked> {
  try {
    const refreshed = await refresh.request(view)
    limiter.report(refreshed.error, began)
    return { refreshed }
  } catch (failed) {
    limiter.report(failed, began)
    return { failed }
  }
}

/** Work that no caller waits for. */
function createBackground(): { add(work: Promise<unknown>): void; settled(): Promise<void> } {
  const underWay = new Set<Promise<void>>()
  return {
    add(work) {
      const ended = work.then(
        () => {},
        () => {},
      )
      underWay.add(ended)
      void ended.then(() => underWay.delete(ended))
    },
    async settled() {
      while (underWay.size > 0) await Promise.all(underWay)
    },
  }
}

/** `undefined`: it takes longer. */
async function withinDeadline<T>(work: Promise<T>, milliseconds: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>(resolve => {
    timer = setTimeout(() => resolve(undefined), milliseconds)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

/** Unless another process has put a newer token there, the newest is void, and nothing will make it good again. */
async function endOrFind(refresh: Refresh, view: StoredTokens, rejection: OidcError): Promise<StoredTokens> {
  if (await refresh.tokenStore.endIf(view)) throw rejection
  const current = await refresh.tokenStore.open()
  if (current === undefined) throw ended()
  if (refresh.isSettled(current)) return current
  throw rejection
}

/** `undefined`: nothing follows for other requests. */
function judge(refresh: Refresh, error: unknown): RefreshVerdict | undefined {
  if (!(error instanceof OidcError)) return undefined
  if (refresh.judge !== undefined) return refresh.judge(error)
  const endsSession = error.code === 'ERR_OIDC_REFRESH_REJECTED'
  return endsSession || isTemporary(error) ? { error, endsSession, pauses: 'session', isLogged: false } : undefined
}

/** What other processes have to know of a failure: not to try again for a while. */
function failureOf(
  { token }: Refresh,
  { failures = [] }: StoredTokens,
  verdict: RefreshVerdict | undefined,
  now: () => Date,
): { readonly failure?: RefreshFailure } {
  if (verdict === undefined) return {}
  const { error, pauses } = verdict
  const about = pauses === 'token' ? token : undefined
  const earlier = failures.find(note => note.token === about)
  const count = failuresInRow(earlier, now())
  const pause = backOff(count, error)
  const retryAt = now().getTime() / 1000 + pause
  return { failure: { code: error.code, count, retryAt, pause, ...(about !== undefined && { token: about }) } }
}

function successOf({ token }: Refresh): { readonly renewed?: string } {
  return token === undefined ? {} : { renewed: token }
}

export function ended(): OidcError {
  return new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'the session has ended')
}
