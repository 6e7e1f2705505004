import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A port that is open and waits for the application that answers on it. */
export interface Listener {
  /** `http://host:port`, without a trailing slash. */
  readonly url: string
  serve(application: RequestListener): void
  close(): Promise<void>
}

/**
 * Opens a port first and takes the application later: the three servers have to know each other's addresses, and port 0 gets
 * its number only now.
 */
export async function listen(port: number, host: string): Promise<Listener> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, host, resolve)
  })
  const { port: opened } = server.address() as AddressInfo
  return {
    url: `http://${host}:${opened}`,
    serve: application => void server.on('request', application),
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        // Browsers keep connections open; waiting for them would keep Ctrl-C waiting.
        server.closeAllConnections()
      }),
  }
}
