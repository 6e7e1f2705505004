import { createHash } from 'node:crypto'
import { buildPage, escapeHtml, pagePolicy } from '../http/page.js'
import { pageTextsFor } from '../http/page-texts.js'
import type { RequestContext } from '../http/request-context.js'
import { setPrivateHeaders } from '../http/response.js'
import { publicPath } from '../options/config.js'
import { keepOpener } from './popup.js'

/**
 * Tells the page that opened the window, and no page of another origin. Where the pages of the provider have cut the window off from its opener
 * (`Cross-Origin-Opener-Policy`), other windows of this site hear of it by a channel.
 */
const script = `
const message = JSON.parse(document.querySelector('main > p').dataset.message)
if (opener) opener.postMessage(message, location.origin)
new BroadcastChannel(message.type).postMessage(message)
close()
`

const scriptHash = createHash('sha256').update(script).digest('base64')

/** `GET` of `routes.popup`, in a window that a page of this site has opened: the end of a sign-in there. */
export async function endPopup(context: RequestContext): Promise<void> {
  const { req, res, services } = context
  const isAuthenticated = context.ticket() !== undefined
  const handle = context.handle()
  const message = JSON.stringify({ type: 'oidc-sign-in', isAuthenticated, ...(handle !== undefined && { handle }) })
  const texts = await pageTextsFor(services.config, req, res)
  const text = isAuthenticated ? texts.closeWindow : texts.notSignedIn
  const start = publicPath(services.config, '/')
  setPrivateHeaders(res)
  keepOpener(context)
  res.setHeader('Content-Security-Policy', pagePolicy({ scriptHash }))
  res.setHeader('Content-Type', 'text/html; charset=utf-8')
  res.end(
    buildPage({
      language: texts.language,
      title: isAuthenticated ? texts.popupSignedIn : texts.popupSignedOut,
      body: `<p data-message="${escapeHtml(message)}">${escapeHtml(text)}</p>\n<a href="${escapeHtml(start)}">${escapeHtml(texts.startPage)}</a>\n<script>${script}</script>`,
    }),
  )
}
