import { buildPage, escapeHtml, pagePolicy } from '../http/page.js'
import type { RequestContext } from '../http/request-context.js'
import { setPrivateHeaders } from '../http/response.js'
import { publicPath } from '../options/config.js'

/**
 * Asks before it signs out, because another site sent the browser here. The confirmation is a same-origin POST.
 *
 * @param wishes - the valid parameters of the request, as a query: nothing else from the request appears in the page
 */
export function confirmLogout({ res, services: { config, provider } }: RequestContext, wishes: URLSearchParams): void {
  const { logout } = config.routes
  const action = `${logout === false ? '/' : publicPath(config, logout)}?${wishes}`
  const endpoint = provider.peekMetadata()?.end_session_endpoint ?? config.issuer
  setPrivateHeaders(res)
  // With `no-referrer` the form would come with `Origin: null`, which looks like another site to those without Fetch Metadata.
  res.setHeader('Referrer-Policy', 'same-origin')
  res.setHeader('Content-Security-Policy', pagePolicy({ formAction: `'self' ${new URL(endpoint).origin}` }))
  res.setHeader('Content-Type', 'text/html; charset=utf-8')
  res.end(
    buildPage({
      title: 'Sign out?',
      body: `<p>Another site asked to sign you out of this one.</p>
<form method="post" action="${escapeHtml(action)}"><button type="submit">Sign out</button></form>
<a href="${escapeHtml(publicPath(config, '/'))}">Stay signed in</a>`,
    }),
  )
}
