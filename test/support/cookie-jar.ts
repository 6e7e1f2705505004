/**
 * A cookie jar with a browser's rules: RFC 6265bis (storage model, prefixes, SameSite) as Chromium applies it. Left out on
 * purpose: the two minutes in which Chromium sends a cookie without SameSite attribute on a cross-site POST all the same,
 * because a site that works only during those two minutes does not work.
 */
export type SameSite = 'strict' | 'lax' | 'none'

export interface StoredCookie {
  readonly name: string
  readonly value: string
  readonly host: string
  readonly hostOnly: boolean
  readonly path: string
  readonly secure: boolean
  readonly httpOnly: boolean
  /** What the server asked for; `undefined` is treated as lax. */
  readonly sameSite: SameSite | undefined
  /** Milliseconds since the epoch; `undefined` for a cookie that ends with the browser. */
  readonly expires: number | undefined
  readonly createdAt: number
}

/** What a request is to the page (or the person) that caused it. */
export interface RequestContext {
  readonly method: string
  /** A page in a tab, as opposed to a frame or a `fetch()` within it. */
  readonly isTopLevel: boolean
  /** URL of the page that caused the request; `undefined` when a person typed the address. */
  readonly initiator: string | undefined
}

export interface RejectedCookie {
  readonly url: string
  readonly header: string
  readonly reason: string
}

export interface CookieJar {
  /** Takes a `Set-Cookie` header over, or notes in {@link rejected} why not. */
  set(url: string, header: string, context: RequestContext): void
  /** Value of the `Cookie` header, or `undefined` where nothing fits. */
  header(url: string, context: RequestContext): string | undefined
  /** The cookies that would be sent with a request from the site's own page, in that order. */
  list(url: string): readonly StoredCookie[]
  all(): readonly StoredCookie[]
  remove(name: string): void
  clear(): void
  readonly rejected: readonly RejectedCookie[]
}

/** `now` in milliseconds. */
export function createCookieJar(now: () => number = Date.now): CookieJar {
  const cookies = new Map<string, StoredCookie>()
  const rejected: RejectedCookie[] = []
  let counter = 0

  function living(): StoredCookie[] {
    const time = now()
    for (const [key, { expires }] of cookies) if (expires !== undefined && expires <= time) cookies.delete(key)
    return [...cookies.values()]
  }

  function matching(url: string): StoredCookie[] {
    const target = new URL(url)
    return living()
      .filter(cookie => (cookie.hostOnly ? cookie.host === target.hostname : isWithin(target.hostname, cookie.host)))
      .filter(cookie => isPathWithin(target.pathname, cookie.path))
      .filter(cookie => !cookie.secure || isTrustworthy(target))
      .sort((a, b) => b.path.length - a.path.length || a.createdAt - b.createdAt)
  }

  return {
    rejected,
    set(url, header, context) {
      const parsed = parseCookie(header, new URL(url), now())
      const reason = typeof parsed === 'string' ? parsed : refuseByContext(parsed, url, context)
      if (typeof parsed === 'string' || reason) {
        rejected.push({ url, header, reason: reason ?? '' })
        return
      }
      const key = JSON.stringify([parsed.host, parsed.hostOnly, parsed.path, parsed.name])
      const createdAt = cookies.get(key)?.createdAt ?? counter++
      cookies.set(key, { ...parsed, createdAt })
    },
    header(url, context) {
      const sent = matching(url).filter(cookie => allowsSending(cookie, url, context))
      return sent.length === 0 ? undefined : sent.map(({ name, value }) => `${name}=${value}`).join('; ')
    },
    list: matching,
    all: living,
    remove(name) {
      for (const [key, cookie] of cookies) if (cookie.name === name) cookies.delete(key)
    },
    clear: () => cookies.clear(),
  }
}

/** Scheme and registrable host; ports do not matter. Without a public suffix list: the last two labels. */
export function siteOf(url: string): string {
  const { protocol, hostname } = new URL(url)
  const isAddress = hostname.startsWith('[') || /^[\d.]+$/.test(hostname)
  return `${protocol}//${isAddress ? hostname : hostname.split('.').slice(-2).join('.')}`
}

/** https, or a loopback host, which browsers trust as much. */
export function isTrustworthy({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || /(^|\.)localhost$|^127\.\d+\.\d+\.\d+$|^\[::1\]$/.test(hostname)
}

function isCrossSite(url: string, { initiator }: RequestContext): boolean {
  return initiator !== undefined && siteOf(initiator) !== siteOf(url)
}

/** RFC 6265bis section 5.8.3. */
function allowsSending({ sameSite }: StoredCookie, url: string, context: RequestContext): boolean {
  if (sameSite === 'none' || !isCrossSite(url, context)) return true
  return sameSite !== 'strict' && context.isTopLevel && /^(GET|HEAD|OPTIONS|TRACE)$/.test(context.method)
}

/** A tab that goes somewhere may store any cookie, whatever the method; a frame or a fetch from elsewhere only `None`. */
function refuseByContext({ sameSite }: StoredCookie, url: string, context: RequestContext): string | undefined {
  if (sameSite === 'none' || context.isTopLevel || !isCrossSite(url, context)) return undefined
  return 'SameSite cookie in a response to a cross-site request'
}

/** The cookie, or the reason why a browser drops it. */
function parseCookie(header: string, url: URL, now: number): StoredCookie | string {
  const [pair = '', ...rest] = header.split(';')
  const at = pair.indexOf('=')
  const name = (at === -1 ? '' : pair.slice(0, at)).trim()
  const value = pair.slice(at + 1).trim()
  const attributes = parseAttributes(rest)
  const { domain, path, samesite: sameSite } = attributes
  const cookie: StoredCookie = {
    name,
    value,
    host: domain || url.hostname,
    // A browser keeps `Domain=localhost` on localhost as a cookie of that host alone.
    hostOnly: !domain || (domain === url.hostname && !domain.includes('.')),
    path: path?.startsWith('/') ? path : defaultPath(url.pathname),
    secure: attributes.secure !== undefined,
    httpOnly: attributes.httponly !== undefined,
    sameSite: isSameSite(sameSite) ? sameSite : undefined,
    expires: parseExpiry(attributes, now),
    createdAt: 0,
  }
  return refuse(cookie, domain, path, url) ?? cookie
}

function parseAttributes(parts: readonly string[]): Record<string, string | undefined> {
  const attributes: Record<string, string> = {}
  for (const part of parts) {
    const [name = '', ...value] = part.split('=')
    const key = name.trim().toLowerCase()
    const text = value.join('=').trim()
    if (text.length > 1024) continue
    const isCaseless = key === 'domain' || key === 'samesite'
    attributes[key] = isCaseless ? text.toLowerCase().replace(/^\./, '') : text
  }
  return attributes
}

function isSameSite(text: string | undefined): text is SameSite {
  return text === 'strict' || text === 'lax' || text === 'none'
}

function parseExpiry(attributes: Record<string, string | undefined>, now: number): number | undefined {
  const maxAge = attributes['max-age']
  if (maxAge !== undefined && /^-?\d+$/.test(maxAge)) return Number(maxAge) <= 0 ? 0 : now + Number(maxAge) * 1000
  const expires = Date.parse(attributes.expires ?? '')
  return Number.isNaN(expires) ? undefined : expires
}

/** RFC 6265bis section 5.7, in its order. */
function refuse(cookie: StoredCookie, domain: string | undefined, path: string | undefined, url: URL) {
  const { name, value, secure, sameSite } = cookie
  if (name === '' && value === '') return 'neither name nor value'
  if (name.length + value.length > 4096) return 'longer than 4096 characters'
  if (hasControlCharacter(name + value)) return 'control character'
  if (domain && !isWithin(url.hostname, domain)) return 'Domain does not cover the host'
  if (domain && domain !== url.hostname && !domain.includes('.')) return 'Domain is a public suffix'
  if (secure && !isTrustworthy(url)) return 'Secure over plain http'
  if (sameSite === 'none' && !secure) return 'SameSite=None without Secure'
  return refuseByPrefix(cookie, domain, path)
}

function refuseByPrefix({ name, value, secure }: StoredCookie, domain: string | undefined, path: string | undefined) {
  const lowerName = name.toLowerCase()
  if (name === '' && /^__(secure|host)-/i.test(value)) return 'prefix in a cookie without a name'
  if (lowerName.startsWith('__secure-') && !secure) return '__Secure- without Secure'
  if (!lowerName.startsWith('__host-')) return undefined
  if (!secure) return '__Host- without Secure'
  if (domain) return '__Host- with Domain'
  return path === '/' ? undefined : '__Host- without Path=/'
}

function hasControlCharacter(text: string): boolean {
  return [...text].some(character => character < ' ' || character === '\x7f')
}

/** RFC 6265bis section 5.1.3; an IP address has no subdomains. */
function isWithin(hostname: string, domain: string): boolean {
  return hostname === domain || (hostname.endsWith(`.${domain}`) && !/^[\d.]+$/.test(hostname))
}

/** RFC 6265bis section 5.1.4. */
function defaultPath(pathname: string): string {
  const end = pathname.lastIndexOf('/')
  return end <= 0 ? '/' : pathname.slice(0, end)
}

function isPathWithin(pathname: string, path: string): boolean {
  return pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`)
}
