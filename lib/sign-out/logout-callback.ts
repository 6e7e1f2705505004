import { queryOf } from '../http/node-http.js'
import { pageTextsFor } from '../http/page-texts.js'
import type { RequestContext } from '../http/request-context.js'
import { redirect, setPrivateHeaders } from '../http/response.js'
import { sendPage } from '../http/send-page.js'
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
  else await respondSignedOut(context)
}

async function respondSignedOut(context: RequestContext): Promise<void> {
  const { req, res, services } = context
  setPrivateHeaders(res)
  const texts = await pageTextsFor(services.config, req, res)
  const link = { href: publicPath(services.config, '/'), text: texts.startPage }
  const { language, signedOut: title, signedOutHere: message } = texts
  sendPage(context, 'signedOut', { language, title, message, link })
}
