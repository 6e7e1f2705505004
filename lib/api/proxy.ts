import type { IncomingMessage } from 'node:http'
import type { RequestHandler } from 'express'
import { OidcError } from '../errors.js'
import { getAccessToken } from '../http/access-token.js'
import { checkCsrfHeader, checkSessionHandle } from '../http/csrf-header.js'
import { respondWithError } from '../http/error-response.js'
import { type HttpRequest, type HttpResponse, type Next, pathOf } from '../http/node-http.js'
import type { RequestContext } from '../http/request-context.js'
import { contextOf } from '../http/request-state.js'
import type { SiteConfig } from '../options/config.js'
import { type ApiConnections, createApiConnections } from '../provider/api-connections.js'
import { userKeyOf } from '../store/ticket.js'
import type { AccessToken, AccessTokenOptions } from '../tokens/access-tokens.js'
import { keyOfToken } from '../tokens/bound-token.js'
import { isInvalidToken } from './api-fetch.js'
import { type Exchange, exchange, type Outcome } from './proxy-exchange.js'
import { requestHeaders } from './proxy-headers.js'
import { type ProxyOptions, type ProxySettings, parseProxyOptions } from './proxy-options.js'
import { checkTargetForm, pathForApi } from './proxy-path.js'
import { presentToken } from './proxy-proof.js'
import { checkConnection, type Framing, hasBody, type RequestFields, readFields, readFraming } from './proxy-request.js'
import { createProxySlots, type ProxySlots } from './proxy-slots.js'

/** What a proxy is made of; the same for every request. */
interface Proxy {
  readonly settings: ProxySettings
  readonly connections: ApiConnections
  readonly slots: ProxySlots
}

/** A request that may be forwarded. */
interface Call {
  readonly req: HttpRequest
  readonly res: HttpResponse
  readonly fields: RequestFields
  readonly framing: Framing
  readonly path: string
}

/**
 * Forwards calls of this site's own scripts to an API with the user's access token, so that no token reaches the browser. Bodies
 * stream both ways. Mount it behind the middleware and before any body parser.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS
 */
export function createProxy(config: SiteConfig, path: string, options: ProxyOptions): RequestHandler {
  const settings = parseProxyOptions(path, options)
  const { prefix, target, limits } = settings
  const proxy = { settings, connections: createApiConnections(target), slots: createProxySlots(limits) }
  return function forward(req: HttpRequest, res: HttpResponse, next: Next) {
    const path = pathOf(req)
    if (path !== prefix && !path.startsWith(`${prefix}/`)) return next()
    let context: RequestContext
    try {
      context = contextOf(req, config)
    } catch (error) {
      return next(error)
    }
    handle(proxy, context, req, res).catch(error => {
      // The site has responded itself, or the browser has disconnected: no response can be sent.
      if (!res.headersSent && !res.destroyed) respondWithError(context, error, next)
    })
  }
}

async function handle(proxy: Proxy, context: RequestContext, req: HttpRequest, res: HttpResponse): Promise<void> {
  const call = checkCall(proxy, context, req, res)
  const user = checkUser(context, req)
  const { wanted } = proxy.settings
  const token = await getAccessToken(context, wanted)
  const body = keyOfToken(token) && (await readSmallBody(call))
  const mayRepeat = body !== undefined || !hasBody(call.framing)
  const sending = { user, body, mayRepeat }
  const outcome = await send(proxy, context, call, { ...sending, token, keepsRefusal: mayRepeat })
  if (outcome !== 'refused') return
  const refreshed = await refresh(context, wanted, token)
  await send(proxy, context, call, { ...sending, token: refreshed, keepsRefusal: false })
}

/** Bytes of a body that is kept, so that it can be sent again. */
const MOST_KEPT = 64 * 1024

/** An API that wants another nonce says so only when it has the request. `undefined`: the body is too long, or it is not known how long. */
async function readSmallBody({ req, framing }: Call): Promise<Buffer | undefined> {
  if (framing === 'none' || framing === 'chunked' || framing.length > MOST_KEPT) return undefined
  const chunks: Buffer[] = []
  for await (const chunk of req) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** @throws {OidcError} what is wrong with the request */
function checkCall(
  { settings }: Proxy,
  { services: { site } }: RequestContext,
  req: HttpRequest,
  res: HttpResponse,
): Call {
  const { methods, forwarded } = settings
  try {
    const fields = readFields(req)
    const framing = readFraming(fields, req)
    checkConnection(fields, forwarded)
    checkCsrfHeader(req, { strict: false, baseUrl: site.baseUrl })
    if (!methods.has(req.method)) {
      const cause = { allow: [...methods].join(', ') }
      throw new OidcError('ERR_OIDC_REQUEST_METHOD', 'the proxy does not forward this method', { cause })
    }
    checkTargetForm(req.url)
    const path = pathForApi(req.url, settings)
    if (hasBody(framing) && req.readableDidRead)
      throw new OidcError('ERR_OIDC_OPTIONS', 'mount the proxy before body parsers: the body has been read already')
    return { req, res, fields, framing, path }
  } catch (error) {
    // What follows on this connection may be the rest of a request that was read in another way.
    if (error instanceof OidcError && error.code === 'ERR_OIDC_API_REQUEST' && !res.headersSent)
      res.setHeader('Connection', 'close')
    throw error
  }
}

/** @throws {OidcError} ERR_OIDC_LOGIN_REQUIRED, ERR_OIDC_SESSION_CHANGED */
function checkUser(context: RequestContext, req: HttpRequest): string {
  const ticket = context.ticket()
  if (ticket === undefined) throw new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'no user is signed in')
  checkSessionHandle(req, context.handle())
  return userKeyOf(ticket)
}

interface Sending {
  /** Whose turn it takes. */
  readonly user: string
  readonly token: AccessToken
  readonly body: Buffer | undefined
  readonly mayRepeat: boolean
  /** Whether a response that refuses the token is kept back, for another attempt. */
  readonly keepsRefusal: boolean
}

async function send(
  { settings, connections, slots }: Proxy,
  { services: { provider } }: RequestContext,
  call: Call,
  sending: Sending,
): Promise<Outcome> {
  const { req, res, fields, framing, path } = call
  const { user, token, body, mayRepeat, keepsRefusal } = sending
  const { method } = req
  const { forwarded, timeout, target } = settings
  const tls = await provider.certificate?.()
  const { authorization, proof, asksForNonce } = await presentToken(provider, token, {
    method,
    url: target.origin + path,
  })
  const release = await slots.acquire(user, leave => res.once('close', leave))
  try {
    if (res.headersSent || res.destroyed) return 'over'
    const headers = requestHeaders(fields, forwarded, { framing, method, authorization })
    const open = (alone: boolean) =>
      connections.open({ method, path, headers: { ...headers, ...proof() }, timeout, alone, tls })
    const judge = (incoming: IncomingMessage) => {
      if (asksForNonce(incoming) && mayRepeat) return 'challenged'
      return keepsRefusal && refusesToken(incoming) ? 'refused' : undefined
    }
    const parts = { req, res, open, hasBody: hasBody(framing), body, judge }
    const outcome = await exchangeSafely(parts)
    return outcome === 'challenged' ? await exchangeSafely(parts) : outcome
  } finally {
    release()
  }
}

/** Over a connection of before, and where that was dead, over a new one. @throws {OidcError} ERR_OIDC_API_UNAVAILABLE */
async function exchangeSafely(parts: Exchange): Promise<Outcome> {
  const { method } = parts.req
  // Not every server expects a body here, and one that does not would take it for the next request.
  const outcome = await exchange(parts, parts.hasBody && ['DELETE', 'OPTIONS'].includes(method))
  if (outcome !== 'stale') return outcome
  if (['GET', 'HEAD', 'OPTIONS'].includes(method)) return exchange(parts, true)
  const cause = { reason: 'ECONNRESET' }
  throw new OidcError('ERR_OIDC_API_UNAVAILABLE', 'the API closed the connection', { cause })
}

function refusesToken({ statusCode = 0, headers }: IncomingMessage): boolean {
  const challenge = new Headers({ 'www-authenticate': headers['www-authenticate'] ?? '' })
  return isInvalidToken({ status: statusCode, headers: challenge })
}

/** The token that was refused, where there is no better one: the API may then say what it has to say. */
async function refresh(context: RequestContext, wanted: AccessTokenOptions, token: AccessToken): Promise<AccessToken> {
  try {
    return await getAccessToken(context, { ...wanted, forceRefresh: true, refused: token.value })
  } catch (error) {
    const isOver = error instanceof OidcError && error.status === 401 && error.code !== 'ERR_OIDC_ACCESS_TOKEN_EXPIRED'
    if (isOver) throw error
    return token
  }
}
