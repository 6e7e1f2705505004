import type { IncomingMessage } from 'node:http'
import { abandon, respondWithError } from '../http/error-response.js'
import { type HttpRequest, type HttpResponse, isAnswerable, type Next, pathOf, responseFor } from '../http/node-http.js'
import { type MiddlewareServices, RequestContext, servicesOf } from '../http/request-context.js'
import type { SiteConfig } from '../options/config.js'
import { isIssuer } from '../options/tenants.js'
import type { SessionRecord } from '../store/store.js'
import { noticeExpired } from './expired-session.js'
import { defineContext, type OidcUser } from './request.js'
import { type FoundRoute, findRoute, handleRoute, type RouteTable, respondToPrefetch } from './routes.js'

/** A session, with what belongs to its provider. */
interface OwnedRecord {
  readonly record: SessionRecord | undefined
  readonly services: MiddlewareServices
}

/** A request as it came. */
export interface Received {
  readonly req: HttpRequest
  readonly res: HttpResponse
  readonly next: Next
}

/** What is done with a request at one host. */
export interface Receiver {
  /** Loads what belongs to the request, gives it `req.session` and `req.oidc`, and handles it if it is for one of our routes. */
  receive(host: MiddlewareServices, received: Received): void
  /** The signed-in user of a raw request, which gets `req.session` and `req.oidc`, too. */
  authenticate(host: MiddlewareServices, req: IncomingMessage): Promise<OidcUser | undefined>
}

export function createReceiver({ session: policy }: SiteConfig, routes: RouteTable): Receiver {
  const isPolling = policy === false ? () => false : policy.isPolling

  return {
    receive(host, { req, res, next }) {
      const contextFor = (record?: SessionRecord, services = host) =>
        new RequestContext(services, req, res, next, { record })
      const fail = (failure: unknown) => {
        const context = new RequestContext(host, req, res, next, { failure })
        defineContext(req, context)
        respondWithError(context, failure)
      }
      let route: FoundRoute | undefined
      let found: Promise<SessionRecord | undefined> | undefined
      try {
        route = isAnswerable(res) ? findRoute(routes, pathOf(req), host.providers !== undefined) : undefined
        if (route !== undefined && respondToPrefetch(route.route, { req, res })) return
        const extend = !(route?.route.isPolling?.(req) || isPolling(req))
        found = route?.route.isForProvider ? undefined : find(host, req, { extend })
      } catch (error) {
        fail(error)
        return
      }
      if (found === undefined) proceed(contextFor(), route)
      else {
        const handOn = (record: SessionRecord | undefined) => proceed(contextFor(record), route)
        const handOnAt = ({ record, services }: OwnedRecord) => proceed(contextFor(record, services), route)
        const handled = hasOneOwner(host)
          ? found.then(handOn, fail)
          : found.then(record => ownerOf(record, host)).then(handOnAt, fail)
        handled.catch(error => abandon(contextFor(), error))
      }
    },
    async authenticate(host, req) {
      const raw = req as HttpRequest
      const found = await find(host, raw, { extend: !isPolling(req) })
      const { record, services } = hasOneOwner(host) ? { record: found, services: host } : await ownerOf(found, host)
      const res = responseFor(raw, undefined)
      const context = new RequestContext(services, raw, res, () => {}, { record })
      host.sessionBinding.open(raw, res, record, () => {})
      defineContext(raw, context)
      return context.ticket()?.claims as OidcUser | undefined
    },
  }
}

/** Of many tenants one may have been taken off the list since a session began. */
function hasOneOwner({ providers, config }: MiddlewareServices): boolean {
  return providers === undefined && config.tenants === undefined
}

/** Loads the session of a request. With `session: false` an expired one is that of the site, and its id is gone with it. */
function find(
  host: MiddlewareServices,
  req: HttpRequest,
  options: { readonly extend: boolean },
): Promise<SessionRecord | undefined> | undefined {
  const found = host.sessionBinding.find(req, options)
  const { audit, session } = host.site
  if (found !== undefined && audit !== undefined && session !== false) void noticeExpired(host, req, found)
  return found
}

/** Whose session it is. That of a provider that is not there any more, or is another one now, is none. */
async function ownerOf(record: SessionRecord | undefined, host: MiddlewareServices): Promise<OwnedRecord> {
  const ticket = record?.ticket()
  if (ticket === undefined) return { record, services: host }
  const owner = await servicesOf(host, ticket.provider)
  if (owner === undefined || !isIssuer(owner.config, ticket.issuer)) return { record: undefined, services: host }
  return { record, services: owner }
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
