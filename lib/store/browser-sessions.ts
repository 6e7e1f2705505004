import type { Backend } from './backend/backend.js'
import type { StoreClock } from './backend/store-clock.js'
import type { RedisKeys } from './keys.js'
import type { Sealer } from './seal.js'

/**
 * Which sessions a browser got. Sign-ins that are under way at once do not see the cookies of each other, and the browser keeps one of
 * them; a sign-out ends the others as well.
 */
export interface BrowserSessions {
  /** @param browser the id of the browser's binding, which nobody but that browser has */
  add(browser: string, id: string): Promise<void>
  /**
   * The newest, 32 at most, some of which may have ended.
   * @param until microseconds on the clock of the store: what the browser got after a request was sent is not meant by that request
   */
  of(browser: string, until: number): Promise<readonly string[]>
}

interface BrowserSessionsSettings {
  readonly backend: Backend
  readonly redisKeys: RedisKeys
  readonly sealer: Sealer
  readonly clock: Pick<StoreClock, 'earliest'>
  /** Seconds a session lives without a request: one that the browser does not show is gone by then. */
  readonly idle: number
  /** Epoch s. */
  readonly now: () => number
}

const MOST_SESSIONS = 32

export function createBrowserSessions(settings: BrowserSessionsSettings): BrowserSessions {
  const { backend, redisKeys, sealer, clock, idle, now } = settings

  function open(browser: string, member: string): readonly [time: string, id: string] | undefined {
    const text = sealer.open('browser', browser, Buffer.from(member, 'base64url'))?.toString()
    const end = text?.indexOf(' ') ?? -1
    return text === undefined || end < 0 ? undefined : [text.slice(0, end), text.slice(end + 1)]
  }

  return {
    add(browser, id) {
      const member = sealer.seal('browser', browser, `${clock.earliest()} ${id}`).toString('base64url')
      return backend.addMember(redisKeys.browser(browser), member, now() + idle, now())
    },
    async of(browser, until) {
      const members = await backend.members(redisKeys.browser(browser), now())
      return members
        .slice(-MOST_SESSIONS)
        .map(member => open(browser, member))
        .filter(entry => entry !== undefined)
        .filter(([time]) => Number(time) <= until)
        .map(([, id]) => id)
    },
  }
}
