import { setPrivateHeaders } from './answers.js'
import { buildPage, escapeHtml, pagePolicy } from './page.js'
import { publicPath } from './site.js'
import type { Visit } from './visit.js'

/**
 * Asks before it signs out, because another site sent the browser here. The answer is a same-origin POST.
 *
 * @param wishes - what the request asked for, as far as it made sense, as a query: nothing else that somebody sent stands in the page
 */
export function confirmLogout({ res, services: { site, provider } }: Visit, wishes: URLSearchParams): void {
  const { logout } = site.routes
  const action = `${logout === false ? '/' : publicPath(site, logout)}?${wishes}`
  const endpoint = provider.peekMetadata()?.end_session_endpoint ?? site.issuer
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
<a href="${escapeHtml(publicPath(site, '/'))}">Stay signed in</a>`,
    }),
  )
}
