import { createHash } from 'node:crypto'
import type { Config } from '../options/config.js'
import type { PageTexts } from './languages/en.js'
import type { HttpRequest, HttpResponse } from './node-http.js'
import { buildPage, escapeHtml, pagePolicy } from './page.js'
import { pageTextsFor } from './page-texts.js'
import { redirect, setPrivateHeaders } from './response.js'

/**
 * Characters. A longer address leaves by a form. IIS refuses a query of 2,048 bytes; nginx, with its defaults, returns 502 when the head of
 * a response is larger than 4,096 bytes, and the address shares that head with cookies and the site's own headers.
 */
const longestLocation = 2000

/** Bytes of the whole head of a response, the address included. It leaves room for what is added while the head is written. */
const largestHead = 3400

interface RedirectContext {
  readonly req: HttpRequest
  readonly res: HttpResponse
  readonly config: Pick<Config, 'pages'>
}

/** A request that the browser makes at the provider. */
export interface ProviderRedirect {
  /** The whole address: the endpoint and every parameter. */
  readonly location: string
  /** The endpoint as the provider publishes it. A query of its own stays in the address when the parameters are posted. */
  readonly endpoint: string
  /** What for: decides what the page says where one is needed, for a browser that runs no script. */
  readonly purpose: 'signIn' | 'signOut'
  /** Whether a page leads to the provider where a redirect would do, because the browser may not follow that one. Default `false`. */
  readonly byPage?: boolean
}

const script = 'document.forms[0].submit()'

const scriptHash = createHash('sha256').update(script).digest('base64')

/**
 * Sends the browser to the provider: by a redirect, or, where the address is too long for a proxy or for the provider, by a page with
 * a form that posts itself. The authorization endpoint and the end-session endpoint both take POST: OpenID Connect Core 1.0 section
 * 3.1.2.1, OpenID Connect RP-Initiated Logout 1.0 section 2.
 *
 * With `byPage` a page leads on:
 *
 * - To a submitted form, a redirect is part of the submission. Chromium and Safari compare it with `form-action` of the page that has
 *   the form (Content Security Policy Level 3 section 6.4.1), and helmet's default is `form-action 'self'`. The page begins a navigation of its own.
 * - What may be a frame would follow a redirect in the frame. The page is not shown there (`X-Frame-Options`), so that nothing in it runs.
 */
export async function sendToProvider(
  { req, res, config }: RedirectContext,
  destination: ProviderRedirect,
): Promise<void> {
  const { location, byPage = false } = destination
  const isShort = location.length <= longestLocation && headLength(res) + location.length <= largestHead
  if (isShort && !byPage) return redirect(res, location)
  const texts = await pageTextsFor(config, req, res)
  if (isShort) leadToProvider(res, destination, texts)
  else postToProvider(res, destination, texts)
}

/** What the response has gathered so far, as it will be written. */
function headLength(res: HttpResponse): number {
  let length = 0
  for (const [name, value] of Object.entries(res.getHeaders())) {
    for (const text of Array.isArray(value) ? value : [String(value)]) length += name.length + text.length + 4
  }
  return length
}

function leadToProvider(res: HttpResponse, { location, purpose }: ProviderRedirect, texts: PageTexts): void {
  const title = titleOf(purpose, texts)
  const body = `<a href="${escapeHtml(location)}">${escapeHtml(texts[purpose])}</a>`
  setPrivateHeaders(res)
  res.setHeader('Content-Security-Policy', pagePolicy())
  res.setHeader('Content-Type', 'text/html; charset=utf-8')
  res.statusCode = 200
  res.end(buildPage({ language: texts.language, title, refresh: location, body }))
}

function titleOf(purpose: ProviderRedirect['purpose'], { signingIn, signingOut }: PageTexts): string {
  return purpose === 'signIn' ? signingIn : signingOut
}

function postToProvider(res: HttpResponse, { location, endpoint, purpose }: ProviderRedirect, texts: PageTexts): void {
  const { action, fields } = splitAddress(location, endpoint)
  const inputs = fields.map(
    ([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`,
  )
  setPrivateHeaders(res)
  // With `no-referrer` the form would arrive with `Origin: null`, which a provider may take for a forgery.
  res.setHeader('Referrer-Policy', 'strict-origin')
  res.setHeader('Content-Security-Policy', pagePolicy({ formAction: formTargets(action), scriptHash }))
  res.setHeader('Content-Type', 'text/html; charset=utf-8')
  res.statusCode = 200
  res.end(
    buildPage({
      language: texts.language,
      title: titleOf(purpose, texts),
      body: `<form method="post" action="${escapeHtml(action)}">
${inputs.join('\n')}
<button type="submit">${escapeHtml(texts[purpose])}</button>
</form>
<script>${script}</script>`,
    }),
  )
}

/** What the endpoint has in its own query stays there (RFC 6749 section 3.1); everything else becomes a field. */
function splitAddress(
  location: string,
  endpoint: string,
): { readonly action: string; readonly fields: readonly (readonly [name: string, value: string])[] } {
  const action = new URL(endpoint)
  const kept = [...action.searchParams]
  const fields = [...new URL(location).searchParams].filter(([name, value]) => {
    const at = kept.findIndex(([keptName, keptValue]) => keptName === name && keptValue === value)
    if (at !== -1) kept.splice(at, 1)
    return at === -1
  })
  // A parameter of the endpoint that the request replaced.
  for (const [name] of kept) action.searchParams.delete(name)
  return { action: action.href, fields }
}

/**
 * Browsers apply `form-action` to redirects as well, and a provider may send the browser on to another identity provider, whose origin is
 * not known here. Plain http only where the provider itself uses it.
 */
function formTargets(action: string): string {
  const { origin, protocol } = new URL(action)
  return `'self' ${origin} https:${protocol === 'http:' ? ' http:' : ''}`
}
