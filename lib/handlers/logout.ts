import { setTimeout as wait } from 'node:timers/promises'
import { OidcError } from '../errors.js'
import { buildEndSessionUrl } from '../protocol/end-session.js'
import { parseReturnTo } from '../protocol/return-to.js'
import { redirect } from './answers.js'
import { confirmLogout } from './logout-page.js'
import { isCrossSite } from './navigation.js'
import { publicPath } from './site.js'
import type { Visit } from './visit.js'

/** Milliseconds a sign-out waits to learn where the provider's sign-out is. It never waits longer for anything. */
const patience = 1_000

/** How a sign-out goes. */
export interface LogoutOptions {
  /** Where to land afterwards: a path of this site. Default: its start page. */
  readonly returnTo?: string
  /** Ends the session here only; the provider keeps its own, and the next sign-in may pass without a question. */
  readonly local?: boolean
}

/**
 * `GET` or `POST /logout`. Another site may not sign people out by a link or an image: it gets a page that asks.
 *
 * @throws {OidcError} ERR_OIDC_REQUEST_METHOD, ERR_OIDC_STORE_UNAVAILABLE
 */
export async function logout(visit: Visit): Promise<void> {
  const { req, services } = visit
  if (req.method !== 'GET' && req.method !== 'POST')
    throw new OidcError('ERR_OIDC_REQUEST_METHOD', 'sign out by GET or POST')
  if (isCrossSite(req, services.site.baseUrl)) return confirmLogout(visit)
  const returnTo = parseReturnTo(req.query.returnTo, services.site.baseUrl)
  await endSignIn(visit, { ...(returnTo !== undefined && { returnTo }), local: req.query.local !== undefined })
}

/**
 * Ends the session here first, and only then turns to the provider: whatever state the provider is in, the person is signed out.
 * OpenID Connect RP-Initiated Logout 1.0 section 2.
 *
 * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE when the session could not be ended; nothing has changed then
 */
export async function endSignIn(visit: Visit, options: LogoutOptions): Promise<void> {
  const { res, services } = visit
  const { site, logoutState } = services
  const returnTo = parseReturnTo(options.returnTo, site.baseUrl) ?? publicPath(site, '/')
  const wasSignedIn = visit.ticket() !== undefined
  const idTokenHint = wasSignedIn ? (await visit.readTokens())?.idToken : undefined
  await visit.end()
  const endpoint = options.local || !wasSignedIn ? undefined : await endSessionEndpoint(visit)
  if (endpoint === undefined) return redirect(res, returnTo)

  const landing = site.routes.logoutCallback
  const back =
    landing === false ? {} : { postLogoutRedirectUri: site.baseUrl + landing, state: logoutState.save(res, returnTo) }
  redirect(
    res,
    buildEndSessionUrl({
      endpoint,
      clientId: site.clientId,
      ...back,
      ...(idTokenHint !== undefined && { idTokenHint }),
    }),
  )
}

/** `GET /logout/callback`: the provider is done. Where to go was kept in a cookie; a foreign or missing state goes to the start page. */
export async function logoutCallback({ req, res, services }: Visit): Promise<void> {
  const { site, logoutState } = services
  redirect(res, logoutState.take(req, res) ?? publicPath(site, '/'))
}

/** What is known at once, or within a moment; a provider that is down or has no such endpoint is passed over. */
async function endSessionEndpoint({ services: { provider } }: Visit): Promise<string | undefined> {
  const giveUp = new AbortController()
  const known = provider.peekMetadata()
  const metadata =
    known ??
    (await Promise.race([
      provider.metadata().catch(() => undefined),
      wait(patience, undefined, { signal: giveUp.signal }).catch(() => undefined),
    ]))
  giveUp.abort()
  return metadata?.end_session_endpoint
}
