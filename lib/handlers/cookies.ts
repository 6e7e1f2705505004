import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseCookie, stringifySetCookie } from 'cookie'
import type { Response } from 'express'

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

/** Adds a cookie to the answer. An answer that sets a cookie must not be stored by anybody. */
export function setCookie(res: ServerResponse, name: string, value: string, attributes: CookieAttributes): void {
  res.appendHeader('Set-Cookie', stringifySetCookie({ name, value, path: '/', httpOnly: true, ...attributes }))
  res.setHeader('Cache-Control', 'no-store')
}

/** Removes a cookie, with the attributes it was set with: browsers ignore the removal of a `__Host-` cookie without Secure. */
export function clearCookie(res: ServerResponse, name: string, attributes: CookieAttributes): void {
  setCookie(res, name, '', { ...attributes, maxAge: 0 })
}

/** The name with the prefix that keeps sibling hosts and plain http from planting it. Only a Secure cookie may carry it. */
export function hostCookieName(name: string, secure: boolean): string {
  return secure ? `__Host-${name}` : name
}

/** Says to caches that the answer depends on who asks. */
export function varyByCookie(res: Response): void {
  if (res.headersSent) return
  const vary = res.getHeader('Vary')
  // Mostly there is no such header yet, or ours, and nothing to be merged.
  if (vary === undefined) res.setHeader('Vary', 'Cookie')
  else if (vary !== 'Cookie') res.vary('Cookie')
}
