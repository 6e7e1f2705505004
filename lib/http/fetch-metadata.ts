import type { IncomingMessage } from 'node:http'

/** The methods a browser navigates with: links and forms. HTML section 4.10.21.3. */
const navigating: readonly unknown[] = ['GET', 'POST']

/**
 * Whether this request is a page navigation, whose response the user sees, as opposed to a script's call, an image, a
 * prefetch or a program. Only such a request may be sent to the provider. HEAD, OPTIONS and TRACE are safe methods (RFC 9110 section
 * 9.2.1): they start no sign-in and set no cookie, whatever their headers say.
 */
export function isNavigation(req: IncomingMessage & { originalMethod?: unknown }): boolean {
  // The package `method-override` makes PUT and DELETE of a posted form, and keeps the method of the browser in `originalMethod`.
  return navigating.includes(req.originalMethod ?? req.method) && asksForPage(req)
}

/**
 * The same by the headers alone. Fetch Metadata says it plainly; without it (old browsers, plain http on a foreign host)
 * `X-Requested-With: XMLHttpRequest` and `Accept` have to do.
 *
 * A frame counts as a script: providers show their sign-in page in no frame, and a page of thirty frames would start thirty sign-ins.
 */
export function asksForPage(req: IncomingMessage): boolean {
  const { headers } = req
  if (isFetchedAhead(req)) return false
  const mode = headers['sec-fetch-mode']
  if (mode !== undefined) return mode === 'navigate' && isPage(req)
  return !isByScript(req) && acceptsHtml(req)
}

function isPage(req: IncomingMessage): boolean {
  const destination = req.headers['sec-fetch-dest']
  if (destination === undefined || destination === 'document') return true
  return isByServiceWorker(req) && acceptsHtml(req)
}

/**
 * Whether a service worker has handed on a navigation, `fetch(event.request)`, which makes its destination empty. The mode stays, and no
 * script can ask for it otherwise (Fetch, section 5.4). Nothing tells the navigation of a frame from that of a page then.
 */
export function isByServiceWorker({ headers }: IncomingMessage): boolean {
  return headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'empty'
}

/**
 * Whether the user has submitted a form by POST, in a page and not in a frame. Only Fetch Metadata counts: scripts and programs that post
 * expect a redirect.
 */
export function isSubmittedForm(req: IncomingMessage & { originalMethod?: unknown }): boolean {
  const method = req.originalMethod ?? req.method
  return method === 'POST' && req.headers['sec-fetch-mode'] === 'navigate' && !isFrame(req)
}

/**
 * Whether a page of this very origin has posted the form. `Origin` decides only where there is no Fetch Metadata: `Referrer-Policy: no-referrer`, the
 * default of helmet, makes it `null` for the forms of the site itself.
 */
export function isOwnForm({ headers }: IncomingMessage, baseUrl: string): boolean {
  const site = headers['sec-fetch-site']
  return site === undefined ? headers.origin === new URL(baseUrl).origin : site === 'same-origin'
}

/** Whether a browser has posted a form: the method of the browser, which the package `method-override` keeps. */
export function isPostedForm(req: IncomingMessage & { originalMethod?: unknown }): boolean {
  return (req.originalMethod ?? req.method) === 'POST' && isNavigation(req)
}

function acceptsHtml({ headers }: IncomingMessage): boolean {
  return headers.accept?.includes('text/html') ?? false
}

/** jQuery and others say `XMLHttpRequest`. An Android WebView says the name of its app in the same header, for pages too. */
function isByScript({ headers }: IncomingMessage): boolean {
  return String(headers['x-requested-with']).toLowerCase() === 'xmlhttprequest'
}

/**
 * Whether a program without a page asks, such as `curl` or a test: it accepts anything, and says nothing that a browser says about where a
 * request comes from. Scripts and images of a page, also in browsers without Fetch Metadata, have a `Referer` or accept less.
 */
export function isPlainClient(req: IncomingMessage): boolean {
  const { method, headers } = req
  const told = ['sec-fetch-mode', 'sec-fetch-dest', 'sec-fetch-site', 'x-requested-with', 'origin', 'referer']
  const accepts = headers.accept ?? '*/*'
  return (
    method === 'GET' && accepts === '*/*' && !isFetchedAhead(req) && told.every(name => headers[name] === undefined)
  )
}

const frames: ReadonlySet<string> = new Set(['iframe', 'frame', 'embed', 'object', 'fencedframe'])

/** Whether the response is shown within another page. */
export function isFrame({ headers }: IncomingMessage): boolean {
  return frames.has(String(headers['sec-fetch-dest']))
}

/**
 * Whether another site made the browser send this request. `same-site` counts as ours, as SameSite cookies do. A browser
 * without Fetch Metadata is judged by Origin or Referer; one that sends neither is not trusted.
 */
export function isCrossSite(req: IncomingMessage, baseUrl: string): boolean {
  const { headers } = req
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site === 'cross-site'
  const from = headers.origin ?? headers.referer
  return !(from !== undefined && URL.canParse(from) && new URL(from).origin === new URL(baseUrl).origin)
}

/**
 * Whether a request that signs out was made by this site or typed in, and meant as what it is. A GET has to be a page navigation as
 * well, because a prefetch, or an image that an attacker placed in a page of this site, is a same-origin request, too. A POST without any sign of
 * where it comes from comes from no browser: browsers add `Origin`.
 */
export function isOwnRequest(req: IncomingMessage, baseUrl: string): boolean {
  const { method, headers } = req
  if (method === 'POST' && headers['sec-fetch-site'] === undefined && headers.origin === undefined) return true
  if (isCrossSite(req, baseUrl)) return false
  return method === 'POST' || !isSubresource(req)
}

function isSubresource(req: IncomingMessage): boolean {
  return isFetchedAhead(req) || (req.headers['sec-fetch-mode'] ?? 'navigate') !== 'navigate'
}

/**
 * Whether the browser fetches or renders a page before the user asks for it. `Sec-Purpose` is the standard's header (Fetch, section
 * 2.2.5); the others are of older Chromium and Safari, and of older Firefox.
 */
export function isFetchedAhead({ headers }: IncomingMessage): boolean {
  return [headers['sec-purpose'], headers.purpose, headers['x-purpose'], headers['x-moz']].some(
    value => typeof value === 'string' && /\b(prefetch|prerender|preview)\b/i.test(value),
  )
}

/** Whether the response should be a page rather than JSON. */
export function prefersHtml(req: IncomingMessage): boolean {
  return (
    asksForPage(req) ||
    isFrame(req) ||
    (req.headers['sec-fetch-mode'] === undefined && /\btext\/html\b/.test(req.headers.accept ?? ''))
  )
}
