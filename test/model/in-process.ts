import { IncomingMessage, type RequestListener, ServerResponse } from 'node:http'
import { Socket } from 'node:net'

export interface PlainRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

export interface PlainResponse {
  readonly status: number
  readonly location: string | undefined
  readonly setCookies: readonly string[]
  readonly text: string
}

/** Hands a request to an application without a connection: a hundred times as many fit into a second. */
export function send(app: RequestListener, { method, path, headers, body }: PlainRequest): Promise<PlainResponse> {
  const req = new IncomingMessage(new Socket())
  Object.assign(req, { method, url: path, complete: true })
  req.headers = {
    ...headers,
    ...(body !== undefined && {
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': String(Buffer.byteLength(body)),
    }),
  }
  if (body !== undefined) req.push(body)
  req.push(null)
  const res = new ServerResponse(req)
  const chunks: Buffer[] = []
  return new Promise(resolve => {
    const end = res.end.bind(res) as (...args: unknown[]) => ServerResponse
    res.end = ((...args: unknown[]) => {
      if (typeof args[0] === 'string' || args[0] instanceof Uint8Array) chunks.push(Buffer.from(args[0] as string))
      const ended = end(...args)
      resolve({
        status: res.statusCode,
        location: res.getHeader('location')?.toString(),
        setCookies: [res.getHeader('set-cookie') ?? []].flat().map(String),
        text: Buffer.concat(chunks).toString(),
      })
      return ended
    }) as ServerResponse['end']
    app(req, res)
  })
}
