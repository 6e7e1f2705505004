import type { Backend } from './backend/backend.js'
import type { RedisKeys } from './keys.js'
import type { SessionIndex } from './session-index.js'
import type { EndedSummary, SessionSummary } from './ticket.js'

/**
 * Redis removes an expired session without a word. So that the next request that comes with it can tell whose it was, a note of each session outlives
 * it. What ends a session takes its note away first: a session that has a note and no record has expired, or was lost.
 */
export interface ExpiredSessions {
  /** Never rejects: a sign-in does not fail for a note. */
  remember(key: string, summary: SessionSummary): Promise<void>
  forget(key: string): Promise<void>
  /**
   * Ends a session that is not to be told of as expired. One that `end` did not find there gets its note back. `isLapse`: to the user this
   * end is like an expiry, so that {@link find} still finds it.
   */
  whileForgotten<T extends { readonly existed: boolean }>(
    key: string,
    end: () => Promise<T>,
    options?: { readonly isLapse?: boolean },
  ): Promise<T>
  /** The session of a record that is not there, if it has expired: once, in whichever process that is. */
  take(key: string): Promise<EndedSummary | undefined>
  /** The same whenever it is asked, and also where the provider has refused the refresh token. @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE */
  find(key: string): Promise<EndedSummary | undefined>
}

/** Seconds after the latest end of a session in which a browser that comes back is still noticed. */
export const REMEMBERED = 7 * 24 * 60 * 60

/** What the note of a session begins with that is not to be told of. base64url has no such character. */
const LAPSED = '!'

/** Where no part of the site asks: nothing is kept. */
export const NOT_REMEMBERED: ExpiredSessions = {
  remember: async () => {},
  forget: async () => {},
  whileForgotten: (_key, end) => end(),
  take: async () => undefined,
  find: async () => undefined,
}

interface ExpiredSessionsSettings {
  readonly backend: Backend
  readonly redisKeys: Pick<RedisKeys, 'expired' | 'handle' | 'consumed'>
  readonly index: Pick<SessionIndex, 'sealSummary' | 'openSummary'>
  /** Whether {@link ExpiredSessions.find} is used in this site: a note outlives {@link ExpiredSessions.take} then. */
  readonly isFound: boolean
  /** Epoch s. */
  readonly now: () => number
}

export function createExpiredSessions(settings: ExpiredSessionsSettings): ExpiredSessions {
  const { backend, redisKeys, index, isFound, now } = settings
  const open = (key: string, sealed: string) => index.openSummary(key, Buffer.from(sealed, 'base64url'))

  async function write(key: string, sealed: string, { expiresAt }: SessionSummary): Promise<void> {
    const ttl = Math.max(1, Math.ceil(expiresAt - now()) + REMEMBERED)
    await backend.writeMark(redisKeys.expired(key), sealed, ttl).catch(() => {})
  }

  async function restore(key: string, sealed: string, mark = ''): Promise<void> {
    const summary = open(key, sealed.replace(LAPSED, ''))
    if (summary !== undefined) await write(key, mark + sealed, summary)
  }

  return {
    remember: (key, summary) => write(key, index.sealSummary(key, summary).toString('base64url'), summary),
    forget: key => backend.removeMark(redisKeys.expired(key)),
    async whileForgotten(key, end, { isLapse = false } = {}) {
      const sealed = await backend.readMark(redisKeys.expired(key))
      if (sealed === undefined) return end()
      await backend.removeMark(redisKeys.expired(key))
      try {
        const result = await end()
        if (!result.existed) await restore(key, sealed)
        else if (isLapse && isFound) await restore(key, sealed, LAPSED)
        return result
      } catch (error) {
        await restore(key, sealed)
        throw error
      }
    },
    async take(key) {
      const sealed = await backend.readMark(redisKeys.expired(key))
      const summary = sealed === undefined || sealed.startsWith(LAPSED) ? undefined : open(key, sealed)
      if (summary === undefined) return undefined
      if (!(await backend.consume(redisKeys.consumed('session expired', key), REMEMBERED))) return undefined
      if (isFound) await write(key, LAPSED + (sealed ?? ''), summary)
      else await backend.removeMark(redisKeys.expired(key)).catch(() => {})
      return { ...summary, handle: redisKeys.handle(key) }
    },
    async find(key) {
      const sealed = await backend.readMark(redisKeys.expired(key))
      const summary = sealed === undefined ? undefined : open(key, sealed.replace(LAPSED, ''))
      return summary && { ...summary, handle: redisKeys.handle(key) }
    },
  }
}
