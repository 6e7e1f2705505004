import type { IncomingMessage } from 'node:http'
import type { Config } from '../options/config.js'
import { isPosted } from '../protocol/response-mode.js'
import { fingerprint } from '../protocol/transaction.js'
import { type CookieAttributes, hostCookieName, readCookies, setCookie } from './cookies.js'
import { type HttpResponse, queryOf } from './node-http.js'

/** Says in the address of a page what the cookie cannot say in a browser that keeps none. */
const PARAMETER = 'oidc_silent'

/**
 * Whether this browser session has had its silent sign-in. The cookie ends with the browser. It holds no secret, and who sets it by hand only
 * stays signed out.
 */
export interface SilentCookie {
  /** Whether the cookie came along, or the address says that the browser keeps none. */
  isAsked(req: IncomingMessage): boolean
  /** No other silent sign-in in this browser session. Sets nothing where that is known. */
  markAsked(req: IncomingMessage, res: HttpResponse): void
  /** The page to land on: as it is, or, for a browser that did not keep the cookie, with a parameter in its place. */
  returnPage(req: IncomingMessage, path: string): string
}

export function createSilentCookie(config: Config): SilentCookie {
  // As the cookie that binds a browser: it has to come along with the response of the provider, whose POST is cross-site.
  const isCrossSite = isPosted(config.responseMode)
  const attributes: CookieAttributes = {
    secure: config.secure || isCrossSite,
    sameSite: isCrossSite ? 'none' : 'lax',
  }
  const identity = fingerprint([config.issuer, config.clientId, config.baseUrl].join('\n'), 10)
  const name = hostCookieName(`oidc.silent.${identity}`, attributes.secure)
  const isKept = (req: IncomingMessage) => readCookies(req)[name] !== undefined

  return {
    isAsked: req => isKept(req) || queryOf(req).has(PARAMETER),
    markAsked(req, res) {
      if (!isKept(req) && !res.headersSent) setCookie(res, name, '1', attributes)
    },
    returnPage(req, path) {
      if (isKept(req)) return path
      const url = new URL(path, config.baseUrl)
      url.searchParams.set(PARAMETER, '0')
      return url.pathname + url.search + url.hash
    },
  }
}
