import type { RequestHandler } from 'express'
import { OidcError } from '../errors.js'
import { varyByCookie } from '../http/cookies.js'
import { requireSessionHandle } from '../http/csrf-header.js'
import { abandon, respondWithError } from '../http/error-response.js'
import { isNavigation, isPostedForm } from '../http/fetch-metadata.js'
import { namedForm } from '../http/kept-form-address.js'
import type { HttpRequest, HttpResponse, Next } from '../http/node-http.js'
import type { RequestContext } from '../http/request-context.js'
import { contextOf } from '../http/request-state.js'
import { epochSeconds, type SiteConfig } from '../options/config.js'
import { reauthenticate, startLogin } from '../sign-in/login.js'
import type { LoginOptions } from '../sign-in/login-options.js'
import {
  attemptSilentLogin as askSilently,
  type SilentLoginOptions,
  wantsSilentLogin,
} from '../sign-in/silent-login.js'
import {
  type AuthenticationRequirement,
  type Challenge,
  challengeFor,
  findChallenge,
  findMissingScope,
} from '../sign-in/step-up.js'
import type { Ticket } from '../store/ticket.js'
import { checkDevicesAreBound, checkFormsAreKept, isDeviceMissing } from './guard-needs.js'
import {
  type ClaimValue,
  checkSameSession,
  readClaim,
  readRequirement,
  readScope,
  readSilentLogin,
} from './guard-rules.js'

/** Decides about a signed-in request: nothing, or what is missing. */
type Check = (ticket: Ticket, context: RequestContext) => Challenge | undefined

/** What happens to a user without a required scope. */
export interface ScopeRequirement {
  /** Sends a user who has not been asked for the scope yet to the provider, once. Default `false`: 403. */
  readonly ask?: boolean
}

/** The guards of one instance of the middleware: `oidc.requiresAuth()` and its kin. */
export interface Guards {
  /**
   * Lets signed-in users pass. Signed out, a page navigation (GET, or a posted form) goes to the provider and comes back to where it was;
   * anything else, HEAD and OPTIONS among it, gets 401 with the sign-in address.
   *
   * With `deviceBound`, the session has to be bound to the device, and the request to come from there: 403 in a browser that cannot bind it.
   *
   * With `keepForm`, a posted form whose user has to sign in first is sent afterwards, when the user has seen it.
   *
   * With `acr` or `maxAge`, the sign-in also has to be strong or fresh enough; otherwise the user is sent to the provider again, once.
   *
   * Errors to `next`: ERR_OIDC_LOGIN_REQUIRED (401), ERR_OIDC_STEP_UP_REQUIRED (401), ERR_OIDC_DEVICE_PROOF (401),
   * ERR_OIDC_DEVICE_REQUIRED (403), ERR_OIDC_NOT_MOUNTED, ERR_OIDC_SEVERAL_INSTANCES, and those of starting a sign-in.
   * @throws {OidcError} ERR_OIDC_OPTIONS for a requirement that is not understood
   */
  requiresAuth(requirement?: AuthenticationRequirement): RequestHandler
  /**
   * Lets users pass whose claim has the value, or, where the claim is a list, contains it. Of several values one is enough. Values are
   * compared exactly: `"true"` is not `true`. `name` is the name of a claim, not a path: a dot in it is a dot. A signed-in user without the
   * claim gets 403, never another sign-in.
   *
   * Errors to `next`: those of {@link requiresAuth}, ERR_OIDC_CLAIM_REQUIRED (403).
   * @throws {OidcError} ERR_OIDC_OPTIONS for a name or a value that is missing or empty
   */
  requiresClaim(name: string, value: ClaimValue | readonly ClaimValue[]): RequestHandler
  /**
   * Lets users pass whose access token was granted every one of the scopes (space-separated). Signed in without: 403, or, with `ask`, one
   * redirect to the provider, which asks for them.
   *
   * Errors to `next`: those of {@link requiresAuth}, ERR_OIDC_SCOPE_REQUIRED (403).
   * @throws {OidcError} ERR_OIDC_OPTIONS for a scope that is missing or malformed
   */
  requiresScope(scope: string, options?: ScopeRequirement): RequestHandler
  /**
   * Lets requests pass whose page was made for the session that the browser has now. A page stays open while another user signs in to the
   * same browser; its forms and scripts would act as that user. The page gets `req.oidc.handle` and sends it back, in the form field
   * `sessionHandle` (a body parser has to run before the guard) or in the header `X-Session-Handle`. Another handle, or none: 409.
   *
   * Errors to `next`: those of {@link requiresAuth}, ERR_OIDC_SESSION_CHANGED (409).
   */
  requiresSameSession(): RequestHandler
  /**
   * For pages that users may also see signed out. Signed out, a browser that navigates to the page is sent to the provider with `prompt=none`, which shows no page, and
   * comes back: signed in where the provider knows the user, and signed out otherwise, without a page about an error. Once in a browser session, and not after a
   * sign-out. Scripts, frames, prefetches, posted forms, HEAD and robots pass at once, and so does every request while the provider or a cookie is
   * missing. OpenID Connect Core 1.0 section 3.1.2.1.
   *
   * Errors to `next`: ERR_OIDC_NOT_MOUNTED, ERR_OIDC_SEVERAL_INSTANCES, ERR_OIDC_OPTIONS for a provider that is not named, or is named where there is one only.
   * @throws {OidcError} ERR_OIDC_OPTIONS for options that are not understood, and where the site has several providers and no default
   */
  attemptSilentLogin(options?: SilentLoginOptions): RequestHandler
}

/**
 * @param config - of the instance the guards belong to. Left out: the one instance that a request has passed.
 * @param hasDefault - whether a sign-in needs to name no provider. Default: true
 */
export function createGuards(config?: SiteConfig, hasDefault = true): Guards {
  return {
    requiresAuth(given = {}) {
      const requirement = readRequirement(given)
      const check: Check = (
        ticket,
        {
          services: {
            config: { now, clockTolerance },
          },
        },
      ) => findChallenge(ticket, requirement, { now: epochSeconds({ now }), clockTolerance })
      const { deviceBound = false, keepForm = false } = requirement
      if (deviceBound && config !== undefined) checkDevicesAreBound(config)
      if (keepForm && config !== undefined) checkFormsAreKept(config)
      return guard(config, check, challengeFor(requirement), { needsProof: deviceBound, keepForm })
    },
    requiresClaim(givenName: string, givenValue: unknown, ...more: readonly unknown[]) {
      const { name, values } = readClaim(givenName, givenValue, more)
      return guard(config, ({ claims }, { services: { rareLog } }) => {
        const claim = Object.hasOwn(claims, name) ? claims[name] : undefined
        const found: readonly unknown[] = Array.isArray(claim) ? claim : [claim]
        if (values.some(value => found.includes(value))) return undefined
        const parent = findParent(claims, name)
        if (parent !== undefined) rareLog(`requiresClaim ${name}`, describeNested(name, parent))
        const message = `the claim "${name}" does not have the value this route requires`
        return { error: new OidcError('ERR_OIDC_CLAIM_REQUIRED', message) }
      })
    },
    requiresScope(scope, options = {}) {
      const { words, ask } = readScope(scope, options)
      const check: Check = ticket => findMissingScope(ticket, words, ask)
      return guard(config, check, ask ? { scope: words.join(' ') } : {})
    },
    requiresSameSession(...given: readonly unknown[]) {
      checkSameSession(given[0])
      return guard(config, (_ticket, context) => {
        try {
          requireSessionHandle(context.req, context.handle() ?? '')
          return undefined
        } catch (error) {
          return { error: error as OidcError }
        }
      })
    },
    attemptSilentLogin(given = {}) {
      const options = readSilentLogin(given, hasDefault)
      return function attemptOnce(req: HttpRequest, res: HttpResponse, next: Next) {
        let context: RequestContext
        try {
          context = contextOf(req, config)
          varyByCookie(res)
          if (!wantsSilentLogin(context)) return next()
        } catch (error) {
          return next(error)
        }
        askSilently(context, options)
          .then(
            isSent => isSent || next(),
            error => respondWithError(context, error, next),
          )
          .catch(error => abandon(context, error))
      }
    },
  }
}

/** The claim in which the required one may be: `realm_access` for `realm_access.roles`. */
function findParent(claims: Ticket['claims'], name: string): string | undefined {
  const [parent = ''] = name.split('.')
  const isObject = Object.hasOwn(claims, parent) && typeof claims[parent] === 'object' && claims[parent] !== null
  return parent !== name && !Object.hasOwn(claims, name) && isObject ? parent : undefined
}

function describeNested(name: string, parent: string): string {
  return (
    `requiresClaim: the user has no claim "${name}", but a claim "${parent}" that is an object. A name is not a path: ` +
    `copy the value out of "${parent}" in the hook signIn`
  )
}

const guards = createGuards()

/**
 * The guard {@link Guards.requiresAuth} for a site with one instance of the middleware.
 * @throws {OidcError} ERR_OIDC_OPTIONS for a requirement that is not understood
 */
export function requiresAuth(requirement?: AuthenticationRequirement): RequestHandler {
  return guards.requiresAuth(requirement)
}

/**
 * The guard {@link Guards.requiresClaim} for a site with one instance of the middleware.
 * @throws {OidcError} ERR_OIDC_OPTIONS for a name or a value that is missing or empty
 */
export function requiresClaim(name: string, value: ClaimValue | readonly ClaimValue[]): RequestHandler
export function requiresClaim(...given: Parameters<Guards['requiresClaim']>): RequestHandler {
  return guards.requiresClaim(...given)
}

/**
 * The guard {@link Guards.requiresScope} for a site with one instance of the middleware.
 * @throws {OidcError} ERR_OIDC_OPTIONS for a scope that is missing or malformed
 */
export function requiresScope(scope: string, options?: ScopeRequirement): RequestHandler {
  return guards.requiresScope(scope, options)
}

/** The guard {@link Guards.requiresSameSession} for a site with one instance of the middleware. */
export function requiresSameSession(): RequestHandler
export function requiresSameSession(...given: readonly never[]): RequestHandler {
  return guards.requiresSameSession(...(given as []))
}

/**
 * The guard {@link Guards.attemptSilentLogin} for a site with one instance of the middleware.
 * @throws {OidcError} ERR_OIDC_OPTIONS for options that are not understood
 */
export function attemptSilentLogin(options?: SilentLoginOptions): RequestHandler {
  return guards.attemptSilentLogin(options)
}

/** What few guards do. */
interface GuardOptions {
  /** Whether the request has to come from the device that the session is bound to. */
  readonly needsProof?: boolean
  /** Whether a posted form is kept for after the sign-in. */
  readonly keepForm?: boolean
}

/** @param first - what a user who is not signed in at all is asked for */
function guard(
  config: SiteConfig | undefined,
  check: Check,
  first: LoginOptions = {},
  { needsProof = false, keepForm = false }: GuardOptions = {},
): RequestHandler {
  return function requireSignIn(req: HttpRequest, _res: HttpResponse, next: Next) {
    let context: RequestContext
    let isMissing: boolean
    try {
      context = contextOf(req, config)
      isMissing = isDeviceMissing(context, context.ticket(), needsProof)
      if (keepForm) checkFormsAreKept(context.services.site)
    } catch (error) {
      return next(error)
    }
    const fail = (error: unknown) => respondWithError(context, error, next)
    if (isMissing) {
      import('./device-guard.js').then(({ respondWithoutDevice }) => respondWithoutDevice(context, first)).catch(fail)
      return
    }
    const isForm = keepForm && isPostedForm(req)
    const signIn = (login: LoginOptions, start: typeof startLogin) => {
      if (!isForm) return start(context, login).catch(fail)
      return import('./form-guard.js').then(({ signInWithForm }) => signInWithForm(context, login)).catch(fail)
    }
    const ticket = context.ticket()
    if (ticket === undefined) {
      if (isNavigation(req)) void signIn(first, startLogin)
      else fail(new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'no user is signed in'))
      return
    }
    const challenge = demandedOf(context) ?? check(ticket, context)
    const form = isForm ? namedForm(req) : undefined
    if (challenge?.login !== undefined && isNavigation(req)) void signIn(challenge.login, reauthenticate)
    else if (challenge !== undefined) fail(challenge.error)
    else if (form === undefined) next()
    else
      import('./form-guard.js')
        .then(({ admitKeptForm }) => admitKeptForm(context, form))
        .then(isAdmitted => isAdmitted && next(), fail)
        .catch(error => abandon(context, error))
  }
}

/** What a security event demands of a session, whatever the guard is about. */
function demandedOf({ record }: RequestContext): Challenge | undefined {
  if (record?.demand === undefined) return undefined
  const login: LoginOptions = record.demand === 'reauthenticate' ? { maxAge: 0 } : {}
  const message = 'the provider has reported a change of the user: a new sign-in is needed'
  return {
    error: new OidcError('ERR_OIDC_STEP_UP_REQUIRED', message, { cause: login.maxAge === 0 ? { max_age: 0 } : {} }),
    login,
  }
}
