import type { RareLog } from '../diagnostics/rare-log.js'
import { type Config, publicPath } from '../options/config.js'
import { parseReturnTo } from '../protocol/return-to.js'
import { isFrame, isNavigation } from './fetch-metadata.js'
import { addressOf, type HttpRequest } from './node-http.js'

/**
 * Checks where a user may return to after a sign-in or a sign-out: a page of this site, but not one of our own routes, which are steps of the
 * way and no place to stay. Everything else is the start page of the site.
 */
export function returnToOf(config: Config, wanted: unknown): string {
  return readReturnTo(config, wanted) ?? publicPath(config, '/')
}

/** The same, for a caller that has another idea than the start page. */
export function readReturnTo(config: Config, wanted: unknown): string | undefined {
  const path = parseReturnTo(wanted, config.baseUrl)
  return path === undefined || isOurs(config, path) ? undefined : path
}

/** Says in the log that a call of the site named a place that users are never sent to: they land elsewhere, and nothing else shows it. */
export function logForeignReturnTo(
  { config, rareLog }: { readonly config: Config; readonly rareLog: RareLog },
  call: string,
  wanted: string | undefined,
): void {
  if (wanted === undefined || parseReturnTo(wanted, config.baseUrl) !== undefined) return
  rareLog(
    call,
    `${call}: returnTo is not a page of this site, so the user gets another page; see "To another host" in docs/recipes.md`,
  )
}

/** Characters of a page, as it is written in a query, that fit into the head of a response beside cookies and headers of the site. */
const LONGEST_IN_HEAD = 1000

/**
 * The page to return to, for a cookie or for the query of an address: nginx, with its defaults, returns 502 for a head of more than 4,096
 * bytes. One that is too long loses its query, and one that is still too long is the start page.
 */
export function returnToInHead(config: Config, path: string): string {
  const fits = (candidate: string) => encodeURIComponent(candidate).length <= LONGEST_IN_HEAD
  const [withoutQuery = ''] = path.split(/[?#]/, 1)
  return [path, withoutQuery].find(fits) ?? publicPath(config, '/')
}

/** Paths that are no place to land on. */
const pathsOfSteps = new WeakMap<Config, ReadonlySet<string>>()

/** @param path as {@link parseReturnTo} has made it, which has parsed it */
function isOurs(config: Config, path: string): boolean {
  const [pathname = ''] = path.split(/[?#]/, 1)
  const steps = pathsOfSteps.get(config) ?? findSteps(config)
  return steps.has(pathname) || (config.hasSeveralProviders && [...steps].some(step => pathname.startsWith(`${step}/`)))
}

function findSteps(config: Config): ReadonlySet<string> {
  const steps = new Set<string>()
  for (const [name, route] of Object.entries(config.routes)) {
    // The end of a sign-in in a popup is a place to land on, and so is a form that was kept meanwhile.
    if (route !== false && name !== 'popup' && name !== 'keptForm') steps.add(publicPath(config, route))
  }
  pathsOfSteps.set(config, steps)
  return steps
}

/** The header in which a script may name its page. */
const pageHeader = 'x-return-to'

/** The form field in which a page may name itself. */
const pageField = 'returnTo'

/**
 * The page a user who is not signed in wanted. A script's call and a posted form have no page of their own: the one that they name, or the
 * one they came from, which `Referrer-Policy: no-referrer` hides. What they name is checked as every other such address is.
 */
export function pageAskedFor(req: HttpRequest, config: Config): string {
  const isPage = (isNavigation(req) || isFrame(req)) && req.method === 'GET'
  if (isPage) return returnToOf(config, addressOf(req))
  return readReturnTo(config, namedPage(req)) ?? returnToOf(config, req.headers.referer)
}

/** The form field counts where a body parser has read it. */
function namedPage({ headers, body }: HttpRequest): unknown {
  const fields = typeof body === 'object' && body !== null ? body : {}
  return headers[pageHeader] ?? (Object.hasOwn(fields, pageField) ? Reflect.get(fields, pageField) : undefined)
}
