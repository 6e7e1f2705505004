import { randomUUID } from 'node:crypto'
import { OidcError } from '../errors.js'
import type { SiteConfig } from '../options/config.js'
import { varyByCookie } from './cookies.js'
import type { HttpRequest } from './node-http.js'
import type { RequestContext } from './request-context.js'

/**
 * What this package remembers about one request. All of it hangs on one property: adding one to a request takes longer than most of
 * what is done with it.
 */
export class RequestState {
  context: RequestContext | undefined
  /** Of other instances of the middleware that this request has passed before. */
  others: readonly RequestContext[] | undefined
  /** `req.oidc`, once it was read. */
  oidc: unknown
  /** Creates `req.session` on first access. */
  attachSession: (() => void) | undefined
  /** What the cookies of sessions say, and what they were read by, from which header. */
  presented: { readonly by: object; readonly header: string; readonly sessions: readonly unknown[] } | undefined
  sessionID: HttpRequest['sessionID'] | undefined
  sessionStore: HttpRequest['sessionStore'] | undefined
  correlationId: string | undefined
}

const key = Symbol('express-hybrid-oidc')

type RequestWithState = object & { [key]?: RequestState }

/** The state of a request, created where there is none. */
export function requestState(req: RequestWithState): RequestState {
  req[key] ??= new RequestState()
  return req[key]
}

/** Names a request in the log, in the audit and on its error page. The same whenever it is asked for. */
export function correlationIdOf(req: RequestWithState): string {
  const state = requestState(req)
  state.correlationId ??= randomUUID()
  return state.correlationId
}

/** The state of a request, if there is any. */
export function findRequestState(req: RequestWithState): RequestState | undefined {
  return req[key]
}

/**
 * The context of a request, for guards and proxies. What they decide depends on the cookie.
 *
 * @param config - of the instance that is meant. Left out: the one instance the request has passed
 * @throws {OidcError} ERR_OIDC_NOT_MOUNTED, ERR_OIDC_SEVERAL_INSTANCES; ERR_OIDC_STORE_UNAVAILABLE where the session could not be loaded
 */
export function contextOf(req: HttpRequest, config?: SiteConfig): RequestContext {
  const state = findRequestState(req)
  if (config === undefined && state?.others !== undefined) {
    throw new OidcError(
      'ERR_OIDC_SEVERAL_INSTANCES',
      'this request has passed two instances of openIdConnect: use the guards of one, such as oidc.requiresAuth()',
    )
  }
  const passed = [state?.context, ...(state?.others ?? [])].filter(context => context !== undefined)
  const context = config === undefined ? passed[0] : passed.find(({ services }) => services.instance === config)
  if (context === undefined) {
    const message =
      config === undefined
        ? 'mount openIdConnect with app.use() before the routes it protects'
        : 'mount the instance a guard belongs to before the routes it protects'
    throw new OidcError('ERR_OIDC_NOT_MOUNTED', message)
  }
  if (context.failure !== undefined) throw context.failure
  varyByCookie(context.res)
  return context
}
