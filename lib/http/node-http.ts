import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Request as ExpressRequest } from 'express'

// What this package needs of a request and of a response: those of `node:http`, with what express-session adds. Nothing here and above
// uses the methods of Express, so that it also runs in Connect, in a plain server of Node and in the handshake of a WebSocket.

/** A request of `node:http`, or of Express, which adds more. */
export interface HttpRequest extends IncomingMessage, Express.Request {
  method: string
  url: string
  /** The address as the browser sent it, where the request was handed to a router that is mounted below a path. */
  originalUrl?: string
  /** What a body parser has read. */
  body?: unknown
  /** The app that handles the request now. */
  readonly app?: unknown
}

/** A response of `node:http`, or of Express. */
export type HttpResponse = ServerResponse

/** Hands a request on. */
export type Next = (error?: unknown) => void

/** The request for what is typed for Express: hooks of the site, and stores of express-session. */
export function asExpressRequest(req: HttpRequest): ExpressRequest {
  return req as unknown as ExpressRequest
}

/** The path of a request, relative to where the middleware is mounted. As `req.path` of Express. */
export function pathOf({ url = '' }: Pick<IncomingMessage, 'url'>): string {
  const end = url.search(/[?#]/)
  const path = end === -1 ? url : url.slice(0, end)
  return path.startsWith('/') ? path : withoutAuthority(path)
}

/** Scheme and authority of a target as a forward proxy gets it: `http://host/path` (RFC 9112 section 3.2.2). */
const authority = /^[a-z][a-z\d+.-]*:\/\/[^/]*/i

/** The path is cut off the text and not parsed, so that nothing in it is decoded, encoded or normalized. */
function withoutAuthority(target: string): string {
  return target.replace(authority, '') || '/'
}

/** Path and query of a request as the browser sent it. */
export function addressOf({ originalUrl, url = '/' }: Pick<IncomingMessage, 'url'> & { originalUrl?: string }): string {
  return originalUrl ?? url
}

/** The query of a request, without its `?`. */
export function queryTextOf({ url = '' }: Pick<IncomingMessage, 'url'>): string {
  const [address = ''] = url.split('#', 1)
  const mark = address.indexOf('?')
  return mark === -1 ? '' : address.slice(mark + 1)
}

/** The parameters of the query, whatever `query parser` the app is set to. */
export function queryOf(req: Pick<IncomingMessage, 'url'>): URLSearchParams {
  return new URLSearchParams(queryTextOf(req))
}

/** A parameter that is in the query exactly once. */
export function onlyParameter(query: URLSearchParams, name: string): string | undefined {
  const [value, ...others] = query.getAll(name)
  return others.length === 0 ? value : undefined
}

/** Adds a field name to `Vary`. RFC 9110 section 12.5.5. */
export function addVary(res: Pick<ServerResponse, 'getHeader' | 'setHeader'>, name: string): void {
  const value = [res.getHeader('Vary') ?? []].flat().join(', ')
  const named = value.split(',').map(field => field.trim().toLowerCase())
  if (named.includes('*') || named.includes(name.toLowerCase())) return
  res.setHeader('Vary', value === '' ? name : `${value}, ${name}`)
}

/** The response of a request that gets its response elsewhere, such as a WebSocket's. Whatever is written to it is lost. */
class DetachedResponse extends ServerResponse {}

const methods = ['setHeader', 'getHeader', 'removeHeader', 'writeHead', 'end'] as const

/**
 * The response that a request came with; another one where nothing can be sent by it: WebSocket libraries call a middleware with `{}`, or
 * with an object that has some of the methods and takes them away after the handshake.
 */
export function responseFor(req: IncomingMessage, res: unknown): HttpResponse {
  const isUsable =
    typeof res === 'object' &&
    res !== null &&
    'headersSent' in res &&
    methods.every(name => typeof Reflect.get(res, name) === 'function')
  return isUsable ? (res as HttpResponse) : new DetachedResponse(req)
}

/** Whether a response reaches the caller. That of a WebSocket's handshake does not: the library responds. */
export function isAnswerable(res: object): boolean {
  return !(res instanceof DetachedResponse)
}
