import { isLook, token, user } from '../api/script-routes.js'
import { beforeHeaders } from '../http/before-headers.js'
import { respondWithError } from '../http/error-response.js'
import { isFetchedAhead } from '../http/fetch-metadata.js'
import type { HttpRequest } from '../http/node-http.js'
import type { RequestContext } from '../http/request-context.js'
import { setPrivateHeaders } from '../http/response.js'
import { callbackMethods, type RouteMethods, wrongMethod } from '../http/route-methods.js'
import type { Routes, SiteConfig } from '../options/config.js'
import { callback } from '../sign-in/callback.js'
import { findProvider } from '../sign-in/choose-provider.js'
import { initiateLogin } from '../sign-in/initiate-login.js'
import { login } from '../sign-in/login.js'
import { logoutBackchannel } from '../sign-out/backchannel-logout.js'
import { logoutFrontchannel } from '../sign-out/frontchannel-logout.js'
import { logout } from '../sign-out/logout.js'
import { logoutCallback } from '../sign-out/logout-callback.js'
import { refuseProvider } from '../sign-out/provider-response.js'
import { checkSession } from '../sign-out/session-management.js'
import { jwks } from './jwks-route.js'

/** One of our own routes. */
export interface Route extends RouteMethods {
  /** Methods it decides about itself. */
  readonly otherMethods?: readonly string[]
  readonly handle: (context: RequestContext) => Promise<void>
  /** Whether a page that a browser fetches ahead gets 503 at once, because this route changes something. */
  readonly refusesAhead: boolean
  /** Whether no user asks for it, but the provider or the browser itself: no cookie counts there, so no session is loaded. */
  readonly isForProvider: boolean
  readonly fail: (context: RequestContext, error: unknown) => void
  /** Tells requests that must not extend the session. */
  readonly isPolling?: (req: HttpRequest) => boolean
  /** Whether the connection closes after every response. */
  readonly closes?: boolean
  /** Whether each of several providers has a path of its own, below this one. */
  readonly isOfProvider?: boolean
}

/** Path to route. A plain map: the few paths of ours need no patterns, and a request for another page costs one lookup. */
export type RouteTable = ReadonlyMap<string, Route>

const forBrowser = { refusesAhead: true, isForProvider: false, fail: respondWithError }
const forProvider = { refusesAhead: true, isForProvider: true, fail: refuseProvider, isOfProvider: true }

export function createRouteTable({ routes, responseMode }: Pick<SiteConfig, 'routes' | 'responseMode'>): RouteTable {
  const table: Readonly<Record<keyof Routes, Route>> = {
    // It refuses everything that is not a page navigation, with 401, as a guarded page does.
    login: { ...forBrowser, methods: ['GET', 'POST'], handle: login, refusesAhead: false, isOfProvider: true },
    callback: {
      ...forBrowser,
      handle: callback,
      ...callbackMethods(responseMode),
      otherMethods: ['GET', 'POST'],
      isOfProvider: true,
    },
    logout: { ...forBrowser, methods: ['GET', 'POST'], handle: logout },
    logoutCallback: { ...forBrowser, methods: ['GET'], handle: logoutCallback },
    logoutFrontchannel: { ...forProvider, methods: ['GET'], handle: logoutFrontchannel },
    // Keycloak keeps connections in a pool and does not try again: it lost logouts to those that ended when this site started anew.
    logoutBackchannel: { ...forProvider, methods: ['POST'], handle: logoutBackchannel, closes: true },
    checkSession: { ...forBrowser, methods: ['GET'], handle: checkSession, refusesAhead: false },
    initiateLogin: {
      ...forBrowser,
      methods: ['GET', 'POST'],
      handle: initiateLogin,
      refusesAhead: false,
      isOfProvider: true,
    },
    popup: {
      ...forBrowser,
      methods: ['GET'],
      handle: lazily(async () => (await import('../sign-in/popup-page.js')).endPopup),
      refusesAhead: false,
    },
    keptForm: {
      ...forBrowser,
      methods: ['GET'],
      handle: lazily(async () => (await import('../sign-in/kept-form-page.js')).keptFormPage),
      refusesAhead: false,
    },
    signals: {
      ...forProvider,
      methods: ['POST'],
      handle: lazily(async () => (await import('../sign-out/signals.js')).receiveSignal),
    },
    revocation: {
      ...forProvider,
      methods: ['POST'],
      handle: lazily(async () => (await import('../sign-out/global-revocation.js')).revokeGlobally),
    },
    deviceProof: {
      ...forProvider,
      isOfProvider: false,
      methods: ['POST'],
      handle: lazily(async () => (await import('../session/device-route.js')).deviceProof),
    },
    user: { ...forBrowser, methods: ['GET'], handle: user, refusesAhead: false, isPolling: isLook },
    token: { ...forBrowser, methods: ['GET'], handle: token, refusesAhead: false },
    jwks: { ...forProvider, methods: ['GET'], handle: jwks, refusesAhead: false },
  }
  const names = Object.keys(table) as (keyof Routes)[]
  return new Map(
    names.flatMap(name => {
      const path = routes[name]
      return path === false ? [] : [[path, table[name]] as const]
    }),
  )
}

/** Few sites have the route: the others do not load what it takes. */
function lazily(load: () => Promise<Route['handle']>): Route['handle'] {
  let loaded: Promise<Route['handle']> | undefined
  return async context => {
    loaded ??= load()
    await (await loaded)(context)
  }
}

/** Which route a request is for, and which of several providers its path names. */
export interface FoundRoute {
  readonly route: Route
  readonly providerName?: string
}

/** @param hasSeveral - whether the site has several providers: what is of one of them has a path of its own, and no other */
export function findRoute(table: RouteTable, path: string, hasSeveral: boolean): FoundRoute | undefined {
  const route = table.get(path)
  // Without a name the start of a sign-in goes to the default, or to the page on which the user chooses.
  if (route !== undefined) return !hasSeveral || !route.isOfProvider || isStart(route) ? { route } : undefined
  if (!hasSeveral) return undefined
  const end = path.lastIndexOf('/')
  const named = table.get(path.slice(0, end))
  return named?.isOfProvider ? { route: named, providerName: path.slice(end + 1) } : undefined
}

function isStart({ handle }: Route): boolean {
  return handle === login
}

/** Safe methods. They are handled without a log line, without a session and without the error handler of the site. */
const looking: readonly string[] = ['HEAD', 'OPTIONS', 'TRACE']

/** Handles requests that need no session and change nothing: a safe method, and a prefetch. Returns whether it responded. */
export function respondToPrefetch(
  { methods, refusesAhead, closes = false }: Route,
  { req, res }: Pick<RequestContext, 'req' | 'res'>,
): boolean {
  const isAhead = refusesAhead && isFetchedAhead(req)
  if (!isAhead && !looking.includes(req.method)) return false
  closeUnlessRead({ req, res }, closes)
  setPrivateHeaders(res)
  if (!isAhead) res.setHeader('Allow', methods.join(', '))
  // A browser throws away what it fetched ahead with an error status, and asks again when the user really goes there.
  res.statusCode = isAhead ? 503 : 405
  res.setHeader('Content-Length', '0')
  res.end()
  return true
}

/** Handles a request for one of our routes. */
export async function handleRoute({ route, providerName }: FoundRoute, request: RequestContext): Promise<void> {
  const { methods, otherMethods = [], handle, fail, closes = false } = route
  let context = request
  closeUnlessRead(context, closes)
  try {
    if (![...methods, ...otherMethods].includes(context.req.method)) throw wrongMethod(route)
    const { providers } = context.services
    if (providers !== undefined && providerName !== undefined)
      context = context.at(await findProvider(providers, providerName))
    await handle(context)
  } catch (error) {
    fail(context, error)
  }
}

/**
 * A body that was not read to its end is not read after the response either: the connection closes. Node would otherwise read on for as
 * long as the caller sends, to use the connection again.
 */
function closeUnlessRead({ req, res }: Pick<RequestContext, 'req' | 'res'>, closes: boolean): void {
  beforeHeaders(res, () => {
    if (closes || !req.complete) res.setHeader('Connection', 'close')
  })
}
