import { buildEndSessionUrl } from '../protocol/end-session.js'
import type { SignOutNote } from '../state/sign-out-notes.js'
import { redirect } from './answers.js'
import { sendToProvider } from './departure.js'
import { endSessionEndpoint } from './end-session-endpoint.js'
import { landingOf, parseLanding } from './landing.js'
import { confirmLogout } from './logout-page.js'
import { isOwnRequest } from './navigation.js'
import { announceSignOut, clearSiteData, markSignOut } from './sign-out.js'
import type { Visit } from './visit.js'

/** How a sign-out goes. */
export interface LogoutOptions {
  /** Where to land afterwards: a path of this site. Default: its start page. */
  readonly returnTo?: string
  /** Ends the session here only; the provider keeps its own, and the next sign-in may pass without a question. */
  readonly local?: boolean
  /** Languages for the provider's pages, in order of preference. Default: `ui_locales` of `authorizationParams`. */
  readonly uiLocales?: readonly string[]
}

/**
 * `GET` or `POST /logout`. Another site may not sign people out by a link, a form or an image: it gets a page that asks.
 *
 * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE
 */
export async function logout(visit: Visit): Promise<void> {
  const { req, services } = visit
  const options = readOptions(visit)
  if (isOwnRequest(req, services.site.baseUrl)) await endSignIn(visit, options)
  else confirmLogout(visit, writeOptions(options))
}

/**
 * Ends the session here first, and only then turns to the provider: whatever state the provider is in, the person is signed out. Also
 * without a session here, because the provider may still have one. OpenID Connect RP-Initiated Logout 1.0 section 2.
 *
 * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE when the session could not be ended; nothing has changed then
 */
export async function endSignIn(visit: Visit, options: LogoutOptions): Promise<void> {
  const { req, res, services } = visit
  const { site, revocations, transactionCookie, state } = services
  const returnTo = landingOf(site, options.returnTo)
  const ticket = visit.ticket()
  const note = options.local ? undefined : await noteSignOut(visit)
  await markSignOut(visit)
  const ended = await visit.end()
  const binding = transactionCookie.signOut(req, res)
  clearSiteData(res, site)
  if (site.revokesTokens) revocations.inBackground(ended?.tokens)
  if (ticket !== undefined && ended !== undefined) await announceSignOut(site, 'logout', [ticket])
  // The next click comes with the binding of this response, if that is there before the provider's page.
  if (note !== undefined && binding !== undefined) await state.signOuts.keep([binding.id], note).catch(() => {})
  const endpoint = note && (await endSessionEndpoint(services))
  if (note === undefined || endpoint === undefined) return redirect(res, returnTo)
  const location = providerAddress(visit, endpoint, { ...options, ...note, returnTo })
  sendToProvider(res, { location, endpoint, title: 'Signing out', button: 'Sign out' })
}

/**
 * What this sign-out asks of the provider. A second click comes while the first is under way, or after it, when the session is gone: it asks
 * for the same. Without the ID Token the provider would ask a question, and the user would stay signed in there.
 */
async function noteSignOut(visit: Visit): Promise<SignOutNote> {
  const { req, res, record, services } = visit
  const { state, host, transactionCookie, logoutState } = services
  const binding = transactionCookie.read(req, res)
  const browser = typeof binding === 'object' ? binding.id : undefined
  const names = [record?.id ?? host.idOf(req), browser].filter(name => name !== undefined)
  const idTokenHint = (await visit.readTokens())?.idToken
  const note = { state: logoutState.create(), ...(idTokenHint !== undefined && { idTokenHint }) }
  if (idTokenHint !== undefined) return state.signOuts.keep(names, note)
  return (await state.signOuts.find(names).catch(() => undefined)) ?? note
}

/** Where to sign out at the provider, and how to come back from there. */
function providerAddress(
  { res, services: { site, logoutState } }: Visit,
  endpoint: string,
  { returnTo, state, idTokenHint, uiLocales }: LogoutOptions & SignOutNote & { returnTo: string },
): string {
  const { logoutCallback } = site.routes
  const configured = site.authorizationParams.ui_locales
  const languages = uiLocales?.join(' ') ?? (typeof configured === 'string' ? configured : undefined)
  if (logoutCallback !== false) logoutState.save(res, { state, returnTo })
  return buildEndSessionUrl({
    endpoint,
    clientId: site.clientId,
    ...(idTokenHint !== undefined && { idTokenHint }),
    ...(logoutCallback !== false && { postLogoutRedirectUri: site.baseUrl + logoutCallback, state }),
    ...(languages !== undefined && { uiLocales: languages }),
  })
}

/** BCP 47 language tags, apart by blanks. */
const languageTags = /^[a-zA-Z]{2,8}(-[a-zA-Z0-9]{1,8})*( [a-zA-Z]{2,8}(-[a-zA-Z0-9]{1,8})*)*$/

/** `?returnTo=/bye`, `?local=1` and `?ui_locales=de%20en`; what makes no sense counts for nothing. */
function readOptions({ req: { query }, services: { site } }: Visit): LogoutOptions {
  const returnTo = parseLanding(site, query.returnTo)
  const locales = typeof query.ui_locales === 'string' && languageTags.test(query.ui_locales) ? query.ui_locales : ''
  return {
    ...(returnTo !== undefined && { returnTo }),
    ...(locales !== '' && { uiLocales: locales.split(' ') }),
    local: query.local !== undefined && query.local !== '0' && query.local !== 'false',
  }
}

/** What {@link readOptions} understood, to be asked for again. */
function writeOptions({ returnTo, uiLocales, local }: LogoutOptions): URLSearchParams {
  return new URLSearchParams({
    ...(returnTo !== undefined && { returnTo }),
    ...(uiLocales !== undefined && { ui_locales: uiLocales.join(' ') }),
    ...(local && { local: '1' }),
  })
}
