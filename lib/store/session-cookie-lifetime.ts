import type { Cookie, SessionData } from 'express-session'

/** What the site has said about how long a session and its cookie live, by `req.session.cookie.maxAge` or `expires`. */
export interface CookieLifetime {
  /** Seconds from now; `undefined` where the cookie is to end with the browser. */
  readonly maxAge: number | undefined
}

/** What `req.session.cookie` said before the site could change it. */
export interface InitialCookie {
  readonly cookie: SessionData['cookie'] | Cookie
  /** As a number, because a date can be changed in place. Milliseconds since the epoch, or `undefined`. */
  readonly expires: number | undefined
}

/** Milliseconds by which `originalMaxAge` differs where `touch()` has computed it from a date. */
const ROUNDING = 50

export function captureCookie(cookie: SessionData['cookie'] | Cookie): InitialCookie {
  return { cookie, expires: timeOf(cookie.expires) }
}

/**
 * What the site has changed. `undefined`: nothing, which `touch()` counts as, too. A date that is no date is nothing.
 *
 * @param usual - `originalMaxAge` of a cookie that was not changed, in milliseconds
 */
export function changedLifetime(
  initial: InitialCookie,
  cookie: SessionData['cookie'] | undefined,
  usual: number | null,
): CookieLifetime | undefined {
  const expires = timeOf(cookie?.expires)
  if (cookie === undefined || expires === initial.expires || Number.isNaN(expires)) return undefined
  if (expires === undefined) return { maxAge: undefined }
  const { originalMaxAge } = cookie
  if (usual !== null && originalMaxAge !== null && Math.abs(originalMaxAge - usual) <= ROUNDING) return undefined
  return { maxAge: (expires - Date.now()) / 1000 }
}

function timeOf(expires: unknown): number | undefined {
  return expires instanceof Date ? expires.getTime() : undefined
}

const FIXED = ['httpOnly', 'secure', 'sameSite', 'path', 'domain', 'partitioned', 'priority'] as const

/** Attributes that the site has changed, which has no effect. */
export function changedAttributes(cookie: SessionData['cookie'] | undefined, usual: object): readonly string[] {
  if (cookie === undefined) return []
  const expected: Readonly<Record<string, unknown>> = { httpOnly: true, path: '/', ...usual }
  return FIXED.filter(name => (cookie as unknown as Record<string, unknown>)[name] !== expected[name])
}
