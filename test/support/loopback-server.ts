import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export interface LoopbackServer {
  readonly port: number
  /** Ends every connection at once and frees the port; {@link start} takes the same port again. */
  stop(): Promise<void>
  start(): Promise<void>
}

/** A server on 127.0.0.1 that can go away and come back. `port` 0 takes a free one. */
export async function startLoopbackServer(listener: RequestListener, port = 0): Promise<LoopbackServer> {
  const sockets = new Set<Socket>()
  const server = createServer(listener)
  server.on('connection', socket => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  const listen = (wanted: number) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(wanted, '127.0.0.1', () => {
        server.off('error', reject)
        resolve()
      })
    })
  await listen(port)
  const taken = (server.address() as AddressInfo).port
  return {
    port: taken,
    start: () => listen(taken),
    stop: () =>
      new Promise(resolve => {
        if (!server.listening) return resolve()
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

/** The body of a request, unread until now. */
export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

export function delay(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, milliseconds))
}

export function redirect(response: ServerResponse, location: string, status = 303): void {
  response.writeHead(status, { location }).end()
}
