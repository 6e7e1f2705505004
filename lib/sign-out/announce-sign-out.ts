import { publish } from '../diagnostics/publish.js'
import type { HttpResponse } from '../http/node-http.js'
import type { Config } from '../options/config.js'
import type { SignOutReason } from '../options/hooks.js'

/** What tickets and summaries say alike. */
interface Ended {
  readonly issuer: string
  readonly provider?: string
  readonly subject: string
  readonly sid?: string
  readonly signedInAt: number
}

/**
 * Tells the browser to drop what it keeps of this site's pages: in the HTTP cache and the back/forward cache, and fetched or rendered ahead. They
 * are those of a user who has gone. Browsers heed it on https and on loopback hosts.
 *
 * @see https://www.w3.org/TR/clear-site-data/
 */
export function clearSiteData(res: HttpResponse, config: Config): void {
  if (config.clearsSiteData) res.appendHeader('Clear-Site-Data', '"cache", "prefetchCache", "prerenderCache"')
}

/** Tells the site's hook. A hook that fails is a line in the log: the session has ended all the same. */
export async function announceSignOut(config: Config, reason: SignOutReason, ended: readonly Ended[]): Promise<void> {
  publish(() => ({ type: 'sign-out', site: config.baseUrl, reason, sessions: ended.length }))
  if (config.hooks.signOut === undefined) return
  for (const { issuer, provider, subject, sid, signedInAt } of ended) {
    try {
      await config.hooks.signOut({
        reason,
        issuer,
        ...(provider !== undefined && { provider }),
        sub: subject,
        sid,
        signedInAt,
      })
    } catch (error) {
      config.log(`the hook signOut failed: ${error instanceof Error ? error.name : typeof error}`, { level: 'error' })
    }
  }
}
