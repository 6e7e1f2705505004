import { publish } from '../diagnostics/publish.js'
import { audit } from '../http/audit-request.js'
import type { HttpRequest, HttpResponse } from '../http/node-http.js'
import { type Auditable, type AuditSignOut, describeSession } from '../options/audit-entries.js'
import type { SiteConfig } from '../options/config.js'
import type { SignOutReason } from '../store/end-reason.js'

/** What tickets and summaries say alike. */
interface Ended extends Auditable {
  readonly handle: string
  readonly signedInAt: number
}

/** What ended sessions, besides the reason. */
interface SignOutCause {
  /** Left out: the code of the site did, by itself. */
  readonly req?: HttpRequest
  /** The type of the security event. */
  readonly event?: string
}

/** Who it was, for each reason. */
const BY: Readonly<Record<SignOutReason, AuditSignOut['by']>> = {
  logout: 'user',
  replaced: 'user',
  'front-channel': 'provider',
  'back-channel': 'provider',
  signal: 'provider',
  'global-revocation': 'provider',
  revoked: 'site',
}

/**
 * Tells the browser to drop what it keeps of this site's pages: in the HTTP cache and the back/forward cache, and fetched or rendered ahead. They
 * are those of a user who has gone. Browsers heed it on https and on loopback hosts.
 *
 * @see https://www.w3.org/TR/clear-site-data/
 */
export function clearSiteData(res: HttpResponse, config: SiteConfig): void {
  if (config.clearsSiteData) res.appendHeader('Clear-Site-Data', '"cache", "prefetchCache", "prerenderCache"')
}

/** Tells the site's hook `audit` of a session as soon as it has ended: what fails after that does not hide it. */
export function auditSignOut(
  config: SiteConfig,
  reason: SignOutReason,
  { req, event }: SignOutCause = {},
): (ended: Ended) => void {
  return ended => {
    const { handle, signedInAt } = ended
    audit(config, req, () => ({
      type: 'sign-out',
      by: BY[reason],
      reason,
      ...(event !== undefined && { event }),
      signedInAt,
      ...describeSession(ended, handle),
    }))
  }
}

/** Tells the site's hook. A hook that fails is a line in the log: the session has ended all the same. */
export async function announceSignOut(
  config: SiteConfig,
  reason: SignOutReason,
  ended: readonly Omit<Ended, 'handle'>[],
): Promise<void> {
  publish(() => ({ type: 'sign-out', site: config.siteName, reason, sessions: ended.length }))
  if (config.hooks.signOut === undefined) return
  for (const { issuer, provider, baseUrl, subject, sid, signedInAt } of ended) {
    try {
      await config.hooks.signOut({
        reason,
        issuer,
        ...(provider !== undefined && { provider }),
        sub: subject,
        sid,
        ...(baseUrl !== undefined && { baseUrl }),
        signedInAt,
      })
    } catch (error) {
      config.log(`the hook signOut failed: ${error instanceof Error ? error.name : typeof error}`, { level: 'error' })
    }
  }
}
