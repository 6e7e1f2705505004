import type { Request } from 'express'
import type { RequestContext } from './request-context.js'

/**
 * What this package remembers about one request. All of it hangs on one property: adding one to a request takes longer than most of
 * what is done with it.
 */
export class RequestState {
  context: RequestContext | undefined
  /** Of other instances of the middleware that this request has passed before. */
  others: readonly RequestContext[] | undefined
  /** `req.oidc`, once somebody has read it. */
  oidc: unknown
  /** Brings the session about; waits for somebody who wants it. */
  attachSession: (() => void) | undefined
  sessionID: Request['sessionID'] | undefined
  sessionStore: Request['sessionStore'] | undefined
}

const key = Symbol('express-hybrid-oidc')

type RequestWithState = object & { [key]?: RequestState }

/** The notes about a request, new ones where there are none. */
export function requestState(req: RequestWithState): RequestState {
  req[key] ??= new RequestState()
  return req[key]
}

/** The notes about a request, if there are any. */
export function findRequestState(req: RequestWithState): RequestState | undefined {
  return req[key]
}
