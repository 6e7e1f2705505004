import { queryOf } from '../http/node-http.js'
import { buildPage, escapeHtml, pagePolicy } from '../http/page.js'
import type { RequestContext } from '../http/request-context.js'
import { redirect, setPrivateHeaders } from '../http/response.js'
import { publicPath } from '../options/config.js'

/**
 * `GET /logout/callback`: the provider is done. A `state` that is not the one that was sent is not shown as an error to the user, who has been
 * signed out before; but it does not decide where to go either, and leaves a line in the log.
 */
export async function logoutCallback(context: RequestContext): Promise<void> {
  const { req, res, services } = context
  const { config, logoutCookie, rareLog } = services
  const returnTo = logoutCookie.take(req, res)
  if (returnTo !== undefined) return redirect(res, returnTo)
  rareLog(
    'return from a sign-out',
    `the return from a sign-out has ${queryOf(req).has('state') ? 'another state than its start' : 'no state'}`,
  )
  // A user who is still signed in must not see "signed out": another page led here.
  if (context.ticket() !== undefined) redirect(res, publicPath(config, '/'))
  else respondSignedOut(context)
}

function respondSignedOut({ res, services: { config } }: RequestContext): void {
  setPrivateHeaders(res)
  res.setHeader('Content-Security-Policy', pagePolicy())
  res.setHeader('Content-Type', 'text/html; charset=utf-8')
  res.end(
    buildPage({
      title: 'You are signed out',
      body: `<p>You are signed out of this site.</p>\n<a href="${escapeHtml(publicPath(config, '/'))}">Back to the start page</a>`,
    }),
  )
}
