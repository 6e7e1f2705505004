import { attemptOf, publish } from '../diagnostics/publish.js'
import { showAddress, showFields } from '../diagnostics/values.js'
import { OidcError } from '../errors.js'
import {
  type AuthorizationParams,
  buildAuthorizationUrl,
  checkAuthorizationParams,
} from '../protocol/authorization-request.js'
import { buildCodeChallenge } from '../protocol/pkce.js'
import { fingerprint, type Transaction } from '../protocol/transaction.js'
import { enforceParams, type LoginOptions, wireParams } from './asked-params.js'
import { checkCookiesAreKept, countRounds } from './circles.js'
import { sendToProvider } from './departure.js'
import { landingOf, parseLanding } from './landing.js'
import { isFrame, isNavigation } from './navigation.js'
import type { TransactionInput } from './transaction-state.js'
import type { Visit } from './visit.js'

/** `GET` or `POST /login`: takes nothing from the request but `returnTo`. */
export async function login(visit: Visit): Promise<void> {
  const { req, services } = visit
  if (!isNavigation(req))
    throw new OidcError(
      'ERR_OIDC_LOGIN_REQUIRED',
      'only a page navigation can sign in (a browser that opens the address, or a request with Accept: text/html)',
    )
  const returnTo = landingOf(services.site, req.query.returnTo)
  if (checkCookiesAreKept(visit, returnTo)) await startLogin(visit, { returnTo })
}

/**
 * Sends the browser to the provider. The attempt travels in `state`; a cookie binds it to this browser.
 *
 * @throws {OidcError} ERR_OIDC_PROVIDER_UNAVAILABLE and other codes of discovery, ERR_OIDC_OPTIONS for parameters that replace protocol
 *   ones, ERR_OIDC_COOKIE_NOT_KEPT for a browser that goes round in circles
 */
export async function startLogin(visit: Visit, options: LoginOptions): Promise<void> {
  const { services, req } = visit
  const { site } = services
  const params: AuthorizationParams = { ...(await site.hooks.authorizationParams?.(req)), ...wireParams(options) }
  const rounds = await countRounds(visit)
  const sessionId = visit.record?.id ?? services.host.idOf(req)
  const subject = visit.ticket()?.subject
  await leave(visit, {
    returnTo: parseLanding(site, options.returnTo) ?? pageAskedFor(visit),
    ...(options.scope !== undefined && { extraScope: options.scope }),
    ...(Object.keys(params).length > 0 && { params }),
    ...(rounds > 0 && { rounds }),
    ...(sessionId !== undefined && { sessionId }),
    ...(subject !== undefined && { subject: fingerprint(subject) }),
  })
}

/** Asks again for what a transaction has asked for, without the user doing anything. */
export function restartLogin(visit: Visit, transaction: Transaction): Promise<void> {
  const { returnTo, extraScope, params, subject, sessionId, createdAt, begunAt = createdAt, restarts = 0 } = transaction
  return leave(visit, {
    returnTo,
    begunAt,
    restarts: restarts + 1,
    ...(extraScope !== undefined && { extraScope }),
    ...(params !== undefined && { params }),
    ...(subject !== undefined && { subject }),
    ...(sessionId !== undefined && { sessionId }),
  })
}

type Wishes = Omit<TransactionInput, 'maxAge' | 'freshLogin' | 'acrValues'>

async function leave(visit: Visit, wishes: Wishes): Promise<void> {
  const { services, req, res } = visit
  const { site, provider, transactions, transactionCookie } = services
  const metadata = await provider.metadata()
  const { params, enforced } = enforceParams({
    ...site.authorizationParams,
    ...(wishes.params as AuthorizationParams | undefined),
  })
  const endpoint = metadata.authorization_endpoint
  // First: a sign-in that cannot be asked for leaves no cookie.
  checkAuthorizationParams(params)
  const binding = transactionCookie.ensure(req, res)
  const transaction = await transactions.begin({ ...wishes, ...enforced }, binding)
  const location = buildAuthorizationUrl({
    endpoint,
    clientId: site.clientId,
    redirectUri: transaction.redirectUri,
    responseType: site.responseType,
    responseMode: site.responseMode,
    scope: transaction.scope,
    state: transaction.state,
    nonce: transaction.nonce,
    ...(site.pkce && { codeChallenge: buildCodeChallenge(transaction.codeVerifier) }),
    params,
  })
  publish(() => ({
    type: 'sign-in-started',
    site: site.baseUrl,
    attempt: attemptOf(transaction.state),
    path: req.path,
    endpoint: showAddress(location),
    params: showFields(new URL(location).searchParams),
  }))
  sendToProvider(res, { location, endpoint, title: 'Signing in', button: 'Sign in' })
}

/**
 * The page a signed-out visitor wanted. A script's call and a posted form have no page of their own: the one they came from has to do.
 */
export function pageAskedFor({ req, services: { site } }: Visit): string {
  const isPage = (isNavigation(req) || isFrame(req)) && req.method === 'GET'
  return landingOf(site, isPage ? req.originalUrl : req.headers.referer)
}
