import type { Backend } from './backend/backend.js'
import type { StoreClock } from './backend/store-clock.js'
import { ifThereIsRoom } from './backend/unavailable.js'
import type { BrowserName } from './browser-sessions.js'
import type { RedisKeys } from './keys.js'

/**
 * When browsers signed out, by the id of their binding. The cookie says it too, but a sign-in that is being finished at that time came with
 * the cookie from before. A sign-out leaves its mark first and ends sessions after that; a sign-in writes its session first and looks for
 * the mark after that. So one of the two always sees the other.
 */
export interface BrowserSignOuts {
  /**
   * @param ttl - seconds
   * @returns when that was, in microseconds on the clock of the store
   * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE
   */
  mark(browser: BrowserName, ttl: number): Promise<number>
  /**
   * Whether the browser has signed out since `startedAt`, on the clock of the store, with whichever of its bindings.
   * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE
   */
  isSignedOutSince(browser: SignedOutBrowser, startedAt: number): Promise<boolean>
}

/** The name of a browser, and which of its sign-outs has made the binding. What begins with the binding is later than that one. */
export interface SignedOutBrowser extends BrowserName {
  /** What {@link BrowserSignOuts.mark} has returned then. */
  readonly markedAt?: number
}

export function createBrowserSignOuts(
  backend: Backend,
  redisKeys: RedisKeys,
  clock: Pick<StoreClock, 'latest'>,
): BrowserSignOuts {
  const keyOf = (browser: string) => redisKeys.consumed('signed-out browser', browser)
  return {
    async mark({ browser, id }, ttl) {
      const at = await clock.latest()
      // A response that is late can bring an earlier binding back, so the mark is under the name that stays as well.
      const keys = [...new Set([browser, id])].map(keyOf)
      await ifThereIsRoom(async () => {
        await Promise.all(keys.map(key => backend.markLogout(key, { at }, ttl)))
      })
      return at
    },
    async isSignedOutSince({ browser, id, markedAt = 0 }, startedAt) {
      const [own, any] = await Promise.all([
        backend.readLogout(keyOf(id)),
        browser === id ? undefined : backend.readLogout(keyOf(browser)),
      ])
      return (
        (own !== undefined && startedAt <= own.at) || (any !== undefined && Math.max(startedAt, markedAt + 1) <= any.at)
      )
    },
  }
}
