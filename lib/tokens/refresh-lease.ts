import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { OidcError } from '../errors.js'
import type { Config } from '../options/config.js'
import type { StoredTokens } from '../store/token-store.js'
import { failureError, pauseOf } from './back-off.js'
import { createRefreshAttempts, ended, type Refresh } from './refresh-attempt.js'
import { isStoreAway } from './refresh-save.js'
import type { RequestLimiter } from './request-limiter.js'

/**
 * Renews tokens once, however many processes want it: claim, look again, ask, write. Whoever does not get the claim waits for the
 * result of the one who did. The claim outlives the longest request, and a process that dies with it is waited for no longer.
 */
export interface Refreshes {
  /**
   * @returns what is kept afterwards
   * @throws {OidcError} ERR_OIDC_LOGIN_REQUIRED when the session has ended, ERR_OIDC_REFRESH_REJECTED when it ends with this,
   *   ERR_OIDC_STORE_UNAVAILABLE, and what the provider's answer amounts to
   */
  refresh(refresh: Refresh): Promise<StoredTokens>
  /** Resolves when nothing is waiting to be written any more. */
  settled(): Promise<void>
}

/** Milliseconds beyond the deadlines of everything that happens within a claim. */
export const SLACK = 4_000

/** Milliseconds for which a renewal is tried to be written, at least. */
const SAVE_PATIENCE = 30_000

const FIRST_PAUSE = 20
const LONGEST_PAUSE = 250

export function createRefreshes(config: Pick<Config, 'timeouts' | 'now' | 'log'>, limiter: RequestLimiter): Refreshes {
  const { timeouts, now, log } = config
  const duration = timeouts.provider + 2 * timeouts.redis + SLACK
  const attempts = createRefreshAttempts({
    limiter,
    now,
    log,
    duration,
    deadline: timeouts.provider,
    savePatience: Math.max(duration, SAVE_PATIENCE),
  })

  async function renew(refresh: Refresh): Promise<StoredTokens> {
    const owner = randomUUID()
    const until = performance.now() + duration + SLACK
    const isHeld = createLeaseWatch(duration, now)
    let { view } = refresh
    for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 1.5, LONGEST_PAUSE)) {
      const renewed = isHeld(view) ? undefined : await claim(refresh, owner, view)
      if (renewed !== undefined) return renewed
      if (performance.now() > until) {
        throw new OidcError(
          'ERR_OIDC_PROVIDER_UNAVAILABLE',
          'another process has been refreshing these tokens for too long',
        )
      }
      await wait(pause * (0.5 + Math.random() / 2))
      view = await look(refresh)
      if (refresh.isSettled(view)) return view
      if (view.version.failure !== refresh.view.version.failure) {
        const failure = pauseOf(view, refresh.token, now())
        if (failure !== undefined) throw failureError(failure, now())
      }
    }
  }

  /** `undefined`: somebody else has the claim, or was faster. */
  async function claim(refresh: Refresh, owner: string, view: StoredTokens): Promise<StoredTokens | undefined> {
    const leave = await limiter.enter(duration)
    try {
      const outcome = await acquire(refresh, owner, view)
      if (outcome === 'absent') throw ended()
      return outcome === 'claimed' ? await attempts.make(refresh, owner, view) : undefined
    } finally {
      leave()
    }
  }

  /** The answer may be lost although the lease was taken: the owner asks again, and where that fails too, gives back what it may hold. */
  async function acquire({ tokenStore }: Refresh, owner: string, view: StoredTokens) {
    try {
      return await tokenStore.acquire(owner, view, duration).catch(error => {
        if (!isStoreAway(error)) throw error
        return tokenStore.acquire(owner, view, duration)
      })
    } catch (error) {
      if (isStoreAway(error)) attempts.release(tokenStore, owner, view)
      throw error
    }
  }

  return { refresh: renew, settled: attempts.settled }
}

async function look({ tokenStore }: Refresh): Promise<StoredTokens> {
  const view = await tokenStore.open()
  if (view === undefined) throw ended()
  return view
}

/** Whether to wait for a claim without asking. A claim whose end our clock cannot judge is over when we have watched it for its life. */
function createLeaseWatch(duration: number, now: () => Date): (view: StoredTokens) => boolean {
  let watched = { heldUntil: 0, since: 0 }
  return ({ leasedUntil }) => {
    if (leasedUntil !== watched.heldUntil) watched = { heldUntil: leasedUntil, since: performance.now() }
    return now().getTime() < leasedUntil && performance.now() - watched.since < duration
  }
}
