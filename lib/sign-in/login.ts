import { observeStart, publish, transactionNameOf } from '../diagnostics/publish.js'
import { redactAddress, redactFields } from '../diagnostics/values.js'
import { OidcError } from '../errors.js'
import { isByServiceWorker, isNavigation, isPlainClient, isSubmittedForm } from '../http/fetch-metadata.js'
import { asExpressRequest, onlyParameter, pathOf, queryOf } from '../http/node-http.js'
import { sendToProvider } from '../http/provider-redirect.js'
import type { MiddlewareServices, RequestContext } from '../http/request-context.js'
import { pageAskedFor, readReturnTo, returnToOf } from '../http/return-to.js'
import type { TransactionInput } from '../http/transaction-state.js'
import { readAskedDetails, warnOfUnlistedTypes } from '../protocol/authorization-details.js'
import { type AuthorizationParams, checkAuthorizationParams } from '../protocol/authorization-request.js'
import { fingerprint, type Transaction } from '../protocol/transaction.js'
import { userKeyOf } from '../store/ticket.js'
import { monotonic } from '../time.js'
import { requestAuthorization } from './authorization-address.js'
import { chooseProvider } from './choose-provider.js'
import { enforceParams, type LoginOptions, wireParams } from './login-options.js'
import { keepOpenerOf, withPopup } from './popup.js'
import { checkCookiesAreKept, countRounds } from './redirect-loops.js'

/** Characters. IdentityServer refuses longer ones. */
const LONGEST_LOGIN_HINT = 100

/** Characters of an ID Token that still fits into an address. */
const LONGEST_ID_TOKEN_HINT = 1200

const HINTS = ['login_hint', 'id_token_hint']

/** `GET` or `POST /login`: takes nothing from the request but `returnTo`. */
export async function login(context: RequestContext): Promise<void> {
  const { req, services } = context
  if (!isNavigation(req) && !isPlainClient(req))
    throw new OidcError(
      'ERR_OIDC_LOGIN_REQUIRED',
      'only a page navigation can start a sign-in (a browser that opens the address, or a request with Accept: text/html)',
    )
  const returnTo = returnToOf(services.config, onlyParameter(queryOf(req), 'returnTo'))
  if (checkCookiesAreKept(context, returnTo)) await startLogin(context, { returnTo })
}

/**
 * Sends the browser to the provider. The attempt travels in `state`; a cookie binds it to this browser.
 *
 * @throws {OidcError} ERR_OIDC_PROVIDER_UNKNOWN, ERR_OIDC_PROVIDER_UNAVAILABLE and other codes of discovery, ERR_OIDC_OPTIONS for parameters that replace protocol
 *   ones, ERR_OIDC_COOKIE_NOT_KEPT for a browser that goes round in circles
 */
export async function startLogin(
  context: RequestContext,
  given: LoginOptions,
  { silent = false }: { readonly silent?: boolean } = {},
): Promise<void> {
  const { req } = context
  const options = withPopup(context.services, given)
  const services = await chooseProvider(context, options)
  // The user chooses on a page of the site.
  if (services === undefined) return
  const { config } = services
  const params: AuthorizationParams = {
    ...(await config.hooks.authorizationParams?.(asExpressRequest(req))),
    ...wireParams(options),
  }
  const rounds = await countRounds(context)
  const sessionId = context.record?.id ?? services.sessionBinding.idOf(req)
  const ticket = context.ticket()
  // A sign-in at another provider is meant to change the user, who lands on the page all the same.
  const isSameProvider = ticket?.provider === config.providerName
  await leave(context, services, {
    returnTo: readReturnTo(config, options.returnTo) ?? pageAskedFor(context.req, config),
    ...(silent && { silent }),
    ...(options.scope !== undefined && { extraScope: options.scope }),
    ...(options.data !== undefined && { data: options.data, hasData: true }),
    ...(Object.keys(params).length > 0 && { params }),
    ...(rounds > 0 && { rounds }),
    ...(sessionId !== undefined && { sessionId }),
    ...(ticket !== undefined && isSameProvider && { subject: fingerprint(userKeyOf(ticket)) }),
  })
}

/** Asks again for what a transaction has asked for, without the user doing anything. */
export function restartLogin(context: RequestContext, transaction: Transaction): Promise<void> {
  const {
    returnTo,
    extraScope,
    params,
    data,
    hasData,
    silent,
    subject,
    sessionId,
    createdAt,
    begunAt = createdAt,
    restarts = 0,
  } = transaction
  return leave(context, context.services, {
    returnTo,
    begunAt,
    restarts: restarts + 1,
    ...(extraScope !== undefined && { extraScope }),
    ...(params !== undefined && { params }),
    ...(data !== undefined && { data }),
    ...(hasData && { hasData }),
    ...(silent && { silent }),
    ...(subject !== undefined && { subject }),
    ...(sessionId !== undefined && { sessionId }),
  })
}

type Wishes = Omit<TransactionInput, 'maxAge' | 'freshLogin' | 'acrValues'>

async function leave(context: RequestContext, services: MiddlewareServices, wishes: Wishes): Promise<void> {
  const { req, res } = context
  const { config, provider, transactions, transactionCookie } = services
  const metadata = await provider.metadata()
  const { params, enforced } = enforceParams({
    ...config.authorizationParams,
    ...(wishes.params as AuthorizationParams | undefined),
    ...(wishes.silent && { prompt: 'none' }),
  })
  const endpoint = metadata.authorization_endpoint
  // First: a sign-in that cannot be asked for leaves no cookie.
  checkAuthorizationParams(params)
  // Those of the options were looked at together with the metadata.
  const details = wishes.params === undefined ? undefined : readAskedDetails(params.authorization_details)
  warnOfUnlistedTypes(metadata, details, line => services.rareLog('authorization_details', line))
  const { binding, keep } = transactionCookie.prepare(req, res)
  const transaction = await transactions.begin({ ...wishes, ...enforced }, binding)
  const { state } = transaction
  const begin = monotonic()
  const { location, asked, pushed } = await observeStart(config.siteName, state, () =>
    requestAuthorization(services, metadata, transaction, params),
  )
  keep()
  keepOpenerOf(context, wishes.returnTo)
  publish(() => ({
    type: 'sign-in-started',
    site: config.siteName,
    transaction: transactionNameOf(state),
    path: pathOf(req),
    endpoint: redactAddress(location),
    params: redactFields(asked),
    pushed,
    duration: monotonic() - begin,
  }))
  const byPage = isByServiceWorker(req) || isSubmittedForm(req)
  await sendToProvider({ req, res, config }, { location, endpoint, purpose: 'signIn', byPage })
}

/** Sends a user who is signed in to the provider for more, and back. */
export async function reauthenticate(context: RequestContext, options: LoginOptions): Promise<void> {
  return startLogin(context, await withHint(context, options))
}

/**
 * For a user who is signed in and is sent to the provider: tells the provider which user is expected. Sends a login
 * name if the claims have one, and otherwise the ID Token, which costs a read. What the site says itself counts more. OpenID Connect Core 1.0 section 3.1.2.1.
 */
async function withHint(context: RequestContext, options: LoginOptions): Promise<LoginOptions> {
  const { ticket } = context.signedIn()
  // What one provider knows of a user is no business of another.
  if (options.provider !== undefined && options.provider !== ticket.provider) return options
  const said = { ...context.services.config.authorizationParams, ...options.params }
  if (options.loginHint !== undefined || HINTS.some(name => said[name] !== undefined)) return options
  const { preferred_username: name, email } = ticket.claims
  const loginHint = [name, email].find(
    (value): value is string => typeof value === 'string' && value !== '' && value.length <= LONGEST_LOGIN_HINT,
  )
  if (loginHint !== undefined) return { ...options, loginHint }
  const idToken = (await context.readTokens())?.idToken
  if (idToken === undefined || idToken.length > LONGEST_ID_TOKEN_HINT) return options
  return { ...options, params: { ...options.params, id_token_hint: idToken } }
}
