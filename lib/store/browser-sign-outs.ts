import type { Backend } from './backend/backend.js'
import type { StoreClock } from './backend/store-clock.js'
import { ifThereIsRoom } from './backend/unavailable.js'
import type { RedisKeys } from './keys.js'

/**
 * When browsers signed out, by the id of their binding. The cookie says it too, but a sign-in that is being finished at that time came with
 * the cookie from before. A sign-out leaves its mark first and ends sessions after that; a sign-in writes its session first and looks for
 * the mark after that. So one of the two always sees the other.
 */
export interface BrowserSignOuts {
  /**
   * @param ttl - seconds
   * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE
   */
  mark(browser: string, ttl: number): Promise<void>
  /**
   * Whether the browser has signed out since `startedAt`, on the clock of the store.
   * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE
   */
  isSignedOutSince(browser: string, startedAt: number): Promise<boolean>
}

export function createBrowserSignOuts(
  backend: Backend,
  redisKeys: RedisKeys,
  clock: Pick<StoreClock, 'latest'>,
): BrowserSignOuts {
  const keyOf = (browser: string) => redisKeys.consumed('signed-out browser', browser)
  return {
    async mark(browser, ttl) {
      const at = await clock.latest()
      await ifThereIsRoom(() => backend.markLogout(keyOf(browser), { at }, ttl))
    },
    async isSignedOutSince(browser, startedAt) {
      const signOut = await backend.readLogout(keyOf(browser))
      return signOut !== undefined && startedAt <= signOut.at
    },
  }
}
