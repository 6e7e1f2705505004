import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseCookie, stringifySetCookie } from 'cookie'
import { beforeHeaders } from './before-headers.js'
import { addVary, type HttpResponse } from './node-http.js'

/** Cookies of a request. Names are compared as they were sent, never decoded, so that `__%48ost-` is not `__Host-`. */
export type Cookies = Readonly<Record<string, string | undefined>>

/** The attributes we use. Path is always `/` and Domain never set, which the `__Host-` prefix demands. */
export interface CookieAttributes {
  readonly secure: boolean
  readonly sameSite: 'lax' | 'none'
  /** Seconds. Left out: until the browser closes. */
  readonly maxAge?: number
}

/** Parses the Cookie header; of two cookies with one name the first wins. */
export function readCookies(req: IncomingMessage): Cookies {
  const { cookie } = req.headers
  return cookie === undefined ? {} : parseCookie(cookie)
}

/** All values of one name, in the order they were sent: a cookie of a longer path, which another site may have set, comes first. */
export function readCookieValues(req: IncomingMessage, name: string): readonly string[] {
  const { cookie } = req.headers
  // The most frequent case by far, and nothing to be parsed.
  if (!cookie?.includes(name)) return []
  const values: string[] = []
  for (const pair of cookie.split(';')) {
    const value = pair.includes(name) ? parseCookie(pair)[name] : undefined
    if (value !== undefined) values.push(value)
  }
  return values
}

/** Headers that make a shared cache keep a response whatever its `Cache-Control` says. */
const cacheHeaders = ['CDN-Cache-Control', 'Surrogate-Control', 'X-Accel-Expires']

/** The site may say something else about caching after the cookie was set, and it is the last word that counts. */
function forbidStorage(res: ServerResponse): void {
  for (const name of cacheHeaders) res.removeHeader(name)
  if (!/\bno-store\b/i.test(String(res.getHeader('Cache-Control') ?? ''))) res.setHeader('Cache-Control', 'no-store')
}

const watched = new WeakSet<ServerResponse>()

/** Adds a cookie to the response, in place of one of that name (RFC 6265 section 4.1.1). No cache may store the response then. */
export function setCookie(res: ServerResponse, name: string, value: string, attributes: CookieAttributes): void {
  const others = [res.getHeader('Set-Cookie') ?? []].flat().filter(cookie => !String(cookie).startsWith(`${name}=`))
  const cookie = stringifySetCookie({ name, value, path: '/', httpOnly: true, ...attributes })
  res.setHeader('Set-Cookie', [...others.map(String), cookie])
  forbidStorage(res)
  if (watched.has(res)) return
  watched.add(res)
  beforeHeaders(res, () => forbidStorage(res))
}

/** Removes a cookie, with the attributes it was set with: browsers ignore the removal of a `__Host-` cookie without Secure. */
export function clearCookie(res: ServerResponse, name: string, attributes: CookieAttributes): void {
  setCookie(res, name, '', { ...attributes, maxAge: 0 })
}

/** The name with the prefix that keeps sibling hosts and plain http from planting it. Only a Secure cookie may carry it. */
export function hostCookieName(name: string, secure: boolean): string {
  return secure ? `__Host-${name}` : name
}

/** Tells caches that the response depends on the cookie of the request. */
export function varyByCookie(res: HttpResponse): void {
  if (res.headersSent) return
  const vary = res.getHeader('Vary')
  // Mostly there is no such header yet, or ours, and nothing to be merged.
  if (vary === undefined) res.setHeader('Vary', 'Cookie')
  else if (vary !== 'Cookie') addVary(res, 'Cookie')
}
