import { OidcError } from '../errors.js'
import { hostCookieName } from '../http/cookies.js'
import { pathOf, queryOf } from '../http/node-http.js'
import type { RequestContext } from '../http/request-context.js'
import { redirect } from '../http/response.js'
import { returnToInHead } from '../http/return-to.js'
import type { BrowserBinding } from '../http/transaction-cookie.js'
import { type Config, epochSeconds, publicPath } from '../options/config.js'

/** Seconds after a sign-in in which another one looks like a circle. */
const CIRCLE_TIME = 30

/** Sign-ins in a row after which the next is refused, where the session lives and the browser did not send it. */
const MAX_LOST = 2

/** The same, where the session has ended: another reason than a cookie, and it may be a good one. */
const MAX_ENDED = 8

/**
 * How many sign-ins in a row ended without a session in the next request. A page that requires a sign-in and a provider that responds without
 * asking would otherwise send the browser to and fro for ever.
 *
 * @throws {OidcError} ERR_OIDC_COOKIE_NOT_KEPT when it is a circle
 */
export async function countRounds(context: RequestContext): Promise<number> {
  const { services, req, res } = context
  const { config, transactionCookie } = services
  const binding = transactionCookie.read(req, res)
  if (typeof binding !== 'object' || context.ticket() !== undefined || !isRecent(config, binding)) return 0
  const rounds = (binding.rounds ?? 0) + 1
  if (rounds < MAX_LOST) return rounds
  const isLost =
    !services.sessionBinding.idsOf(req).includes(binding.sessionId ?? '') && (await isAlive(context, binding))
  if (rounds < (isLost ? MAX_LOST : MAX_ENDED)) return rounds
  const cause = isLost ? `the cookie ${nameOf(config)} did not come back` : 'the session had ended'
  throw new OidcError(
    'ERR_OIDC_COOKIE_NOT_KEPT',
    `${rounds} sign-ins in a row were finished, and each time ${cause} in the next request${isLost ? `; ${adviceFor(config)}` : ''}`,
  )
}

function isRecent(config: Config, { signedInAt = 0 }: BrowserBinding): boolean {
  return epochSeconds(config) - signedInAt <= CIRCLE_TIME
}

async function isAlive({ services: { store } }: RequestContext, { sessionId }: BrowserBinding): Promise<boolean> {
  if (sessionId === undefined) return false
  const record = await store.load(sessionId, { extend: false }).catch(() => undefined)
  return record?.ticket() !== undefined
}

function nameOf({ session, secure }: Config): string {
  return session === false ? 'of express-session' : `"${hostCookieName(session.cookieName, secure)}"`
}

function adviceFor({ session }: Config): string {
  return session === false
    ? 'does it have secure: true without app.set("trust proxy"), or SameSite=Strict?'
    : 'does a proxy remove it, or does the site run on another host than "baseUrl"?'
}

/**
 * Where a sign-in failed because a cookie was missing, "Start again" asks by `retry` to look first whether the browser keeps cookies: it
 * gets one and comes back at once, before the provider is asked. `false`: the response has been sent.
 *
 * @throws {OidcError} ERR_OIDC_COOKIE_NOT_KEPT
 */
export function checkCookiesAreKept(context: RequestContext, returnTo: string): boolean {
  const { req, res, services } = context
  const retry = queryOf(req).get('retry') ?? undefined
  if (retry === undefined || typeof services.transactionCookie.read(req, res) === 'object') return true
  if (retry === '2') {
    const error = new OidcError(
      'ERR_OIDC_COOKIE_NOT_KEPT',
      'the browser did not send back the cookie that was set just before',
    )
    error.returnTo = returnTo
    throw error
  }
  services.transactionCookie.prepare(req, res).keep()
  redirect(
    res,
    `${publicPath(services.config, pathOf(req))}?${new URLSearchParams({ returnTo: returnToInHead(services.config, returnTo), retry: '2' })}`,
  )
  return false
}
