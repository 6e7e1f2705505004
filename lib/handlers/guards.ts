import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { OidcError } from '../errors.js'
import { isNavigation } from './navigation.js'
import { contextOf, type RequestContext } from './request-context.js'

/** Decides about a signed-in request: nothing, or why not. */
type Check = (context: RequestContext) => OidcError | undefined

/**
 * Lets signed-in people pass. Signed out, a page navigation goes to the provider and comes back to where it was; anything else gets
 * 401 with the sign-in address.
 *
 * Errors to `next`: ERR_OIDC_LOGIN_REQUIRED (401), ERR_OIDC_NOT_MOUNTED, and those of starting a sign-in.
 */
export function requiresAuth(): RequestHandler {
  return guard(() => undefined)
}

/**
 * Lets people pass whose claim has the value, or, where the claim is a list, contains it. Values are compared exactly: `"true"` is
 * not `true`. Signed in without it: 403, never another sign-in.
 *
 * Errors to `next`: those of {@link requiresAuth}, ERR_OIDC_CLAIM_REQUIRED (403).
 */
export function requiresClaim(name: string, value: string | number | boolean): RequestHandler {
  return guard(({ user }) => {
    const claim = user !== undefined && Object.hasOwn(user, name) ? user[name] : undefined
    if (claim === value || (Array.isArray(claim) && claim.includes(value))) return undefined
    return new OidcError('ERR_OIDC_CLAIM_REQUIRED', `the claim "${name}" does not have the value this route requires`)
  })
}

/**
 * Lets people pass whose access token was granted every one of the scopes (space-separated). Signed in without: 403.
 *
 * Errors to `next`: those of {@link requiresAuth}, ERR_OIDC_SCOPE_REQUIRED (403).
 */
export function requiresScope(scope: string): RequestHandler {
  const required = scope.split(' ').filter(Boolean)
  if (required.length === 0) throw new OidcError('ERR_OIDC_OPTIONS', 'requiresScope needs at least one scope')
  return guard(context => {
    const granted = new Set(context.scope?.split(' '))
    const missing = required.filter(name => !granted.has(name))
    if (missing.length === 0) return undefined
    return new OidcError('ERR_OIDC_SCOPE_REQUIRED', `the scope "${missing.join(' ')}" was not granted`)
  })
}

function guard(check: Check): RequestHandler {
  return function requireSignIn(req: Request, _res: Response, next: NextFunction) {
    let context: RequestContext
    try {
      context = contextOf(req)
    } catch (error) {
      return next(error)
    }
    const fail = (error: unknown) => context.fail(error, next)
    if (!context.isAuthenticated) {
      if (isNavigation(req)) context.login().catch(fail)
      else fail(new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'nobody is signed in'))
      return
    }
    const refusal = check(context)
    if (refusal === undefined) next()
    else fail(refusal)
  }
}
