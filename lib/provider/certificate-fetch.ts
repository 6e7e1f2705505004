import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { Readable } from 'node:stream'
import type { ReadableStream as WebStream } from 'node:stream/web'
import type { CertificateSource } from './client-certificate.js'

/** Milliseconds an idle connection is kept. */
const MOST_IDLE = 4000

const EMPTY = new Set([101, 204, 205, 304])

/**
 * `fetch` that shows the certificate of this site, which the `fetch` of the platform cannot do. It follows no redirect, asks for no
 * compression, and sends a body as it is given. `request` is looked up at each call, because tracing tools replace it.
 */
export function createCertificateFetch(certificate: CertificateSource): typeof globalThis.fetch {
  const agent = new https.Agent({ keepAlive: true, timeout: MOST_IDLE })

  return async (input, init) => {
    const request = new Request(input as string, { ...init, ...(init?.body && { duplex: 'half' as const }) })
    const url = new URL(request.url)
    const isStream = init?.body instanceof ReadableStream
    const body = isStream || request.body === null ? undefined : Buffer.from(await request.arrayBuffer())
    const headers = {
      'accept-encoding': 'identity',
      ...Object.fromEntries(request.headers),
      ...(body && { 'content-length': String(body.length) }),
    }
    const { method, signal } = request
    const options = { method, headers, signal }
    const outgoing =
      url.protocol === 'https:'
        ? https.request(url, { ...options, ...(await certificate()), agent })
        : http.request(url, options)
    const response = new Promise<Response>((resolve, reject) => {
      outgoing.on('error', error => reject(new TypeError('fetch failed', { cause: error })))
      outgoing.on('response', incoming => resolve(responseOf(incoming)))
    })
    if (isStream && request.body) Readable.fromWeb(request.body as WebStream).pipe(outgoing)
    else outgoing.end(body)
    return response
  }
}

function responseOf(incoming: IncomingMessage): Response {
  const { statusCode: status = 502, statusMessage: statusText = '', rawHeaders } = incoming
  const headers = new Headers()
  for (let index = 0; index < rawHeaders.length; index += 2) {
    headers.append(rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '')
  }
  const hasBody = !EMPTY.has(status)
  if (!hasBody) incoming.resume()
  const body = hasBody ? (Readable.toWeb(incoming) as ReadableStream<Uint8Array>) : null
  return new Response(body, { status, statusText, headers })
}
