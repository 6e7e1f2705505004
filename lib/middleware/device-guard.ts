import { OidcError } from '../errors.js'
import { type CookieAttributes, hostCookieName, readCookies, setCookie } from '../http/cookies.js'
import { isNavigation } from '../http/fetch-metadata.js'
import { buildPage, escapeHtml, pagePolicy } from '../http/page.js'
import { pageTextsFor } from '../http/page-texts.js'
import type { RequestContext } from '../http/request-context.js'
import { setPrivateHeaders } from '../http/response.js'
import { startLogin } from '../sign-in/login.js'
import type { LoginOptions } from '../sign-in/login-options.js'

/** Seconds after which a page that waits for the key of the device is loaded again. */
const WAIT = 1

/** Seconds within which a page is not loaded again a second time to get its proof. */
const ONE_TRY = 30

/**
 * Responds to a request whose session is of another device, or of none where one is required. The session of its owner goes on.
 *
 * @param first - what the user is asked for at a sign-in
 * @throws {OidcError} ERR_OIDC_DEVICE_PROOF, ERR_OIDC_DEVICE_REQUIRED, and those of starting a sign-in
 */
export async function respondWithoutDevice(context: RequestContext, first: LoginOptions): Promise<void> {
  const { req, services } = context
  const isPage = isNavigation(req)
  const status = services.sessionBinding.deviceStatusOf(req)
  if (status === 'pending') {
    if (isPage && req.method === 'GET') return loadAgain(context, WAIT)
    throw unproved('the browser has not registered the key of its device yet')
  }
  const ticket = context.ticket()
  const wasOffered = ticket === undefined || ticket.deviceOffered === true
  if (status === 'unbound' && wasOffered) throw required()
  if (status === 'unbound') return signIn(context, first, isPage)
  // A browser proves nothing on the way from a page of another site. From a page of this one it does.
  if (isPage && mayLoadAgain(context)) return loadAgain(context, 0)
  services.rareLog(
    'ERR_OIDC_DEVICE_PROOF',
    'ERR_OIDC_DEVICE_PROOF: a session was used without the proof of its device: its cookie was copied, or its browser could not prove it',
    { level: 'warn', code: 'ERR_OIDC_DEVICE_PROOF' },
  )
  await signIn(context, first, isPage)
}

async function signIn(context: RequestContext, first: LoginOptions, isPage: boolean): Promise<void> {
  if (!isPage) throw unproved('the request does not come from the device that the session is bound to')
  await startLogin(context, first)
}

/** Once: the cookie says that it was tried. */
function mayLoadAgain({ req, res, services: { site } }: RequestContext): boolean {
  if (req.method !== 'GET' || req.headers['sec-fetch-site'] !== 'cross-site' || site.session === false) return false
  const name = hostCookieName(`${site.session.cookieName}.device.retry`, site.secure)
  if (readCookies(req)[name] !== undefined) return false
  const attributes: CookieAttributes = { secure: site.secure, sameSite: 'lax', maxAge: ONE_TRY }
  setCookie(res, name, '1', attributes)
  return true
}

/** A page that loads the one that was asked for, in a while. */
async function loadAgain({ req, res, services: { site } }: RequestContext, seconds: number): Promise<void> {
  const { language, deviceWait, deviceWaitText } = await pageTextsFor(site, req, res)
  setPrivateHeaders(res)
  res.statusCode = 401
  res.setHeader('WWW-Authenticate', 'OpenIdConnect')
  res.setHeader('Refresh', String(seconds))
  res.setHeader('Content-Security-Policy', pagePolicy())
  res.setHeader('Content-Type', 'text/html; charset=utf-8')
  res.end(buildPage({ language, title: deviceWait, body: `<p>${escapeHtml(deviceWaitText)}</p>` }))
}

function unproved(message: string): OidcError {
  return new OidcError('ERR_OIDC_DEVICE_PROOF', message)
}

function required(): OidcError {
  return new OidcError(
    'ERR_OIDC_DEVICE_REQUIRED',
    'the session is bound to no device: the browser has not registered a key within half a minute after the sign-in',
  )
}
