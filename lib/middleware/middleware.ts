import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRareLog } from '../diagnostics/rare-log.js'
import { abandon, handleError, respondWithError } from '../http/error-response.js'
import { createLogoutCookie } from '../http/logout-cookie.js'
import { type HttpRequest, type HttpResponse, isAnswerable, type Next, pathOf, responseFor } from '../http/node-http.js'
import { type MiddlewareServices, RequestContext } from '../http/request-context.js'
import { findRequestState } from '../http/request-state.js'
import { createTransactionCookie } from '../http/transaction-cookie.js'
import { createTransactions } from '../http/transaction-state.js'
import type { Services } from '../options/config.js'
import { createExternalSession } from '../session/external-session.js'
import { createManagedSession } from '../session/managed-session.js'
import type { SessionRecord } from '../store/store.js'
import type { TokenServices } from '../tokens/token-services.js'
import { checkRawRequest } from './argument-rules.js'
import { defineContext, type OidcUser } from './request.js'
import { createRouteTable, handleRoute, type Route, respondToPrefetch } from './routes.js'

/** The middleware: how a request comes in, and how one without a response is looked at. */
export interface Middleware {
  /** Loads what belongs to the request, gives it `req.session` and `req.oidc`, and handles it if it is for one of our routes. */
  receive(req: HttpRequest, res: HttpResponse, next: Next): void
  /** The signed-in user of a raw request, such as a WebSocket upgrade. Gives it `req.session` and `req.oidc`, too. */
  authenticate(req: IncomingMessage): Promise<OidcUser | undefined>
  /** An error handler for the end of the app. From now on every error goes to `next`. */
  errorHandler(): ErrorHandler
}

/** Four parameters: that is how Express and Connect know an error handler. */
export type ErrorHandler = (error: unknown, req: IncomingMessage, res: ServerResponse, next: Next) => void

export function createMiddleware(services: Services, tokenServices: TokenServices): Middleware {
  const { config, store } = services
  const { session: policy } = config
  const transactionCookie = createTransactionCookie(config, store)
  const middleware: MiddlewareServices = {
    ...services,
    sessionBinding:
      policy === false ? createExternalSession(store) : createManagedSession(config, policy, store, transactionCookie),
    transactions: createTransactions(services),
    transactionCookie,
    logoutCookie: createLogoutCookie(config, store.sealer),
    rareLog: createRareLog(config.log),
    errorHandling: { isMade: false },
    ...tokenServices,
  }
  const routes = createRouteTable(config)
  const isPolling = policy === false ? () => false : policy.isPolling

  /** Hands the request on, once: what fails before it goes to the site's error handler, and what is thrown by it is the caller's. */
  function proceed(context: RequestContext, route: Route | undefined): void {
    const { req, res, next, record } = context
    const fail = (error: unknown) => respondWithError(context, error)
    try {
      middleware.sessionBinding.open(req, res, record, fail)
      defineContext(req, context)
    } catch (error) {
      fail(error)
      return
    }
    if (route === undefined) next()
    else handleRoute(route, context).catch(fail)
  }

  return {
    receive(req, given, next) {
      const res = responseFor(req, given)
      const contextFor = (record?: SessionRecord) => new RequestContext(middleware, req, res, next, { record })
      const fail = (failure: unknown) => {
        const context = new RequestContext(middleware, req, res, next, { failure })
        defineContext(req, context)
        respondWithError(context, failure)
      }
      let route: Route | undefined
      let found: Promise<SessionRecord | undefined> | undefined
      try {
        route = isAnswerable(res) ? routes.get(pathOf(req)) : undefined
        if (route !== undefined && respondToPrefetch(route, { req, res })) return
        const extend = !(route?.isPolling?.(req) || isPolling(req))
        found = route?.isForProvider ? undefined : middleware.sessionBinding.find(req, { extend })
      } catch (error) {
        fail(error)
        return
      }
      if (found === undefined) proceed(contextFor(), route)
      else {
        const handOn = (record: SessionRecord | undefined) => proceed(contextFor(record), route)
        found.then(handOn, fail).catch(error => abandon(contextFor(), error))
      }
    },
    errorHandler() {
      middleware.errorHandling.isMade = true
      return (error, req, _res, next) => handleError(findRequestState(req)?.context, error, next)
    },
    async authenticate(req) {
      checkRawRequest(req)
      const raw = req as HttpRequest
      const record = await middleware.sessionBinding.find(raw, { extend: !isPolling(req) })
      const res = responseFor(raw, undefined)
      const context = new RequestContext(middleware, raw, res, () => {}, { record })
      middleware.sessionBinding.open(raw, res, record, () => {})
      defineContext(raw, context)
      return context.ticket()?.claims as OidcUser | undefined
    },
  }
}
