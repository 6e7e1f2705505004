import http, { type ClientRequest, type IncomingMessage } from 'node:http'
import https from 'node:https'
import type { Duplex } from 'node:stream'
import { monotonic } from '../time.js'
import { decodeText, tooLarge, unpack } from './body.js'
import type { CertificateSource, TlsOptions } from './client-certificate.js'
import { isRedirectStatus, type ProviderResponse, type ResponseHeaders, type Transport } from './transport.js'

/** Milliseconds an idle connection is kept. Many servers close it after five seconds, and what is sent just then is lost. */
const LONGEST_IDLE = 2000

/** Milliseconds before the end a server has announced. */
const MARGIN = 1000

/**
 * Node's own client over kept connections. A sign-in asks the provider twice, and `fetch` takes twice the CPU for it. `request` is looked up at each
 * call, because tracing tools replace it to send the context of a trace.
 */
export function createNodeTransport(certificate?: CertificateSource): Transport {
  // First in, first out: those that have rested longest are in front, where the agent passes over what is destroyed.
  const kept = { keepAlive: true, timeout: LONGEST_IDLE, scheduling: 'fifo' } as const
  const agents = { plain: new http.Agent(kept), secure: new https.Agent(kept) }

  return ({ method, url, headers, body, limit, isRepeat }) => {
    let request: ClientRequest | undefined
    let isCancelled = false
    const send = (tls: Partial<TlsOptions>) =>
      new Promise<ProviderResponse>((resolve, reject) => {
        if (isCancelled) return reject(new Error('cancelled'))
        const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
        const common = { method, headers: { ...headers, ...length } }
        const isSecure = url.protocol === 'https:'
        dropRested(isSecure ? agents.secure : agents.plain)
        request = isSecure
          ? https.request(url, { ...common, ...tls, agent: !isRepeat && agents.secure })
          : http.request(url, { ...common, agent: !isRepeat && agents.plain })
        request.on('error', reject)
        request.on('response', response => void receive(response, limit).then(resolve, reject))
        // No upgrade was requested, so what follows is not an HTTP response.
        request.on('upgrade', (_response, socket) => {
          socket.destroy()
          reject(new Error('upgrade'))
        })
        request.end(body)
      })
    const isPresented = certificate !== undefined && url.protocol === 'https:'
    const cancel = () => {
      isCancelled = true
      request?.destroy()
    }
    return { response: isPresented ? certificate().then(send) : send({}), cancel }
  }
}

/** Until when a connection may be used again, on the clock of `monotonic()`. */
const usableUntil = new WeakMap<Duplex, number>()

/** Looked at when a connection is wanted: a timer comes late in a process that was busy, which is when a server has closed it. */
function dropRested({ freeSockets }: http.Agent): void {
  const now = monotonic()
  for (const sockets of Object.values(freeSockets)) {
    // One that is destroyed leaves the list.
    for (const socket of sockets?.filter(each => (usableUntil.get(each) ?? 0) < now) ?? []) socket.destroy()
  }
}

function setIdleLimit({ socket, headers }: IncomingMessage): void {
  const announced = /\btimeout=(\d+)/.exec(String(headers['keep-alive'] ?? ''))?.[1]
  const idle = announced === undefined ? LONGEST_IDLE : Math.min(LONGEST_IDLE, Number(announced) * 1000 - MARGIN)
  usableUntil.set(socket, monotonic() + idle)
}

async function receive(response: IncomingMessage, limit: number): Promise<ProviderResponse> {
  setIdleLimit(response)
  const { statusCode: status = 0, headers } = response
  const isRedirect = isRedirectStatus(status)
  if (Number(headers['content-length'] ?? 0) > limit) throw tooLarge()
  const bytes = await readBody(response, limit)
  const encoding = headers['content-encoding']?.trim().toLowerCase() || 'identity'
  const text = isRedirect ? '' : decodeText(await unpack(bytes, encoding, limit))
  return { status, isRedirect, headers: headersOf(response), text }
}

function readBody(response: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    response.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length > limit) reject(tooLarge())
      else chunks.push(chunk)
    })
    response.on('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)))
    response.on('error', reject)
    // After the end as well, where it says nothing any more: an error costs what two hashes do.
    response.on('close', () => response.readableEnded || reject(new Error('closed')))
  })
}

function headersOf({ headers }: IncomingMessage): ResponseHeaders {
  return {
    get(name) {
      const value = headers[name]
      return (Array.isArray(value) ? value.join(', ') : value) ?? null
    },
  }
}
