import { createHash } from 'node:crypto'
import { escapeHtml } from '../http/page.js'
import type { RequestContext } from '../http/request-context.js'
import { setPrivateHeaders } from '../http/response.js'

/**
 * Asks the provider's frame every few seconds and tells the embedding page once, by a message to this site's own origin:
 * `{ type: 'oidc-session', state: 'changed' | 'error' }`. Words from any other window or origin count for nothing. After an error nothing
 * more is asked, as the specification demands.
 */
const script = `
const provider = document.getElementById('provider')
const { origin } = new URL(provider.src)
let timer
const ask = () => provider.contentWindow.postMessage(provider.dataset.question, origin)
provider.addEventListener('load', () => {
  clearInterval(timer)
  timer = setInterval(ask, 5000)
  ask()
})
addEventListener('message', ({ source, origin: from, data }) => {
  if (source !== provider.contentWindow || from !== origin || (data !== 'changed' && data !== 'error')) return
  clearInterval(timer)
  parent.postMessage({ type: 'oidc-session', state: data }, location.origin)
})
`

const scriptHash = createHash('sha256').update(script).digest('base64')

/**
 * A page for a hidden frame on pages of this site, which notices that the session at the provider has changed. 204 where there is nothing to
 * watch: no user is signed in, or the provider takes no part in it. OpenID Connect Session Management 1.0 section 3.
 */
export async function checkSession(context: RequestContext): Promise<void> {
  const { res, services } = context
  const { config, provider } = services
  setPrivateHeaders(res)
  res.setHeader('X-Frame-Options', 'SAMEORIGIN')
  const sessionState = context.ticket()?.sessionState
  const frame = sessionState === undefined ? undefined : (await provider.metadata()).check_session_iframe
  if (sessionState === undefined || frame === undefined) {
    res.statusCode = 204
    res.end()
    return
  }
  res.setHeader('Content-Security-Policy', framePolicy(frame))
  res.setHeader('Content-Type', 'text/html; charset=utf-8')
  res.end(buildFramePage(frame, `${config.clientId} ${sessionState}`))
}

/** Our own script, the provider's frame, and nothing else; framed by this site only. */
function framePolicy(frame: string): string {
  const { origin } = new URL(frame)
  return `default-src 'none'; script-src 'sha256-${scriptHash}'; frame-src ${origin}; base-uri 'none'; frame-ancestors 'self'`
}

function buildFramePage(frame: string, question: string): string {
  return `<!doctype html>
<title>Session</title>
<iframe id="provider" hidden src="${escapeHtml(frame)}" data-question="${escapeHtml(question)}"></iframe>
<script>${script}</script>
`
}
