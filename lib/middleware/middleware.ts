import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRareLog } from '../diagnostics/rare-log.js'
import { abandon, handleError, respondWithError } from '../http/error-response.js'
import { createLogoutCookie } from '../http/logout-cookie.js'
import { type HttpRequest, type HttpResponse, isAnswerable, type Next, pathOf, responseFor } from '../http/node-http.js'
import { type MiddlewareServices, RequestContext, servicesOf } from '../http/request-context.js'
import { findRequestState } from '../http/request-state.js'
import { createTransactionCookie } from '../http/transaction-cookie.js'
import { createTransactions } from '../http/transaction-state.js'
import type { Services } from '../options/config.js'
import type { SeveralProviders } from '../options/several-providers.js'
import { isIssuer } from '../options/tenants.js'
import { createProvider } from '../provider/provider.js'
import { createExternalSession } from '../session/external-session.js'
import { createManagedSession } from '../session/managed-session.js'
import { findProvider } from '../sign-in/choose-provider.js'
import type { SessionRecord } from '../store/store.js'
import { createTokenServices, type TokenServices } from '../tokens/token-services.js'
import { refuse } from '../validation/place.js'
import { checkRawRequest } from './argument-rules.js'
import { noticeExpired } from './expired-session.js'
import { createProviders, type Providers } from './providers.js'
import { defineContext, type OidcUser } from './request.js'
import { createRouteTable, type FoundRoute, findRoute, handleRoute, respondToPrefetch } from './routes.js'

/** The middleware: how a request comes in, and how one without a response is looked at. */
export interface Middleware {
  /** Loads what belongs to the request, gives it `req.session` and `req.oidc`, and handles it if it is for one of our routes. */
  receive(req: HttpRequest, res: HttpResponse, next: Next): void
  /** The signed-in user of a raw request, such as a WebSocket upgrade. Gives it `req.session` and `req.oidc`, too. */
  authenticate(req: IncomingMessage): Promise<OidcUser | undefined>
  /** An error handler for the end of the app. From now on every error goes to `next`. */
  errorHandler(): ErrorHandler
  /** Where the site has several. */
  readonly providers: Providers | undefined
  /**
   * What belongs to the provider that a method of this instance, `of`, was given.
   * @throws {OidcError} ERR_OIDC_OPTIONS for a name on a site with one provider, and without one where the site has several
   */
  servicesFor(of: string, name: string | undefined): Promise<MiddlewareServices>
}

/** A session, with what belongs to its provider. */
interface OwnedRecord {
  readonly record: SessionRecord | undefined
  readonly services: MiddlewareServices
}

/** Four parameters: that is how Express and Connect know an error handler. */
export type ErrorHandler = (error: unknown, req: IncomingMessage, res: ServerResponse, next: Next) => void

export function createMiddleware(
  services: Services,
  tokenServices: TokenServices,
  several?: SeveralProviders,
): Middleware {
  const { config, store } = services
  const { session: policy } = config
  const transactionCookie = createTransactionCookie(config, store)
  const shared = {
    site: config,
    sessionBinding:
      policy === false ? createExternalSession(store) : createManagedSession(config, policy, store, transactionCookie),
    transactionCookie,
    logoutCookie: createLogoutCookie(config, store.sealer),
    rareLog: createRareLog(config.log),
    errorHandling: { isMade: false },
  }
  const providers = several && createProviders(several, createStart(store, shared))
  const transactions = createTransactions(services)
  const middleware: MiddlewareServices = { ...services, ...shared, ...tokenServices, transactions, providers }
  const routes = createRouteTable(config)
  const isPolling = policy === false ? () => false : policy.isPolling
  // Of many tenants one may have been taken off the list since a session began.
  const isOne = providers === undefined && config.tenants === undefined
  const findOwner = (record: SessionRecord | undefined) => ownerOf(record, middleware)

  return {
    providers,
    servicesFor: (of, name) => servicesFor(middleware, of, name),
    receive(req, given, next) {
      const res = responseFor(req, given)
      const contextFor = (record?: SessionRecord, services = middleware) =>
        new RequestContext(services, req, res, next, { record })
      const fail = (failure: unknown) => {
        const context = new RequestContext(middleware, req, res, next, { failure })
        defineContext(req, context)
        respondWithError(context, failure)
      }
      let route: FoundRoute | undefined
      let found: Promise<SessionRecord | undefined> | undefined
      try {
        route = isAnswerable(res) ? findRoute(routes, pathOf(req), providers !== undefined) : undefined
        if (route !== undefined && respondToPrefetch(route.route, { req, res })) return
        const extend = !(route?.route.isPolling?.(req) || isPolling(req))
        found = route?.route.isForProvider ? undefined : find(middleware, req, { extend })
      } catch (error) {
        fail(error)
        return
      }
      if (found === undefined) proceed(contextFor(), route)
      else {
        const handOn = (record: SessionRecord | undefined) => proceed(contextFor(record), route)
        const handOnAt = ({ record, services }: OwnedRecord) => proceed(contextFor(record, services), route)
        const handled = isOne ? found.then(handOn, fail) : found.then(findOwner).then(handOnAt, fail)
        handled.catch(error => abandon(contextFor(), error))
      }
    },
    errorHandler() {
      middleware.errorHandling.isMade = true
      return (error, req, _res, next) => handleError(findRequestState(req)?.context, error, next)
    },
    async authenticate(req) {
      checkRawRequest(req, 'oidc.authenticate')
      return authenticate(middleware, req, { extend: !isPolling(req) })
    },
  }
}

type Shared = Omit<MiddlewareServices, keyof Services | keyof TokenServices | 'transactions' | 'providers'>

/** Loads the session of a request. With `session: false` an expired one is that of the site, and its id is gone with it. */
function find(
  middleware: MiddlewareServices,
  req: HttpRequest,
  options: { readonly extend: boolean },
): Promise<SessionRecord | undefined> | undefined {
  const found = middleware.sessionBinding.find(req, options)
  const { audit, session } = middleware.site
  if (found !== undefined && audit !== undefined && session !== false) void noticeExpired(middleware, req, found)
  return found
}

/** Makes what belongs to one of several providers. */
function createStart(store: Services['store'], shared: Shared): Parameters<typeof createProviders>[1] {
  return ({ config, provider }, providers) => {
    const own = { config, provider: createProvider(provider), store }
    const tokens = createTokenServices(own)
    const services = { ...own, ...shared, ...tokens, transactions: createTransactions(own), providers }
    return { services, whenIdle: tokens.whenIdle }
  }
}

/** Whose session it is. That of a provider that is not there any more, or is another one now, is none. */
async function ownerOf(record: SessionRecord | undefined, middleware: MiddlewareServices): Promise<OwnedRecord> {
  const ticket = record?.ticket()
  if (ticket === undefined) return { record, services: middleware }
  const owner = await servicesOf(middleware, ticket.provider)
  if (owner === undefined || !isIssuer(owner.config, ticket.issuer)) return { record: undefined, services: middleware }
  return { record, services: owner }
}

async function servicesFor(
  middleware: MiddlewareServices,
  of: string,
  name: string | undefined,
): Promise<MiddlewareServices> {
  const { providers } = middleware
  if (providers === undefined && name !== undefined)
    refuse(`${of}: provider must be left out: this site has one provider only`)
  if (providers === undefined) return middleware
  return name === undefined
    ? refuse(`${of}: provider is missing: this site has several providers`)
    : findProvider(providers, name)
}

async function authenticate(
  middleware: MiddlewareServices,
  req: IncomingMessage,
  options: { readonly extend: boolean },
): Promise<OidcUser | undefined> {
  const raw = req as HttpRequest
  const found = await find(middleware, raw, options)
  const isOne = middleware.providers === undefined && middleware.config.tenants === undefined
  const { record, services } = isOne ? { record: found, services: middleware } : await ownerOf(found, middleware)
  const res = responseFor(raw, undefined)
  const context = new RequestContext(services, raw, res, () => {}, { record })
  middleware.sessionBinding.open(raw, res, record, () => {})
  defineContext(raw, context)
  return context.ticket()?.claims as OidcUser | undefined
}

/** Hands the request on, once: what fails before it goes to the site's error handler, and what is thrown by it is the caller's. */
function proceed(context: RequestContext, route: FoundRoute | undefined): void {
  const { req, res, next, record, services } = context
  const fail = (error: unknown) => respondWithError(context, error)
  try {
    services.sessionBinding.open(req, res, record, fail)
    defineContext(req, context)
  } catch (error) {
    fail(error)
    return
  }
  if (route === undefined) next()
  else handleRoute(route, context).catch(fail)
}
