import { setPrivateHeaders } from './answers.js'
import { buildPage, escapeHtml, pagePolicy } from './page.js'
import { publicPath } from './site.js'
import type { Visit } from './visit.js'

/** Asks before it signs out, because another site sent the browser here. The answer is a same-origin POST. */
export function confirmLogout({ res, services: { site } }: Visit): void {
  const { logout } = site.routes
  const action = logout === false ? '/' : publicPath(site, logout)
  setPrivateHeaders(res)
  res.setHeader('Content-Security-Policy', pagePolicy({ forms: true }))
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
