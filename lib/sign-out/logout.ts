import { isOwnRequest, isSubmittedForm } from '../http/fetch-metadata.js'
import type { HttpResponse } from '../http/node-http.js'
import { onlyParameter, queryOf } from '../http/node-http.js'
import { pageTextsFor } from '../http/page-texts.js'
import { sendToProvider } from '../http/provider-redirect.js'
import { type MiddlewareServices, type RequestContext, servicesOf } from '../http/request-context.js'
import { redirect, setPrivateHeaders } from '../http/response.js'
import { readReturnTo, returnToOf } from '../http/return-to.js'
import { sendPage } from '../http/send-page.js'
import { markSignOut } from '../http/transaction-cookie.js'
import { publicPath } from '../options/config.js'
import { buildEndSessionUrl, checkEndSessionParams } from '../protocol/end-session.js'
import type { RequestParams } from '../protocol/request-params.js'
import type { RecentSignOut } from '../store/recent-sign-outs.js'
import { announceSignOut, auditSignOut, clearSiteData } from './announce-sign-out.js'
import { endSessionEndpoint } from './end-session-endpoint.js'

/** How a sign-out goes. */
export interface LogoutOptions {
  /** Where to land afterwards: a path of this site. Default: its start page. */
  readonly returnTo?: string
  /** Ends the session here only; the provider keeps its own, and the next sign-in may pass without a question. */
  readonly local?: boolean
  /** Languages for the provider's pages, in order of preference. Default: `ui_locales` of `authorizationParams`. */
  readonly uiLocales?: readonly string[]
  /** Any other parameter of the request to the provider, with the name it has on the wire. Protocol parameters cannot be replaced. */
  readonly params?: RequestParams
}

/**
 * `GET` or `POST /logout`. Another site cannot sign users out by a link, a form or an image: the response is then a page that asks.
 *
 * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE
 */
export async function logout(context: RequestContext): Promise<void> {
  const { req, services } = context
  const options = readOptions(context)
  if (isOwnRequest(req, services.config.baseUrl)) await endSignIn(context, options)
  else await confirmLogout(context, writeOptions(options))
}

/**
 * Ends the session here first, and only then turns to the provider: even if the provider is not available, the user is signed out. Also
 * without a session here, because the provider may still have one. OpenID Connect RP-Initiated Logout 1.0 section 2.
 *
 * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE when the session could not be ended; nothing has changed then
 */
export async function endSignIn(context: RequestContext, options: LogoutOptions): Promise<void> {
  const { req, res, services } = context
  const { config, transactionCookie, store } = services
  const returnTo = returnToOf(config, options.returnTo)
  // Before anything ends: a sign-out that cannot be asked for leaves the session.
  checkEndSessionParams(options.params ?? {})
  const signOut = options.local ? undefined : await rememberSignOut(context)
  // Before the sessions end: a sign-in writes its session first and looks for the mark after that.
  const markedAt = await markSignOut(req, res, services)
  const ended = (await context.end()).map(({ summary }) => summary).filter(summary => summary !== undefined)
  const binding = transactionCookie.signOut(req, res, { markedAt, isForced: true })
  clearSiteData(res, config)
  ended.forEach(auditSignOut(config, 'logout', { req }))
  // Also those whose cookie the browser had lost.
  if (ended.length > 0) await announceSignOut(config, 'logout', ended)
  // The next click comes with the binding of this response, if that is there before the provider's page.
  if (signOut !== undefined && binding !== undefined) await store.signOuts.keep([binding.id], signOut).catch(() => {})
  // A repeat comes without the session, and goes to the provider that the first request went to.
  const asked = signOut && ((await servicesOf(services, signOut.provider)) ?? services)
  const endpoint = asked && (await endSessionEndpoint(asked))
  if (signOut === undefined || asked === undefined || endpoint === undefined) return redirect(res, returnTo)
  const location = providerAddress(res, asked, endpoint, { ...options, ...signOut, returnTo })
  const byPage = isSubmittedForm(req)
  await sendToProvider({ req, res, config }, { location, endpoint, purpose: 'signOut', byPage })
}

/**
 * What this sign-out asks of the provider. A second click comes while the first is under way, or after it, when the session is gone: it asks
 * for the same. Without the ID Token the provider would ask a question, and the user would stay signed in there.
 */
async function rememberSignOut(context: RequestContext): Promise<RecentSignOut> {
  const { req, res, record, services } = context
  const { store, sessionBinding, transactionCookie, logoutCookie } = services
  const binding = transactionCookie.read(req, res)
  const browser = typeof binding === 'object' ? binding.id : undefined
  const names = [record?.id ?? sessionBinding.idOf(req), browser].filter(name => name !== undefined)
  const idTokenHint = (await context.readTokens())?.idToken
  const { providerName: provider } = services.config
  const created = { state: logoutCookie.create(), ...(provider !== undefined && { provider }) }
  const signOut = { ...created, ...(idTokenHint !== undefined && { idTokenHint }) }
  if (idTokenHint !== undefined) return store.signOuts.keep(names, signOut)
  return (await store.signOuts.find(names).catch(() => undefined)) ?? signOut
}

/** Where to sign out at the provider, and how to come back from there. */
function providerAddress(
  res: HttpResponse,
  { config, logoutCookie }: MiddlewareServices,
  endpoint: string,
  { returnTo, state, idTokenHint, uiLocales, params }: LogoutOptions & RecentSignOut & { returnTo: string },
): string {
  const { logoutCallback } = config.routes
  const configured = config.authorizationParams.ui_locales
  const languages = uiLocales?.join(' ') ?? (typeof configured === 'string' ? configured : undefined)
  if (logoutCallback !== false) logoutCookie.save(res, { state, returnTo })
  return buildEndSessionUrl({
    endpoint,
    clientId: config.clientId,
    ...(idTokenHint !== undefined && config.sendsIdTokenHint && { idTokenHint }),
    ...(params !== undefined && { params }),
    ...(logoutCallback !== false && { postLogoutRedirectUri: config.baseUrl + logoutCallback, state }),
    ...(languages !== undefined && { uiLocales: languages }),
  })
}

/** BCP 47 language tags, apart by blanks. */
const languageTags = /^[a-zA-Z]{2,8}(-[a-zA-Z0-9]{1,8})*( [a-zA-Z]{2,8}(-[a-zA-Z0-9]{1,8})*)*$/

/** `?returnTo=/bye`, `?local=1` and `?ui_locales=de%20en`; what makes no sense counts for nothing. */
function readOptions({ req, services: { config } }: RequestContext): LogoutOptions {
  const query = queryOf(req)
  const returnTo = readReturnTo(config, onlyParameter(query, 'returnTo'))
  const wanted = onlyParameter(query, 'ui_locales') ?? ''
  const locales = languageTags.test(wanted) ? wanted : ''
  const local = query.get('local')
  return {
    ...(returnTo !== undefined && { returnTo }),
    ...(locales !== '' && { uiLocales: locales.split(' ') }),
    local: local !== null && local !== '0' && local !== 'false',
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

/**
 * Asks before it signs out, because another site sent the browser here. The confirmation is a same-origin POST.
 *
 * @param wishes - the valid parameters of the request, as a query: nothing else from the request appears in the page
 */
async function confirmLogout(context: RequestContext, wishes: URLSearchParams): Promise<void> {
  const { req, res, services } = context
  const { config, provider } = services
  const { logout } = config.routes
  const action = `${logout === false ? '/' : publicPath(config, logout)}?${wishes}`
  const endpoint = provider.peekMetadata()?.end_session_endpoint ?? config.issuer
  setPrivateHeaders(res)
  // With `no-referrer` the form would come with `Origin: null`, which looks like another site to those without Fetch Metadata.
  res.setHeader('Referrer-Policy', 'same-origin')
  const texts = await pageTextsFor(config, req, res)
  const content = {
    language: texts.language,
    title: texts.signOutQuestion,
    message: texts.signOutAsked,
    form: { action, button: texts.signOut },
    link: { href: publicPath(config, '/'), text: texts.staySignedIn },
  }
  sendPage(context, 'signOut', content, { policy: { formAction: `'self' ${new URL(endpoint).origin}` } })
}
