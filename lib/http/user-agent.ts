import type { IncomingMessage } from 'node:http'
import { printable } from '../protocol/printable.js'
import type { SessionSummary } from '../store/ticket.js'

/** Characters of a `User-Agent` that are kept; browsers need about 120. */
const longestUserAgent = 256

/** What a list of sessions may say about the browser of a sign-in. The text is the browser's own and proves nothing. */
export function describeBrowser({ headers }: IncomingMessage): SessionSummary['metadata'] {
  const userAgent = headers['user-agent']
  return userAgent === undefined ? undefined : { userAgent: printable(userAgent, longestUserAgent) }
}

/** The browser, as {@link describeBrowser} noted it. */
export function userAgentOf({ metadata }: Pick<SessionSummary, 'metadata'>): string | undefined {
  return typeof metadata?.userAgent === 'string' ? metadata.userAgent : undefined
}
