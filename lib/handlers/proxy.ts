import type { IncomingMessage } from 'node:http'
import { pipeline } from 'node:stream'
import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { OidcError } from '../errors.js'
import { isSecureUrl } from '../protocol/url.js'
import type { AccessToken, AccessTokenOptions } from './access-tokens.js'
import { isInvalidToken } from './api-fetch.js'
import { checkOwnScript } from './own-script.js'
import { requestHeaders, responseHeaders } from './proxy-headers.js'
import { contextOf, type RequestContext } from './request-context.js'
import type { Site } from './site.js'

/** Where calls of the browser's scripts go, and with which token. */
export interface ProxyOptions {
  /** Address of the API; what follows the proxy's own path is added to it. https, or http on a loopback host. */
  readonly target: string | URL
  /** A token with this scope only. */
  readonly scope?: string
  /** A token for this API. RFC 8707. */
  readonly resource?: string
  /** Milliseconds without a byte from the API after which it counts as away. Default 30 000. */
  readonly timeout?: number
}

const DEFAULT_TIMEOUT = 30_000

/**
 * Forwards calls of this site's own scripts to an API with the person's access token, so that no token reaches the browser. Bodies
 * stream both ways. Mount it behind the middleware and before any body parser.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS
 */
export function createProxy(site: Site, path: string, options: ProxyOptions): RequestHandler {
  const target = parseTarget(options.target)
  const prefix = parsePath(path)
  const { scope, resource } = options
  const wanted = { ...(scope !== undefined && { scope }), ...(resource !== undefined && { resource }) }

  async function forwardRequest(context: RequestContext, req: Request, res: Response): Promise<void> {
    checkOwnScript(req, { strict: false, baseUrl: site.baseUrl })
    checkForwardable(req)
    const address = addressOf(req, prefix, target)
    const exchange = { req, res, address, timeout: options.timeout ?? DEFAULT_TIMEOUT }
    const token = await context.accessToken(wanted)
    const refused = await forward({ ...exchange, token, mayRefuse: !hasBody(req) })
    if (refused === undefined) return
    const renewed = await renew(context, wanted, token)
    await forward({ ...exchange, token: renewed, mayRefuse: false })
  }

  return function proxy(req: Request, res: Response, next: NextFunction) {
    if (req.path !== prefix && !req.path.startsWith(`${prefix}/`)) return next()
    let context: RequestContext
    try {
      context = contextOf(req)
    } catch (error) {
      return next(error)
    }
    forwardRequest(context, req, res).catch(error => context.fail(error, next))
  }
}

interface Forwarding {
  readonly req: Request
  readonly res: Response
  readonly address: URL
  readonly token: AccessToken
  readonly timeout: number
  /** Whether an answer that the token is invalid is kept back, for another attempt. */
  readonly mayRefuse: boolean
}

/** @returns `'refused'` for an answer that was kept back */
async function forward({ req, res, address, token, timeout, mayRefuse }: Forwarding): Promise<'refused' | undefined> {
  // Not every site has a proxy, and loading the library takes a quarter of the time all of this package takes.
  const { ProxyServer } = await import('httpxy')
  const proxy = new ProxyServer()
  return new Promise((resolve, reject) => {
    proxy.on('proxyRes', answer => {
      if (mayRefuse && isInvalidToken({ status: answer.statusCode ?? 0, headers: challengeOf(answer) })) {
        answer.resume().once('end', () => resolve('refused'))
        return
      }
      res.writeHead(answer.statusCode ?? 502, responseHeaders(answer.headers) as Record<string, string>)
      // A broken answer breaks the connection: half of it must not look whole.
      pipeline(answer, res, () => resolve(undefined))
    })
    const original = req.headers
    const authorization = `Bearer ${token.value}`
    // The library reads the headers in this very call, and has no other way to be told what not to forward.
    req.headers = requestHeaders(original) as typeof original
    const sent = proxy.web(req, res, {
      target: address,
      ignorePath: true,
      changeOrigin: true,
      selfHandleResponse: true,
      proxyTimeout: timeout,
      headers: { authorization },
    })
    req.headers = original
    sent.then(
      () => resolve(undefined),
      error => reject(unavailable(error)),
    )
  })
}

function challengeOf({ headers }: IncomingMessage): Headers {
  return new Headers({ 'www-authenticate': headers['www-authenticate'] ?? '' })
}

/** The token that was refused, where there is no better one: the API may then say what it has to say. */
async function renew(context: RequestContext, wanted: AccessTokenOptions, token: AccessToken): Promise<AccessToken> {
  try {
    return await context.renewAccessToken(wanted, token.value)
  } catch (error) {
    const isOver = error instanceof OidcError && error.status === 401 && error.code !== 'ERR_OIDC_ACCESS_TOKEN_EXPIRED'
    if (isOver) throw error
    return token
  }
}

function checkForwardable(req: Request): void {
  if (req.headers.upgrade !== undefined) {
    throw new OidcError('ERR_OIDC_API_UPGRADE', 'the proxy forwards no WebSocket; use oidc.authenticate(req) for those')
  }
  if (hasBody(req) && req.readableDidRead) {
    throw new OidcError('ERR_OIDC_OPTIONS', 'mount the proxy before body parsers: the body has been read already')
  }
}

function hasBody({ headers }: Request): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** What follows the proxy's path, below the target: dots that lead out of it are no way to another part of the API's host. */
function addressOf(req: Request, prefix: string, target: URL): URL {
  const base = target.pathname.replace(/\/$/, '')
  const address = new URL(target)
  const [path = '', ...query] = req.url.split('?')
  address.pathname = base + path.slice(prefix.length)
  address.search = query.length === 0 ? '' : `?${query.join('?')}`
  if (address.pathname !== base && !address.pathname.startsWith(`${base}/`)) {
    throw new OidcError('ERR_OIDC_REQUEST_MALFORMED', 'the path leads out of the API')
  }
  return address
}

function parseTarget(target: string | URL): URL {
  const url = URL.canParse(String(target)) ? new URL(target) : undefined
  if (url !== undefined && isSecureUrl(url) && url.search === '' && url.hash === '') return url
  throw new OidcError(
    'ERR_OIDC_OPTIONS',
    'the target of a proxy is an https URL (http on this machine) without a query',
  )
}

function parsePath(path: string): string {
  if (/^(?:\/[\w\-.~]+)+$/.test(path)) return path
  throw new OidcError(
    'ERR_OIDC_OPTIONS',
    'the path of a proxy begins with a slash, like "/api", and does not end with one',
  )
}

/** Only the code: what the network says may hold an address. */
function unavailable(error: unknown): OidcError {
  const { code } = error as { code?: unknown }
  const cause = { reason: typeof code === 'string' ? code : 'unknown' }
  return new OidcError('ERR_OIDC_API_UNAVAILABLE', 'the API did not answer', { cause })
}
