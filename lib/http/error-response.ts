import type { LogFields } from '../diagnostics/log.js'
import { OidcError } from '../errors.js'
import { publicPath, type SiteConfig } from '../options/config.js'
import { isSilentRefusal } from '../protocol/provider-error.js'
import { isFrame, prefersHtml } from './fetch-metadata.js'
import { type HttpResponse, isAnswerable, type Next, pathOf } from './node-http.js'
import { pageTextsFor, sentenceOf } from './page-texts.js'
import type { RequestContext } from './request-context.js'
import { correlationIdOf } from './request-state.js'
import { setPrivateHeaders } from './response.js'
import { pageAskedFor, returnToOf } from './return-to.js'
import { sendPage } from './send-page.js'

/** Characters of an address in a header. */
const longestHeaderAddress = 1000

/** Failures after which the sign-in looks first whether the browser keeps cookies. */
const cookieCodes: readonly string[] = ['ERR_OIDC_TRANSACTION_MISSING', 'ERR_OIDC_COOKIE_NOT_KEPT']

/** Headers about a body that an unfinished response may have set. */
const contentHeaders = [
  'Content-Length',
  'Content-Type',
  'Content-Encoding',
  'Content-Language',
  'ETag',
  'Last-Modified',
  'Location',
]

/**
 * The one way an error leaves this package: to the site's error handler, or, where the site has none, as a plain page (JSON for
 * programs) that repeats nothing from the request. The log has a line in both cases; that of our page carries the same correlation id.
 *
 * What looks like an error handler may only report errors and pass them on. Where Express would show its default page then, with a stack,
 * ours takes its place. With `oidc.errorHandler()` nothing is guessed.
 */
export function respondWithError(context: RequestContext, error: unknown, next: Next = context.next): void {
  const { res, services } = context
  try {
    const isOurs = error instanceof OidcError && !res.headersSent && isAnswerable(res)
    const hasHandler = isOurs && (services.errorHandling.isMade || hasErrorHandler(context))
    if (isOurs) announceFailure(context, error)
    if (hasHandler) logBesideHandler(context, error)
    if (hasHandler) replaceDefaultPage(context, error)
    if (isOurs && !hasHandler) renderError(context, error)
    else next(error)
  } catch (thrown) {
    abandon(context, thrown)
  }
}

/** What is needed of a request that is given up. */
interface Abandoned extends Pick<RequestContext, 'req' | 'res'> {
  readonly services: { readonly config: Pick<SiteConfig, 'log'> }
}

/**
 * Handles a failure of the response itself, such as a `next` of the site that throws asynchronously. Nothing would catch the error,
 * and the process would end, so it is logged and the browser gets an empty response.
 */
export function abandon({ req, res, services: { config } }: Abandoned, error: unknown): void {
  config.log(
    `${req.method} ${pathOf(req)}: the request was aborted, because an error was thrown${describeCause(error)}`,
    { level: 'error', method: req.method, path: pathOf(req) },
  )
  if (res.headersSent) {
    if (!res.writableEnded) res.destroy()
    return
  }
  for (const name of contentHeaders) res.removeHeader(name)
  res.statusCode = 500
  res.end()
}

/** Headers of the failure, also where the site writes its body. */
function announceFailure(context: RequestContext, error: OidcError): void {
  const { req, res } = context
  for (const name of contentHeaders) res.removeHeader(name)
  setPrivateHeaders(res)
  if (isOwnFrame(req)) res.setHeader('X-Frame-Options', 'SAMEORIGIN')
  addChallenge(context, error)
  for (const [name, value] of Object.entries(error.headers)) res.setHeader(name, value)
}

/** Adds the sign-in address to a 401 of this request, for the handler that responds with it. One challenge for each scheme: RFC 9110 section 11.6.1. */
export function addChallenge(context: RequestContext, error: unknown): void {
  if (!(error instanceof OidcError) || error.status !== 401) return
  const challenges = [`OpenIdConnect login_url="${shortSignInAddress(context, error)}"`, ...stepUp(error)]
  error.headers = { ...error.headers, 'WWW-Authenticate': challenges.join(', ') }
}

/** RFC 9470 section 3. The values are the site's own. */
function stepUp({ code, cause }: OidcError): string[] {
  if (code !== 'ERR_OIDC_STEP_UP_REQUIRED') return []
  const params = Object.entries(cause as object).map(([name, value]) => `, ${name}="${value}"`)
  return [`Bearer error="insufficient_user_authentication"${params.join('')}`]
}

/** 401 and 403 are expected, so they are not logged. */
function isUnexpected({ status }: OidcError): boolean {
  return status !== 401 && status !== 403
}

function describeFailure({ req }: RequestContext, { code, message, cause }: OidcError): string {
  return `${code} ${req.method} ${pathOf(req)}: ${message}${describeCause(cause)}`
}

/** Handlers show `sentence`, which does not name the cause. Bounded, because the handler may write a line of its own for each request. */
function logBesideHandler(context: RequestContext, error: OidcError): void {
  if (!isUnexpected(error) || isSilentRefusal(error.providerError)) return
  context.services.rareLog(error.code, describeFailure(context, error), fieldsOf(context, error))
}

function fieldsOf({ req }: RequestContext, { code, status }: OidcError): LogFields {
  const level = status < 500 ? 'warn' : 'error'
  return { level, code, status, method: req.method, path: pathOf(req), correlationId: correlationIdOf(req) }
}

function renderError(context: RequestContext, error: OidcError): void {
  const { req, res, services } = context
  const id = correlationIdOf(req)
  const signIn = signInAddress(context, error)
  if (isUnexpected(error)) {
    services.config.log(`[${id}] ${describeFailure(context, error)}`, fieldsOf(context, error))
  }
  res.statusCode = error.status
  if (prefersHtml(req)) sendErrorPage(context, error, signIn).catch(thrown => abandon(context, thrown))
  else {
    const body = { error: error.code, message: error.sentence, id, ...(signIn !== undefined && { login_url: signIn }) }
    res.setHeader('Content-Type', 'application/json')
    res.end(JSON.stringify(body))
  }
}

async function sendErrorPage(context: RequestContext, error: OidcError, signIn: string | undefined): Promise<void> {
  const { req, res, services } = context
  const { code, status } = error
  const texts = await pageTextsFor(services.config, req, res)
  // The site has responded meanwhile.
  if (res.headersSent) return
  const correlationId = correlationIdOf(req)
  const start = { href: publicPath(services.config, '/'), text: texts.startPage }
  const link = signIn === undefined ? start : { href: signIn, text: texts.startAgain }
  const content = {
    language: texts.language,
    title: status === 403 ? texts.notAllowed : texts.failed,
    message: sentenceOf(error, texts),
    // Providers show their pages in no frame.
    link: { ...link, ...(isFrame(req) && { target: '_top' as const }) },
    code,
    status,
    correlationId,
    report: texts.report.replace('{id}', correlationId),
  }
  sendPage(context, 'error', content, isOwnFrame(req) ? { policy: { frameAncestors: "'self'" } } : {})
}

/** The address that starts a sign-in and returns to the page that the user requested. */
function signInAddress(context: RequestContext, error: OidcError): string | undefined {
  const { config } = context.services
  if (config.routes.login === false || error.status === 403) return undefined
  // A page within a frame has to be come back to by way of the page around it.
  const wanted = isFrame(context.req)
    ? returnToOf(config, context.req.headers.referer)
    : pageAskedFor(context.req, config)
  const retry = cookieCodes.includes(error.code) && { retry: '1' }
  const query = new URLSearchParams({ returnTo: error.returnTo ?? wanted, ...retry })
  return `${publicPath(config, config.routes.login)}?${query}`
}

/** The same for a header. A long one would not fit into the head of a response, which proxies limit: the query of the page is left out. */
function shortSignInAddress(context: RequestContext, error: OidcError): string {
  const address = signInAddress(context, error) ?? ''
  return address.length <= longestHeaderAddress ? address : (address.split('%3F', 1)[0] ?? '')
}

/** Whether a page of the same origin shows the response in a frame. */
function isOwnFrame(req: RequestContext['req']): boolean {
  return isFrame(req) && req.headers['sec-fetch-site'] === 'same-origin'
}

interface Layer {
  readonly handle: { readonly length: number; readonly stack?: readonly Layer[] }
}

interface App {
  readonly parent?: App
  readonly _router?: { readonly stack: readonly Layer[] }
  readonly router?: { readonly stack: readonly Layer[] }
}

/**
 * Whether the site mounted an error handler: a function of four parameters, in the app the request is in now, in the one the middleware is
 * mounted on, or in one that these are mounted on. Express 4 and 5 keep them in different places.
 */
function hasErrorHandler({ req, app }: RequestContext): boolean {
  const includesOne = (stack: readonly Layer[]): boolean =>
    stack.some(({ handle }) => handle.length === 4 || (handle.stack !== undefined && includesOne(handle.stack)))
  const isHandling = (given: unknown): boolean => {
    for (let current = given as App | undefined; current !== undefined; current = current.parent) {
      if (includesOne((current._router ?? current.router)?.stack ?? [])) return true
    }
    return false
  }
  return isHandling(req.app) || isHandling(app)
}

/** How the page of the package `finalhandler` begins, which responds where no handler of an app did. */
const DEFAULT_PAGE = /^<!doctype html>\s*<html lang="en">\s*<head>\s*<meta charset="utf-8">\s*<title>Error<\/title>/i

function replaceDefaultPage(context: RequestContext, error: OidcError): void {
  const { res } = context
  const end = res.end as (...args: unknown[]) => HttpResponse
  res.end = ((...args: unknown[]) => {
    res.end = end as HttpResponse['end']
    const [body] = args
    const isDefault = typeof body === 'string' && DEFAULT_PAGE.test(body) && res.statusCode === error.status
    if (!isDefault || res.headersSent) return end.apply(res, args)
    announceFailure(context, error)
    renderError(context, error)
    return res
  }) as HttpResponse['end']
}

/** An error handler for the end of an app: responds to errors of this package, and hands on all others. */
export function handleError(context: RequestContext | undefined, error: unknown, next: Next): void {
  if (context === undefined || !(error instanceof OidcError) || context.res.headersSent) {
    next(error)
    return
  }
  try {
    announceFailure(context, error)
    renderError(context, error)
  } catch (thrown) {
    abandon(context, thrown)
  }
}

/** Details for the log: only what this package wrote, or the code of a foreign error, whose text could hold anything. */
function describeCause(cause: unknown): string {
  if (cause === undefined) return ''
  if (cause instanceof Error) return ` (${(cause as { code?: string }).code ?? cause.name})`
  return ` (${JSON.stringify(cause)})`
}
