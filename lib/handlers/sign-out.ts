import { publish } from '../diagnostics/publish.js'
import type { Site } from './site.js'

/**
 * Why a session ended: the person signed out here (`logout`), the provider's page said so (`front-channel`), the provider itself said so
 * (`back-channel`), or the site did, by `oidc.sessions.revoke` (`revoked`).
 */
export type SignOutReason = 'logout' | 'front-channel' | 'back-channel' | 'revoked'

/** A session that has ended. */
export interface SignedOut {
  readonly reason: SignOutReason
  readonly issuer: string
  readonly sub: string
  /** The provider's session id, where it gave one. */
  readonly sid: string | undefined
  /** Seconds since the epoch. */
  readonly signedInAt: number
}

/** What tickets and summaries say alike. */
interface Ended {
  readonly issuer: string
  readonly subject: string
  readonly sid?: string
  readonly signedInAt: number
}

/** Tells the site's hook. A hook that fails is a line in the log: the session has ended all the same. */
export async function announceSignOut(site: Site, reason: SignOutReason, ended: readonly Ended[]): Promise<void> {
  publish(() => ({ type: 'sign-out', site: site.baseUrl, reason, sessions: ended.length }))
  if (site.hooks.signOut === undefined) return
  for (const { issuer, subject, sid, signedInAt } of ended) {
    try {
      await site.hooks.signOut({ reason, issuer, sub: subject, sid, signedInAt })
    } catch (error) {
      site.log(`the hook signOut failed: ${error instanceof Error ? error.name : typeof error}`)
    }
  }
}
