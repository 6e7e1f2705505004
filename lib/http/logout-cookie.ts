import { hash, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Config } from '../options/config.js'
import { isSameSecret } from '../protocol/constant-time.js'
import type { Sealer } from '../store/seal.js'
import { type CookieAttributes, clearCookie, hostCookieName, readCookies, setCookie } from './cookies.js'
import { onlyParameter, queryOf } from './node-http.js'
import { readReturnTo, returnToInHead } from './return-to.js'

/** Seconds a user may take to confirm at the provider. */
const lifetime = 15 * 60

/** Remembers, in the browser, where a sign-out goes after the provider. It returns by a GET, where a Lax cookie is enough. */
export interface LogoutCookie {
  /** A new `state`. */
  create(): string
  /** Keeps where to go, and the `state` that has to come back. */
  save(res: ServerResponse, content: { readonly state: string; readonly returnTo: string }): void
  /** Where to go, if the state of this request is the one that was sent. Another one takes nothing away. */
  take(req: IncomingMessage, res: ServerResponse): string | undefined
}

export function createLogoutCookie(config: Config, sealer: Sealer): LogoutCookie {
  // Sites on other ports and paths of this host share its cookies: each has a name of its own.
  const realm = hash('sha256', JSON.stringify([config.issuer, config.clientId, config.baseUrl]), 'base64url').slice(
    0,
    10,
  )
  const name = hostCookieName(`oidc.logout.${realm}`, config.secure)
  const attributes: CookieAttributes = { secure: config.secure, sameSite: 'lax', maxAge: lifetime }
  return {
    create: () => randomBytes(32).toString('base64url'),
    save(res, { state, returnTo }) {
      const sealed = sealer
        .seal('logout', name, JSON.stringify({ state, returnTo: returnToInHead(config, returnTo) }))
        .toString('base64url')
      setCookie(res, name, sealed, attributes)
    },
    take(req, res) {
      const sealed = readCookies(req)[name]
      const opened = sealed && sealer.open('logout', name, Buffer.from(sealed, 'base64url'))
      if (!opened) return undefined
      const { state, returnTo } = JSON.parse(opened.toString()) as { state: string; returnTo: string }
      const returned = onlyParameter(queryOf(req), 'state')
      if (returned === undefined || !isSameSecret(state, returned)) return undefined
      clearCookie(res, name, attributes)
      return readReturnTo(config, returnTo)
    },
  }
}
