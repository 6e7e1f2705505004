import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Sealer } from '../state/seal.js'
import { type CookieAttributes, clearCookie, hostCookieName, readCookies, setCookie } from './cookies.js'
import type { SessionPolicy, Site } from './site.js'

/** The one cookie of a session: a random id and a MAC that keeps guesses away from Redis. It says nothing about the person. */
export interface SessionCookie {
  /** The session id of a request, if its cookie carries our MAC. */
  read(req: IncomingMessage): string | undefined
  write(res: ServerResponse, id: string): void
  clear(res: ServerResponse): void
}

export function createSessionCookie(site: Site, policy: SessionPolicy, sealer: Sealer): SessionCookie {
  const { secure, lifetime } = site
  const name = hostCookieName(policy.cookieName, secure)
  const attributes: CookieAttributes = { secure, sameSite: 'lax' }
  return {
    read(req) {
      const value = readCookies(req)[name]
      return value === undefined ? undefined : sealer.verifyId(value)
    },
    write: (res, id) =>
      setCookie(res, name, sealer.signId(id), { ...attributes, ...(policy.persistent && { maxAge: lifetime }) }),
    clear: res => clearCookie(res, name, attributes),
  }
}
