import type { IncomingMessage, ServerResponse } from 'node:http'
import { type CookieAttributes, clearCookie, hostCookieName, readCookieValues, setCookie } from '../http/cookies.js'
import { requestState } from '../http/request-state.js'
import type { Config, SessionPolicy } from '../options/config.js'
import { REMEMBERED } from '../store/expired-sessions.js'
import type { Sealer } from '../store/seal.js'
import type { CookieLifetime } from '../store/session-cookie-lifetime.js'

/** Whose session a cookie leads to. Each kind has a name of its own, so that neither response can overwrite the other's cookie. */
export type SessionKind = 'user' | 'anonymous'

/** A session id that a request came with. */
export interface CookieSession {
  readonly id: string
  readonly kind: SessionKind
}

/** The cookie of a session: a random id and a MAC that keeps guesses away from Redis. It says nothing about the user. */
export interface SessionCookie {
  /** The session ids of a request whose cookies carry our MAC, that of a signed-in user first. */
  read(req: IncomingMessage): readonly CookieSession[]
  /** Whether a request came with the cookie of a signed-in user, and none of its values is ours. */
  isUnreadable(req: IncomingMessage): boolean
  /** @param wanted how long the site wants it to live; default: as the options say */
  write(res: ServerResponse, session: CookieSession, wanted?: CookieLifetime): void
  clear(res: ServerResponse, kind: SessionKind): void
}

/** Cookies of one name that are looked at: a browser sends one, and those that another site has planted. */
const mostValues = 4

export function createSessionCookie(config: Config, policy: SessionPolicy, sealer: Sealer): SessionCookie {
  const { secure, lifetime, routes } = config
  const names: Readonly<Record<SessionKind, string>> = {
    user: hostCookieName(policy.cookieName, secure),
    anonymous: hostCookieName(`${policy.cookieName}.anonymous`, secure),
  }
  const attributes: CookieAttributes = { secure, sameSite: 'lax' }
  // A cookie that went with its session would leave a form that was posted after it without its user.
  const overtime = routes.keptForm === false ? 0 : REMEMBERED
  function readKind(req: IncomingMessage, kind: SessionKind): readonly CookieSession[] {
    const values = readCookieValues(req, names[kind])
    if (values.length === 0) return []
    const ids = values.slice(0, mostValues).map(value => sealer.verifyId(value))
    return ids.filter(id => id !== undefined).map(id => ({ id, kind }))
  }

  return {
    /** A request is asked several times. Another instance of the middleware has other names, and the site may change the header. */
    read(req) {
      const { cookie: header } = req.headers
      if (header === undefined) return []
      const state = requestState(req)
      if (state.presented?.by === names && state.presented.header === header)
        return state.presented.sessions as readonly CookieSession[]
      const sessions = [...readKind(req, 'user'), ...readKind(req, 'anonymous')]
      state.presented = { by: names, header, sessions }
      return sessions
    },
    isUnreadable: req => readCookieValues(req, names.user).length > 0 && readKind(req, 'user').length === 0,
    write(res, { id, kind }, wanted = { maxAge: policy.persistent ? lifetime : undefined }) {
      const seconds =
        wanted.maxAge === undefined ? undefined : Math.max(0, Math.min(Math.ceil(wanted.maxAge), lifetime))
      const more = kind === 'user' && seconds !== 0 ? overtime : 0
      const maxAge = seconds === undefined ? {} : { maxAge: seconds + more }
      setCookie(res, names[kind], sealer.signId(id), { ...attributes, ...maxAge })
    },
    clear: (res, kind) => clearCookie(res, names[kind], attributes),
  }
}
