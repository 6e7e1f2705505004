import type { Backend } from './backend/backend.js'
import type { StoreClock } from './backend/store-clock.js'
import type { RedisKeys } from './keys.js'
import type { Sealer } from './seal.js'

/**
 * Which sessions a browser got. Sign-ins that are under way at once do not see the cookies of each other, and the browser keeps one of
 * them; a sign-out ends the others as well.
 */
export interface BrowserSessions {
  add(browser: BrowserName, id: string): Promise<void>
  /**
   * The newest, 32 at most, some of which may have ended.
   * @param until microseconds on the clock of the store: what the browser got after a request was sent is not meant by that request
   */
  of(browser: Pick<BrowserName, 'browser'>, until: number): Promise<readonly string[]>
  /**
   * Those of them that came with another binding than the browser has now. The browser has signed out in between and does not show them: the
   * response of the sign-out arrived after theirs and removed the cookie.
   */
  ofOtherBindings(browser: BrowserName, until: number): Promise<readonly string[]>
}

/** What the binding cookie calls a browser. Only that browser has it. */
export interface BrowserName {
  /** The same for as long as the browser keeps the cookie. */
  readonly browser: string
  /** Another one after each sign-out. */
  readonly id: string
}

interface Entry {
  /** Microseconds on the clock of the store. */
  readonly time: number
  readonly sessionId: string
  readonly binding: string | undefined
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

  function open(browser: string, member: string): Entry | undefined {
    const text = sealer.open('browser', browser, Buffer.from(member, 'base64url'))?.toString()
    const [time, sessionId, binding] = text?.split(' ') ?? []
    return sessionId === undefined ? undefined : { time: Number(time), sessionId, binding }
  }

  async function entries(browser: string, until: number): Promise<readonly Entry[]> {
    const members = await backend.members(redisKeys.browser(browser), now())
    return members
      .slice(-MOST_SESSIONS)
      .map(member => open(browser, member))
      .filter(entry => entry !== undefined)
      .filter(({ time }) => time <= until)
  }

  return {
    add({ browser, id: binding }, id) {
      const member = sealer.seal('browser', browser, `${clock.earliest()} ${id} ${binding}`).toString('base64url')
      return backend.addMember(redisKeys.browser(browser), member, now() + idle, now())
    },
    async of({ browser }, until) {
      return (await entries(browser, until)).map(({ sessionId }) => sessionId)
    },
    async ofOtherBindings({ browser, id }, until) {
      return (await entries(browser, until)).filter(({ binding }) => binding !== id).map(({ sessionId }) => sessionId)
    },
  }
}
