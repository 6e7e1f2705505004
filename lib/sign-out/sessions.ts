import { longestSignIn } from '../http/transaction-cookie.js'
import { userAgentOf } from '../http/user-agent.js'
import type { Config } from '../options/config.js'
import type { EndAllOptions } from '../store/end-sessions.js'
import type { RecordStore } from '../store/store.js'
import type { SessionSummary } from '../store/ticket.js'
import { announceSignOut } from './announce-sign-out.js'
import { type RevokeTarget, readRevokeTarget, readUser } from './session-arguments.js'

/** One session of a user. All times are seconds since the epoch. */
export interface OidcSession {
  /** Names the session in {@link OidcSessions.revoke}. It cannot be used to sign in; `req.oidc.handle` is that of the request. */
  readonly handle: string
  /** Whose it is. */
  readonly sub: string
  /** The provider's session id, where it gave one. */
  readonly sid: string | undefined
  /** When it began. */
  readonly signedInAt: number
  /** The last request, at most some minutes late. */
  readonly lastSeenAt: number
  /** When it ends at the latest. */
  readonly expiresAt: number
  /** The browser's own words, where `rememberUserAgent` is set. */
  readonly userAgent: string | undefined
}

/** `oidc.sessions`: the sessions of this site's users, without their browsers. */
export interface OidcSessions {
  /** The sessions of a user, the newest first. @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE, ERR_OIDC_OPTIONS */
  list(of: { readonly sub: string }): Promise<readonly OidcSession[]>
  /**
   * Ends sessions at once, and, for `sub` and `sid`, sign-ins that are under way. The number of those that ended. With a `handle` from a
   * form, also give the `sub` of the user who sent it: the session ends only if it is theirs.
   *
   * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE, and then it may be done again; ERR_OIDC_OPTIONS
   */
  revoke(target: RevokeTarget): Promise<number>
}

export function createSessions({
  config,
  store,
}: {
  readonly config: Config
  readonly store: RecordStore
}): OidcSessions {
  const { issuer } = config
  return {
    async list(given) {
      const { sub } = readUser(given)
      const sessions = await store.list({ issuer, subject: sub })
      return sessions
        .map(session => ({
          handle: session.handle,
          sub: session.subject,
          sid: session.sid,
          signedInAt: session.signedInAt,
          lastSeenAt: session.lastSeenAt,
          expiresAt: session.expiresAt,
          userAgent: userAgentOf(session),
        }))
        .sort((one, other) => other.signedInAt - one.signedInAt)
    },
    async revoke(given) {
      const target = readRevokeTarget(given)
      const ended: SessionSummary[] = []
      const onEnded = (summary: SessionSummary) => void ended.push(summary)
      const options = { onEnded, logout: {}, remember: longestSignIn }
      const count = await revokeAll(target, options)
      await announceSignOut(config, 'revoked', ended)
      return count
    },
  }

  function revokeAll(target: RevokeTarget, options: EndAllOptions): Promise<number> {
    if ('handle' in target) {
      const { handle, sub } = target
      const only = (summary: SessionSummary) =>
        summary.issuer === issuer && (sub === undefined || summary.subject === sub)
      const { onEnded } = options
      return store.endOne(handle, { only, ...(onEnded && { onEnded }) })
    }
    if ('sid' in target) return store.endAll({ issuer, sid: target.sid }, options)
    const { sub, except } = target
    return store.endAll({ issuer, subject: sub }, { ...options, ...(except !== undefined && { except }) })
  }
}
