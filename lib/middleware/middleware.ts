import type { IncomingMessage } from 'node:http'
import type { NextFunction, Request, Response } from 'express'
import { createRareLog } from '../diagnostics/rare-log.js'
import { abandon, respondWithError } from '../http/error-response.js'
import { createLogoutCookie } from '../http/logout-cookie.js'
import { type MiddlewareServices, RequestContext } from '../http/request-context.js'
import { createTransactionCookie } from '../http/transaction-cookie.js'
import { createTransactions } from '../http/transaction-state.js'
import type { Services } from '../options/config.js'
import { createExternalSession } from '../session/external-session.js'
import { createOwnSession } from '../session/managed-session.js'
import type { SessionRecord } from '../store/store.js'
import type { TokenServices } from '../tokens/token-services.js'
import { checkRawRequest } from './argument-rules.js'
import { defineContext, type OidcUser } from './request.js'
import { createRouteTable, handleRoute, type Route, respondToPrefetch } from './routes.js'

/** The HTTP edge: how a request comes in, and how one without a response is looked at. */
export interface Middleware {
  /** Loads what belongs to the request, gives it `req.session` and `req.oidc`, and handles it if it is for one of our routes. */
  receive(req: Request, res: Response, next: NextFunction): void
  /** The signed-in user of a raw request, such as a WebSocket upgrade. */
  authenticate(req: IncomingMessage): Promise<OidcUser | undefined>
}

export function createMiddleware(services: Services, tokenServices: TokenServices): Middleware {
  const { config, store } = services
  const { session: policy } = config
  const transactionCookie = createTransactionCookie(config, store)
  const middleware: MiddlewareServices = {
    ...services,
    sessionBinding:
      policy === false ? createExternalSession(store) : createOwnSession(config, policy, store, transactionCookie),
    transactions: createTransactions(services),
    transactionCookie,
    logoutCookie: createLogoutCookie(config, store.sealer),
    rareLog: createRareLog(config.log),
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
    receive(req, res, next) {
      const contextFor = (record: SessionRecord | undefined) => new RequestContext(middleware, req, res, next, record)
      const fail = (error: unknown) => respondWithError(contextFor(undefined), error)
      let route: Route | undefined
      let found: Promise<SessionRecord | undefined> | undefined
      try {
        route = routes.get(req.path)
        if (route !== undefined && respondToPrefetch(route, { req, res })) return
        found = route?.isForProvider ? undefined : middleware.sessionBinding.find(req, { extend: !isPolling(req) })
      } catch (error) {
        fail(error)
        return
      }
      if (found === undefined) proceed(contextFor(undefined), route)
      else {
        const handOn = (record: SessionRecord | undefined) => proceed(contextFor(record), route)
        found.then(handOn, fail).catch(error => abandon(contextFor(undefined), error))
      }
    },
    async authenticate(req) {
      checkRawRequest(req)
      const record = await middleware.sessionBinding.find(req as Request, { extend: !isPolling(req) })
      return record?.ticket()?.claims as OidcUser | undefined
    },
  }
}
