import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { OidcError } from '../errors.js'
import type { Ticket } from '../state/ticket.js'
import type { LoginOptions } from './login.js'
import { isNavigation } from './navigation.js'
import { contextOf, type RequestContext } from './request-context.js'
import { type AuthenticationRequirement, findMissingScope, findWeakness, type Lack, tripFor } from './step-up.js'

/** Decides about a signed-in request: nothing, or what is lacking. */
type Check = (context: RequestContext, ticket: Ticket) => Lack | undefined

/** What a person is asked for who lacks a scope. */
export interface ScopeRequirement {
  /** Sends a person who was not asked for the scope yet to the provider for it, and back, once. Default `false`: 403. */
  readonly ask?: boolean
}

/**
 * Lets signed-in people pass. Signed out, a page navigation goes to the provider and comes back to where it was; anything else gets
 * 401 with the sign-in address.
 *
 * With `acr` or `maxAge`, the sign-in also has to be strong or fresh enough; a person whose sign-in is not makes one more trip.
 *
 * Errors to `next`: ERR_OIDC_LOGIN_REQUIRED (401), ERR_OIDC_STEP_UP_REQUIRED (401), ERR_OIDC_NOT_MOUNTED, and those of starting a
 * sign-in.
 */
export function requiresAuth(requirement: AuthenticationRequirement = {}): RequestHandler {
  return guard(({ time }, ticket) => findWeakness(ticket, requirement, time), tripFor(requirement))
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
    const message = `the claim "${name}" does not have the value this route requires`
    return { error: new OidcError('ERR_OIDC_CLAIM_REQUIRED', message) }
  })
}

/**
 * Lets people pass whose access token was granted every one of the scopes (space-separated). Signed in without: 403, or, with `ask`, one
 * trip to the provider to be asked for them.
 *
 * Errors to `next`: those of {@link requiresAuth}, ERR_OIDC_SCOPE_REQUIRED (403).
 */
export function requiresScope(scope: string, { ask = false }: ScopeRequirement = {}): RequestHandler {
  const required = scope.split(' ').filter(Boolean)
  if (required.length === 0) throw new OidcError('ERR_OIDC_OPTIONS', 'requiresScope needs at least one scope')
  return guard((_context, ticket) => findMissingScope(ticket, required, ask), ask ? { scope } : {})
}

/** @param first - what a person who is not signed in at all is asked for */
function guard(check: Check, first: LoginOptions = {}): RequestHandler {
  return function requireSignIn(req: Request, _res: Response, next: NextFunction) {
    let context: RequestContext
    try {
      context = contextOf(req)
    } catch (error) {
      return next(error)
    }
    const fail = (error: unknown) => context.fail(error, next)
    const { ticket } = context
    if (ticket === undefined) {
      if (isNavigation(req)) context.login(first).catch(fail)
      else fail(new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'nobody is signed in'))
      return
    }
    const lack = check(context, ticket)
    if (lack === undefined) next()
    else if (lack.trip !== undefined && isNavigation(req)) context.goOn(lack.trip).catch(fail)
    else fail(lack.error)
  }
}
