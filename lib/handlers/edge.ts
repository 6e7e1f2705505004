import type { IncomingMessage } from 'node:http'
import type { NextFunction, Request, Response } from 'express'
import type { SessionRecord } from '../state/state.js'
import { checkRawRequest } from './argument-rules.js'
import { abandon, answerFailure } from './failure.js'
import { createLogoutState } from './logout-state.js'
import { createOwnSession } from './own-session.js'
import { createRareLog } from './rare-log.js'
import { defineContext, type OidcUser } from './request-context.js'
import { answerLooker, answerRoute, createRouteTable, type Route } from './routes.js'
import type { Services } from './site.js'
import { createSiteSession } from './site-session.js'
import type { TokenServices } from './token-services.js'
import { createTransactionCookie } from './transaction-cookie.js'
import { createTransactions } from './transaction-state.js'
import { type Edge, Visit } from './visit.js'

/** The HTTP edge: how a request comes in, and how one without a response is looked at. */
export interface HttpEdge {
  /** Loads what belongs to the request, gives it `req.session` and `req.oidc`, and answers it if it is for one of our routes. */
  receive(req: Request, res: Response, next: NextFunction): void
  /** The signed-in user of a raw request, such as a WebSocket upgrade. */
  authenticate(req: IncomingMessage): Promise<OidcUser | undefined>
}

export function createHttpEdge(services: Services, tokenServices: TokenServices): HttpEdge {
  const { site, state } = services
  const { session: policy } = site
  const transactionCookie = createTransactionCookie(site, state)
  const edge: Edge = {
    ...services,
    host: policy === false ? createSiteSession(state) : createOwnSession(site, policy, state, transactionCookie),
    transactions: createTransactions(services),
    transactionCookie,
    logoutState: createLogoutState(site, state.sealer),
    rareLog: createRareLog(site.log),
    ...tokenServices,
  }
  const routes = createRouteTable(site)
  const isPolling = policy === false ? () => false : policy.isPolling

  /** Hands the request on, once: what fails before it goes to the site's error handler, and what is thrown by it is the caller's. */
  function proceed(visit: Visit, route: Route | undefined): void {
    const { req, res, next, record } = visit
    const fail = (error: unknown) => answerFailure(visit, error)
    try {
      edge.host.open(req, res, record, fail)
      defineContext(req, visit)
    } catch (error) {
      fail(error)
      return
    }
    if (route === undefined) next()
    else answerRoute(route, visit).catch(fail)
  }

  return {
    receive(req, res, next) {
      const visitWith = (record: SessionRecord | undefined) => new Visit(edge, req, res, next, record)
      const fail = (error: unknown) => answerFailure(visitWith(undefined), error)
      let route: Route | undefined
      let found: Promise<SessionRecord | undefined> | undefined
      try {
        route = routes.get(req.path)
        if (route !== undefined && answerLooker(route, { req, res })) return
        found = route?.isForProvider ? undefined : edge.host.find(req, { extend: !isPolling(req) })
      } catch (error) {
        fail(error)
        return
      }
      if (found === undefined) proceed(visitWith(undefined), route)
      else {
        const handOn = (record: SessionRecord | undefined) => proceed(visitWith(record), route)
        found.then(handOn, fail).catch(error => abandon(visitWith(undefined), error))
      }
    },
    async authenticate(req) {
      checkRawRequest(req)
      const record = await edge.host.find(req as Request, { extend: !isPolling(req) })
      return record?.ticket()?.claims as OidcUser | undefined
    },
  }
}
