import type { HttpRequest } from '../http/node-http.js'
import { createRequestProperties, defineOwn } from '../http/request-properties.js'
import { findRequestState, requestState } from '../http/request-state.js'

const defineAccessors = createRequestProperties({
  // What was attached is an ordinary property: express-session deletes it when the session is destroyed.
  session: {
    get(this: HttpRequest) {
      return attachNow(this) ? this.session : undefined
    },
    set(this: HttpRequest, value: unknown) {
      attachNow(this)
      defineOwn(this, 'session', value)
    },
  },
  sessionID: describeProperty('sessionID'),
  sessionStore: describeProperty('sessionStore'),
})

function describeProperty(name: 'sessionID' | 'sessionStore'): PropertyDescriptor {
  return {
    get(this: HttpRequest) {
      attachNow(this)
      return findRequestState(this)?.[name]
    },
    set(this: HttpRequest, value: never) {
      const state = findRequestState(this)
      if (state === undefined) defineOwn(this, name, value)
      else state[name] = value
    },
  }
}

/** Defers `attach` to the first access of any of express-session's three properties. */
export function defineLazySession(req: HttpRequest, attach: () => void): void {
  defineAccessors(req)
  requestState(req).attachSession = attach
}

/** Whether there was something to attach, and nothing of it yet. */
function attachNow(req: HttpRequest): boolean {
  const state = findRequestState(req)
  const attach = state?.attachSession
  if (state === undefined || attach === undefined) return false
  state.attachSession = undefined
  attach()
  return true
}

/** Whether `req.session` was looked at, so that there is a session object. */
export function isAttached(req: HttpRequest): boolean {
  const state = findRequestState(req)
  return state !== undefined && state.attachSession === undefined
}

/** Whether `req.session` is that of another middleware, on a request that has not passed this package before. Calls no getter of it. */
export function hasForeignSession(req: HttpRequest): boolean {
  return Object.hasOwn(req, 'session') && findRequestState(req)?.context === undefined
}

/** Whether the site has left the session as it is. One that was destroyed is gone, and one that was regenerated has another id. */
export function isStill(req: HttpRequest, id: string): boolean {
  if (!Object.hasOwn(req, 'session')) return false
  return !req.session || req.session.id === id
}
