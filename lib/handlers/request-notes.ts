import type { Request } from 'express'
import type { Visit } from './visit.js'

/**
 * What this package remembers about one request. All of it hangs on one property: adding one to a request takes longer than most of
 * what is done with it.
 */
export class RequestNotes {
  visit: Visit | undefined
  /** Of other instances of the middleware that this request has passed before. */
  others: readonly Visit[] | undefined
  /** `req.oidc`, once somebody has read it. */
  context: unknown
  /** Brings the session about; waits for somebody who wants it. */
  attachSession: (() => void) | undefined
  sessionID: Request['sessionID'] | undefined
  sessionStore: Request['sessionStore'] | undefined
}

const key = Symbol('express-hybrid-oidc')

type NotedRequest = object & { [key]?: RequestNotes }

/** The notes about a request, new ones where there are none. */
export function notesOn(req: NotedRequest): RequestNotes {
  req[key] ??= new RequestNotes()
  return req[key]
}

/** The notes about a request, if there are any. */
export function notesOf(req: NotedRequest): RequestNotes | undefined {
  return req[key]
}
