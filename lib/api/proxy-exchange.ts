import type { ClientRequest, IncomingMessage } from 'node:http'
import { pipeline } from 'node:stream'
import { OidcError } from '../errors.js'
import type { HttpRequest, HttpResponse } from '../http/node-http.js'
import { cachingHeaders } from './proxy-caching.js'
import { responseHeaders } from './proxy-headers.js'

/** One request to the API, and where its response goes. */
export interface Exchange {
  readonly req: HttpRequest
  readonly res: HttpResponse
  /** Begins the request; `alone` on a connection of its own. */
  readonly open: (alone: boolean) => ClientRequest
  readonly hasBody: boolean
  /** The body, where it was read before. Left out: it is passed on as it comes. */
  readonly body?: Buffer | undefined
  /** Looks at a response before it is passed on: one that asks for another attempt is kept back. */
  readonly judge: (response: IncomingMessage) => Refusal | undefined
}

/** Why an API wants another request: the token is not good any more, or the proof needs another nonce. */
export type Refusal = 'refused' | 'challenged'

/** What has become of a request: the browser has its response (or has left), the API refused it, or a kept connection was dead. */
export type Outcome = 'over' | 'stale' | Refusal

/**
 * Sends one request and passes its response on. Whatever goes wrong destroys the connection to the API: the browser leaves, the API
 * responds before it has read the request, or says too much or too little. Nothing is thrown in an event.
 *
 * @throws {OidcError} ERR_OIDC_API_UNAVAILABLE
 */
export function exchange({ req, res, open, hasBody, body, judge }: Exchange, alone: boolean): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const outgoing = open(alone)
    const abandon = () => void outgoing.destroy()
    res.once('close', abandon)
    // A site that responds itself, or a browser that has left, wants nothing more.
    const isUnwanted = () => res.headersSent || res.writableEnded || res.destroyed
    const fail = (error: unknown) => {
      abandon()
      if (isUnwanted()) resolve('over')
      else reject(unavailable(error))
    }
    onSilence(outgoing, () => fail({ code: 'ETIMEDOUT' }))
    outgoing.on('upgrade', (_response, socket) => {
      socket.destroy()
      fail({ code: 'UPGRADE' })
    })
    outgoing.on('error', (error: Error & { readonly code?: string }) => {
      const isStale = outgoing.reusedSocket && !hasBody && ['ECONNRESET', 'EPIPE'].includes(error.code ?? '')
      if (isStale && !isUnwanted()) resolve('stale')
      else fail(error)
    })
    outgoing.on('response', incoming => {
      try {
        if (isUnwanted()) return fail(undefined)
        const refusal = judge(incoming)
        if (refusal !== undefined) {
          abandon()
          return resolve(refusal)
        }
        // An API that has responded before it read the whole request may take the rest of it for the next one.
        incoming.once('end', () => {
          if (!outgoing.writableFinished) outgoing.destroy()
        })
        passOn(incoming, res, () => resolve('over'))
      } catch (error) {
        fail(error)
      }
    })
    outgoing.once('close', () => {
      res.off('close', abandon)
      fail(undefined)
    })
    if (hasBody && body === undefined) sendBody(req, outgoing)
    else outgoing.end(body)
  })
}

/** A process that stood still hears of its timers before it reads what arrived meanwhile. Any byte restarts the time of Node's socket. */
function onSilence(outgoing: ClientRequest, giveUp: () => void): void {
  outgoing.on('timeout', () => {
    const read = outgoing.socket?.bytesRead
    setImmediate(() => {
      if (outgoing.socket?.bytesRead === read) giveUp()
    })
  })
}

function sendBody(req: HttpRequest, outgoing: ClientRequest): void {
  // A browser that breaks off has not sent what it announced; nor have we then.
  const breakOff = () => {
    if (!req.complete) outgoing.destroy()
  }
  req.once('error', breakOff)
  req.once('close', breakOff)
  outgoing.once('close', () => {
    req.off('close', breakOff)
    req.unpipe(outgoing)
    // What is left of the body has to be read all the same, so that the browser can use its connection again.
    req.resume()
  })
  req.pipe(outgoing)
}

/** @throws what is wrong with the head; nothing of it is left then */
function passOn(incoming: IncomingMessage, res: HttpResponse, done: () => void): void {
  const { statusCode = 0, headers } = incoming
  if (statusCode < 200 || statusCode > 599) throw Object.assign(new Error('status'), { code: 'STATUS' })
  const head = Object.entries({ ...responseHeaders(headers), ...cachingHeaders(headers, res.getHeaders()) })
  try {
    for (const [name, value] of head) res.setHeader(name, value)
  } catch (error) {
    for (const [name] of head) res.removeHeader(name)
    throw error
  }
  if (statusCode === 204) res.removeHeader('content-length')
  res.writeHead(statusCode)
  // A broken response breaks the connection: half of it must not look whole.
  pipeline(incoming, res, done)
  // What streams may have nothing to say for a while; what is short leaves together with its head.
  setImmediate(() => res.flushHeaders())
}

/** Only the code: what the network says may hold an address. */
function unavailable(error: unknown): OidcError {
  const { code } = (error ?? {}) as { readonly code?: unknown }
  const cause = { reason: typeof code === 'string' ? code : 'unknown' }
  return new OidcError('ERR_OIDC_API_UNAVAILABLE', 'the API did not respond', { cause })
}
