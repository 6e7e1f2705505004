import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'

/** An open port. Until `serve` names its application, every request gets 503 with `Retry-After`. */
export interface Listener {
  /** `http://host:port`, without a trailing slash. */
  readonly url: string
  serve(application: RequestListener): void
  close(): Promise<void>
}

/** RFC 9110 section 10.2.3: a browser, a health check or a script that waits for the sample tries again in a second. */
const sayStarting: RequestListener = (_req, res) => {
  res.writeHead(503, { 'Retry-After': '1', 'Cache-Control': 'no-store', 'Content-Type': 'text/plain; charset=utf-8' })
  res.end('The sample is starting. Please try again in a moment.\n')
}

/**
 * Opens a port first and takes the application later: the three servers have to know each other's addresses, and port 0 gets
 * its number only now.
 */
export async function listen(port: number, host: string): Promise<Listener> {
  let application = sayStarting
  const server = createServer((req, res) => application(req, res))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, host, resolve)
  })
  const { port: opened } = server.address() as AddressInfo
  return {
    url: `http://${host}:${opened}`,
    serve: ready => {
      application = ready
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        // Browsers keep connections open; waiting for them would keep Ctrl-C waiting.
        server.closeAllConnections()
      }),
  }
}
