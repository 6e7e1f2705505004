import { endQuietly } from '../diagnostics/publish.js'
import { OidcError } from '../errors.js'
import { isNavigation } from '../http/fetch-metadata.js'
import type { RequestContext } from '../http/request-context.js'
import { redirect } from '../http/response.js'
import { returnToOf } from '../http/return-to.js'
import { createSilentCookie, type SilentCookie } from '../http/silent-cookie.js'
import type { BrowserBinding } from '../http/transaction-cookie.js'
import type { Config } from '../options/config.js'
import { isSilentRefusal } from '../protocol/provider-error.js'
import type { Transaction } from '../protocol/transaction.js'
import { startLogin } from './login.js'

/** How a browser is asked for a sign-in that shows no page. */
export interface SilentLoginOptions {
  /** The name of the provider to ask, on a site with several. Default: the option `defaultProvider`. */
  readonly provider?: string
}

/** Robots and programs that make previews, as they name themselves. They keep no cookie, and a redirect is all they would index. */
const ROBOTS = /(?<!cu)bot\b|\bbot|crawler|spider|slurp|lighthouse|facebookexternalhit|\bpreview\b/i

const cookies = new WeakMap<Config, SilentCookie>()

/** Of the instance: which provider is asked makes no difference. */
function cookieOf({ services: { site } }: RequestContext): SilentCookie {
  const cookie = cookies.get(site) ?? createSilentCookie(site)
  cookies.set(site, cookie)
  return cookie
}

/**
 * Whether the browser is sent to the provider before it gets the page: only on the way to a page that the user sees, only once in a browser
 * session, and not after a sign-out. A session that was signed in counts as asked, so that its end is an end.
 */
export function wantsSilentLogin(context: RequestContext): boolean {
  const { req, res, services } = context
  if (req.method !== 'GET' || !isBrowserPage(context)) return false
  const cookie = cookieOf(context)
  if (cookie.isAsked(req)) return false
  const binding = services.transactionCookie.read(req, res)
  const isOver = typeof binding === 'object' && binding.signedOutAt !== undefined
  if (context.ticket() === undefined && !isOver) return true
  cookie.markAsked(req, res)
  return false
}

/** Every browser of the last years says that it navigates, so that what does not say so is a program or a robot. Fetch Metadata, section 2. */
function isBrowserPage({ req }: RequestContext): boolean {
  const { headers } = req
  return headers['sec-fetch-mode'] !== undefined && isNavigation(req) && !ROBOTS.test(headers['user-agent'] ?? '')
}

/**
 * Sends the browser to the provider with `prompt=none`, once. The page is what matters: where that cannot be done now, the result is `false`, and the
 * page is shown to a user who is not signed in. OpenID Connect Core 1.0 section 3.1.2.1.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS for a mistake of the site
 */
export async function attemptSilentLogin(context: RequestContext, options: SilentLoginOptions): Promise<boolean> {
  const { req, res, services } = context
  const { providers, rareLog } = services
  const provider = options.provider ?? providers?.defaultName
  if (providers !== undefined && provider === undefined)
    throw new OidcError(
      'ERR_OIDC_OPTIONS',
      'attemptSilentLogin: no provider was named; name one, or set the option defaultProvider',
    )
  // First, so that a provider that does not respond is asked once.
  cookieOf(context).markAsked(req, res)
  try {
    await startLogin(context, provider === undefined ? {} : { provider }, { silent: true })
    return true
  } catch (error) {
    if (!(error instanceof OidcError) || error.code === 'ERR_OIDC_OPTIONS' || res.headersSent) throw error
    rareLog(error.code, `a silent sign-in could not be started: ${error.code}: ${error.message}`, {
      level: 'warn',
      code: error.code,
    })
    return false
  }
}

/** The end of a silent sign-in without a user: the page that was asked for, and no page about an error, whatever has failed. */
export function landSignedOut(context: RequestContext, transaction: Transaction, error: OidcError): void {
  const { req, res, services } = context
  const { code, message, providerError } = error
  if (!isSilentRefusal(providerError))
    services.rareLog(code, `a silent sign-in has failed: ${code}: ${message}`, { level: 'warn', code })
  endQuietly(code)
  redirect(res, cookieOf(context).returnPage(req, returnToOf(services.config, transaction.returnTo)))
}

/** Whether the browser has a user: one who has signed in by hand meanwhile is not replaced by a sign-in that the user has not asked for. */
export async function hasSession(context: RequestContext, { sessionId }: BrowserBinding): Promise<boolean> {
  if (context.ticket() !== undefined) return true
  if (sessionId === undefined) return false
  const record = await context.services.store.load(sessionId, { extend: false })
  return record?.ticket() !== undefined
}
