import { type CookieJar, isTrustworthy, siteOf } from './cookie-jar.js'
import { type HtmlForm, parseForms, parseRefresh } from './html-form.js'
import { type RawResponse, send } from './http-client.js'
import { keepSecret } from './secrets.js'

/** One request of a chain of redirects, with what went out and what came back. */
export interface Hop {
  readonly method: string
  readonly url: string
  readonly requestHeaders: Readonly<Record<string, string>>
  readonly requestBody: string | undefined
  readonly status: number
  readonly headers: RawResponse['headers']
  readonly setCookies: readonly string[]
  /** Absolute; `undefined` where the response was no redirect. */
  readonly location: string | undefined
}

export interface Page {
  /** Where the chain of redirects ended. */
  readonly url: string
  readonly status: number
  readonly headers: RawResponse['headers']
  readonly text: string
  readonly hops: readonly Hop[]
  readonly forms: readonly HtmlForm[]
  /** Where the page leads by itself (`<meta http-equiv="refresh">`). */
  readonly leadsTo: string | undefined
  /** Throws where the body is not JSON. */
  json<T = unknown>(): T
}

/** The page that causes a request. */
export interface Initiator {
  readonly url: string
  readonly referrerPolicy?: string | undefined
}

export interface Journey {
  readonly url: string
  readonly method: string
  readonly body?: string
  /** `undefined` when a person typed the address. */
  readonly initiator: Initiator | undefined
  readonly isTopLevel: boolean
  readonly sendsCookies: (url: string) => boolean
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly redirect: 'follow' | 'manual'
  readonly signal?: AbortSignal | undefined
}

const MOST_REDIRECTS = 20

/** Sends a request and those it is redirected to. */
export async function travel(jar: CookieJar, pending: Journey): Promise<Page> {
  const hops: Hop[] = []
  let { url, method, body } = pending
  for (;;) {
    const context = { method, isTopLevel: pending.isTopLevel, initiator: pending.initiator?.url }
    const visited = [...hops.map(hop => hop.url), url]
    const requestHeaders = buildHeaders(pending, method, body, visited)
    const cookie = pending.sendsCookies(url) ? jar.header(url, context) : undefined
    if (cookie !== undefined && !('cookie' in pending.headers)) requestHeaders.cookie = cookie
    const { signal } = pending
    const response = await send({
      url,
      method,
      headers: requestHeaders,
      ...(body !== undefined && { body }),
      ...(signal && { signal }),
    })
    for (const header of response.setCookies) {
      keepCookieSecret(header)
      if (pending.sendsCookies(url)) jar.set(url, header, context)
    }
    const location = redirectTarget(response, url)
    const { status, headers, setCookies } = response
    hops.push({ method, url, requestHeaders, requestBody: body, status, headers, setCookies, location })
    if (location === undefined || pending.redirect === 'manual') return buildPage(url, response, hops)
    if (hops.length > MOST_REDIRECTS) throw new Error(`More than ${MOST_REDIRECTS} redirects, last to ${location}`)
    // Fetch, "HTTP-redirect fetch": 303 always becomes GET, 301 and 302 turn POST into GET, 307 and 308 repeat.
    if (status === 303 ? method !== 'HEAD' : status < 303 && method === 'POST') {
      method = 'GET'
      body = undefined
    }
    url = location
  }
}

/** A cookie in a log gives its reader the session of the user. The session id is worth as much without its MAC. */
function keepCookieSecret(header: string): void {
  const [, name = '', value = ''] = /^([^=]*)=([^;]*)/.exec(header) ?? []
  if (value.length < 32) return
  keepSecret(`cookie ${name}`, value)
  const id = value.split('.', 1)[0] ?? ''
  if (id !== value && id.length >= 32) keepSecret(`session id of ${name}`, id)
}

function redirectTarget({ status, headers }: RawResponse, url: string): string | undefined {
  if (![301, 302, 303, 307, 308].includes(status) || headers.location === undefined) return undefined
  // Node reads header bytes as latin1; browsers read them as UTF-8.
  return new URL(Buffer.from(headers.location, 'latin1').toString(), url).href
}

function buildHeaders(pending: Journey, method: string, body: string | undefined, visited: readonly string[]) {
  const { initiator, headers: own } = pending
  const isNavigation = own['sec-fetch-mode'] === 'navigate'
  const url = visited.at(-1) ?? pending.url
  const headers: Record<string, string | undefined> = {
    ...(isTrustworthy(new URL(url)) && { 'sec-fetch-site': fetchSite(initiator?.url, visited) }),
    ...refererFor(initiator, visited),
    ...originFor(initiator, method, visited, isNavigation),
    ...own,
  }
  if (body === undefined) delete headers['content-type']
  return Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined)) as Record<
    string,
    string
  >
}

/** Fetch Metadata section 2.3: the relation to every URL of the chain counts, not only to the last. */
function fetchSite(initiator: string | undefined, visited: readonly string[]): string {
  if (initiator === undefined) return 'none'
  if (visited.some(url => siteOf(url) !== siteOf(initiator))) return 'cross-site'
  const { origin } = new URL(initiator)
  return visited.every(url => new URL(url).origin === origin) ? 'same-origin' : 'same-site'
}

/** Referrer Policy: `strict-origin-when-cross-origin` is the default; of the others only those that hide more are known. */
function refererFor(initiator: Initiator | undefined, visited: readonly string[]): Record<string, string> {
  if (initiator === undefined || visited.some(url => hidesReferrer(initiator, url))) return {}
  const { origin, protocol } = new URL(initiator.url)
  if (protocol === 'https:' && visited.some(url => !isTrustworthy(new URL(url)))) return {}
  // What a redirect to another origin has shortened stays short on the way back.
  const stayedHome = visited.every(url => new URL(url).origin === origin)
  return { referer: stayedHome ? initiator.url.replace(/#.*/, '') : `${origin}/` }
}

function hidesReferrer({ url: from, referrerPolicy }: Initiator, url: string): boolean {
  if (referrerPolicy === 'same-origin') return new URL(from).origin !== new URL(url).origin
  return referrerPolicy === 'no-referrer'
}

/** Fetch, "append a request Origin header". */
function originFor(
  initiator: Initiator | undefined,
  method: string,
  visited: readonly string[],
  isNavigation: boolean,
) {
  const isSafe = method === 'GET' || method === 'HEAD'
  if (initiator === undefined) return isSafe ? {} : { origin: 'null' }
  const { origin } = new URL(initiator.url)
  const crossesOrigin = visited.some(url => new URL(url).origin !== origin)
  if (isSafe && (isNavigation || !crossesOrigin)) return {}
  const isHidden = isNavigation && hidesReferrer(initiator, visited.at(-1) ?? '')
  return { origin: isHidden || isTainted(origin, visited) ? 'null' : origin }
}

/** A redirect from one foreign origin to another taints the origin of the request. */
function isTainted(origin: string, visited: readonly string[]): boolean {
  const origins = visited.map(url => new URL(url).origin)
  return origins.some((from, index) => from !== origin && index + 1 < origins.length && origins[index + 1] !== from)
}

function buildPage(url: string, { status, headers, text }: RawResponse, hops: readonly Hop[]): Page {
  const isHtml = headers['content-type']?.startsWith('text/html') ?? false
  return {
    url,
    status,
    headers,
    text,
    hops,
    forms: isHtml ? parseForms(text, url) : [],
    leadsTo: isHtml ? parseRefresh(text, url) : undefined,
    json: <T>() => JSON.parse(text) as T,
  }
}
