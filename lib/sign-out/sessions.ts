import { longestSignIn } from '../http/transaction-cookie.js'
import { userAgentOf } from '../http/user-agent.js'
import { atProvider, type SiteConfig } from '../options/config.js'
import { issuerOfUser } from '../options/tenants.js'
import type { EndAllOptions } from '../store/end-sessions.js'
import type { AtProvider } from '../store/session-index.js'
import type { RecordStore } from '../store/store.js'
import type { EndedSummary, SessionSummary } from '../store/ticket.js'
import { announceSignOut, auditSignOut } from './announce-sign-out.js'
import { type RevokeTarget, readRevokeTarget, readUser } from './session-arguments.js'

/** One session of a user. All times are seconds since the epoch. */
export interface OidcSession {
  /** Names the session in {@link OidcSessions.revoke}. It cannot be used to sign in; `req.oidc.handle` is that of the request. */
  readonly handle: string
  /** Whose it is. */
  readonly sub: string
  /** The name of the provider, where the site has several. */
  readonly provider?: string
  /** The tenant of the user, where the provider has many. */
  readonly tenant?: string
  /** The base URL of the host that it belongs to, where the site has several. */
  readonly baseUrl?: string
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
  /** Whether it is bound to a key of its device, as `session.deviceBound` says. */
  readonly deviceBound: boolean
}

/** `oidc.sessions`: the sessions of this site's users, without their browsers. */
export interface OidcSessions {
  /** The sessions of a user, the newest first. With several providers, `provider` names that of the user, with many tenants `tenant` theirs. @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE, ERR_OIDC_OPTIONS */
  list(of: {
    readonly sub: string
    readonly provider?: string
    readonly tenant?: string
  }): Promise<readonly OidcSession[]>
  /**
   * Ends sessions at once, and, for `sub` and `sid`, sign-ins that are under way. The number of those that ended. With a `handle` from a
   * form, also give the `sub` of the user who sent it: the session ends only if it is theirs.
   *
   * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE, and then it may be done again; ERR_OIDC_OPTIONS
   */
  revoke(target: RevokeTarget): Promise<number>
}

interface SessionsSettings {
  readonly config: SiteConfig
  readonly store: RecordStore
  /** Where the users of a provider are known by their names. */
  readonly configOf: (of: string, provider: string | undefined) => Promise<SiteConfig>
}

export function createSessions({ config, store, configOf }: SessionsSettings): OidcSessions {
  return {
    async list(given) {
      const { sub, provider, tenant } = readUser(given)
      const place = await placeOf('oidc.sessions.list', provider, tenant)
      const sessions = await store.list({ ...place, subject: sub })
      return sessions
        .map(session => ({
          handle: session.handle,
          sub: session.subject,
          ...(session.provider !== undefined && { provider: session.provider }),
          ...(session.tenant !== undefined && { tenant: session.tenant }),
          ...(session.baseUrl !== undefined && { baseUrl: session.baseUrl }),
          sid: session.sid,
          signedInAt: session.signedInAt,
          lastSeenAt: session.lastSeenAt,
          expiresAt: session.expiresAt,
          userAgent: userAgentOf(session),
          deviceBound: session.isDeviceBound,
        }))
        .sort((one, other) => other.signedInAt - one.signedInAt)
    },
    async revoke(given) {
      const target = readRevokeTarget(given)
      const ended: EndedSummary[] = []
      const tell = auditSignOut(config, 'revoked')
      const onEnded = (summary: EndedSummary) => {
        ended.push(summary)
        tell(summary)
      }
      const options = { onEnded, reason: 'revoked', logout: {}, remember: longestSignIn } as const
      const count = await revokeAll(target, options)
      await announceSignOut(config, 'revoked', ended)
      return count
    },
  }

  async function placeOf(of: string, provider: string | undefined, tenant: string | undefined): Promise<AtProvider> {
    const config = await configOf(of, provider)
    return { ...atProvider(config), issuer: issuerOfUser(config, of, tenant) }
  }

  async function revokeAll(target: RevokeTarget, options: EndAllOptions): Promise<number> {
    const of = 'oidc.sessions.revoke'
    if ('handle' in target) {
      const { handle, sub, provider, tenant } = target
      // A handle alone is that of one session of this site, whichever provider it is of.
      const isAny =
        (config.hasSeveralProviders || config.tenants !== undefined) &&
        [sub, provider, tenant].every(one => one === undefined)
      const place = isAny ? undefined : await placeOf(of, provider, tenant)
      const isThere = (summary: SessionSummary) =>
        place === undefined || (summary.issuer === place.issuer && summary.provider === place.provider)
      const only = (summary: SessionSummary) => isThere(summary) && (sub === undefined || summary.subject === sub)
      return store.endOne(handle, { ...options, only })
    }
    const place = await placeOf(of, target.provider, target.tenant)
    if ('sid' in target) return store.endAll({ ...place, sid: target.sid }, options)
    const { sub, except } = target
    return store.endAll({ ...place, subject: sub }, { ...options, ...(except !== undefined && { except }) })
  }
}
