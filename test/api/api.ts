import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { readBody, startLoopbackServer } from '../support/loopback-server.js'

export interface ApiRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly token: string | undefined
  readonly body: string
}

export interface Api {
  readonly origin: string
  readonly requests: readonly ApiRequest[]
  /** Answers from now on; the body has been read. Default: 200 with `{}`. */
  respond(handler: (request: ApiRequest, response: ServerResponse) => void): void
  /** Takes requests unread from now on. */
  take(listener: (request: IncomingMessage, response: ServerResponse) => void): void
  close(): Promise<void>
}

/** An API that remembers what it was asked. */
export async function startApi(): Promise<Api> {
  const requests: ApiRequest[] = []
  let respond = (_request: ApiRequest, response: ServerResponse): void => void response.end('{}')
  let take: ((request: IncomingMessage, response: ServerResponse) => void) | undefined

  async function listen(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    if (take !== undefined) return take(incoming, response)
    const { method = '', url = '', headers } = incoming
    const token = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1]
    const request = { method, url, headers, token, body: await readBody(incoming) }
    requests.push(request)
    respond(request, response)
  }

  const server = await startLoopbackServer((incoming, response) => {
    listen(incoming, response).catch(() => response.destroy())
  })
  return {
    origin: `http://127.0.0.1:${server.port}`,
    requests,
    respond(next) {
      respond = next
    },
    take(listener) {
      take = listener
    },
    close: server.stop,
  }
}

/** RFC 6750 section 3.1. */
export function refuseToken(response: ServerResponse): void {
  response.writeHead(401, { 'www-authenticate': 'Bearer realm="api", error="invalid_token"' }).end('expired')
}
