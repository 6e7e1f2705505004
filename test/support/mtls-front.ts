import { once } from 'node:events'
import { type IncomingMessage, request as onwardRequest, type ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { createSelfSigned } from '../attacks/self-signed.js'
import { CERTIFICATE_HEADER } from './hostile-requests.js'

export interface MtlsFront {
  /** As clients see it. */
  readonly origin: string
  /** The certificate of the server, which clients have to trust. */
  readonly ca: string
  /** What is behind it. */
  target: (request: IncomingMessage, response: ServerResponse) => void
  close(): Promise<void>
}

/** A TLS server that asks every client for a certificate and takes any, as RFC 8705 has it for self-signed ones. */
export async function startMtlsFront(): Promise<MtlsFront> {
  const { key, cert } = createSelfSigned()
  const front: MtlsFront = {
    origin: '',
    ca: cert,
    target: (_request, response) => void response.writeHead(502).end(),
    async close() {
      server.close()
      server.closeAllConnections()
    },
  }
  const server = createServer({ key, cert, requestCert: true, rejectUnauthorized: false }, (request, response) =>
    front.target(request, response),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(front, { origin: `https://localhost:${(server.address() as AddressInfo).port}` })
}

/** Hands requests on to a server that speaks plain HTTP, with the fingerprint of the certificate in a header. */
export function handOnTo(port: number): MtlsFront['target'] {
  return (request, response) => {
    const { fingerprint256: certificate } = (request.socket as TLSSocket).getPeerCertificate()
    const { [CERTIFICATE_HEADER]: _, ...headers } = request.headers
    const onward = onwardRequest({
      host: '127.0.0.1',
      port,
      method: request.method,
      path: request.url,
      headers: { ...headers, 'x-forwarded-proto': 'https', ...(certificate && { [CERTIFICATE_HEADER]: certificate }) },
    })
    onward.on('error', () => response.destroy())
    onward.on('response', incoming => {
      response.writeHead(incoming.statusCode ?? 502, incoming.headers)
      incoming.pipe(response)
    })
    request.pipe(onward)
  }
}
