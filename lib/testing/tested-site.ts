import { createServer, request as httpRequest, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'

/** A site that is running somewhere, by its address, or one that listens nowhere yet: an Express application. */
export type TestedSite = string | URL | RequestListener

/** Asks the site for a path, or for an address below its own, like a browser that shows a page. */
export type Send = (path: string, options?: SendOptions) => Promise<SiteResponse>

export interface SendOptions {
  /** The `Cookie` header. */
  readonly cookie?: string
  /** A form to post, urlencoded. */
  readonly form?: string
}

export interface SiteResponse {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/**
 * An application that listens nowhere does so for as long as `work` takes.
 *
 * @param host - the `Host` of every request, where it is not that of the address
 * @param work - `below` is the path of the site's address, without a slash at its end
 */
export async function withSite<T>(
  site: TestedSite,
  host: string | undefined,
  work: (send: Send, below: string) => Promise<T>,
): Promise<T> {
  if (typeof site !== 'function') {
    const address = new URL(site)
    return work(senderTo(address, host), address.pathname.replace(/\/+$/, ''))
  }
  const server = createServer(site)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve)
  })
  try {
    return await work(senderTo(new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), host), '')
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

/** Plain requests, because the platform's `fetch` says of itself that it is a script and shows no page. */
function senderTo(base: URL, host: string | undefined): Send {
  const request = base.protocol === 'https:' ? httpsRequest : httpRequest
  return (path, { cookie, form } = {}) =>
    new Promise((resolve, reject) => {
      const headers = {
        accept: 'text/html',
        'sec-fetch-mode': 'navigate',
        'sec-fetch-dest': 'document',
        ...(host !== undefined && { host }),
        ...(cookie !== undefined && cookie !== '' && { cookie }),
        ...(form !== undefined && {
          'content-type': 'application/x-www-form-urlencoded',
          'content-length': Buffer.byteLength(form),
        }),
      }
      const options = { method: form === undefined ? 'GET' : 'POST', headers, agent: false as const }
      request(new URL(path, base.origin), options, response => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text })
        })
      })
        .on('error', reject)
        .end(form)
    })
}
