import { redirect, setPrivateHeaders } from './answers.js'
import { buildPage, escapeHtml, pagePolicy } from './page.js'
import { publicPath } from './site.js'
import type { Visit } from './visit.js'

/**
 * `GET /logout/callback`: the provider is done. A `state` that is not the one that was sent is no reason to worry the person, who has been
 * signed out before; but it does not decide where to go either, and leaves a line in the log.
 */
export async function logoutCallback(visit: Visit): Promise<void> {
  const { req, res, services } = visit
  const { site, logoutState, rareLog } = services
  const returnTo = logoutState.take(req, res)
  if (returnTo !== undefined) return redirect(res, returnTo)
  rareLog(
    'return from a sign-out',
    `a sign-out came back with ${req.query.state === undefined ? 'no state' : 'another state than it left with'}`,
  )
  // Nobody may be told that they are signed out while they are not: another page led here.
  if (visit.ticket() !== undefined) redirect(res, publicPath(site, '/'))
  else showSignedOut(visit)
}

function showSignedOut({ res, services: { site } }: Visit): void {
  setPrivateHeaders(res)
  res.setHeader('Content-Security-Policy', pagePolicy())
  res.setHeader('Content-Type', 'text/html; charset=utf-8')
  res.end(
    buildPage({
      title: 'You are signed out',
      body: `<p>You are signed out of this site.</p>\n<a href="${escapeHtml(publicPath(site, '/'))}">Back to the start page</a>`,
    }),
  )
}
