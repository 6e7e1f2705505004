import { type IncomingHttpHeaders, type RequestOptions, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'

export interface RawRequest {
  readonly url: string
  readonly method?: string
  /** Sent as they stand; an array sends the header several times. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string | Buffer
  readonly signal?: AbortSignal
}

export interface RawResponse {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly setCookies: readonly string[]
  readonly text: string
}

/**
 * One request, one response, nothing added and nothing followed. Node's own `fetch` is not used because it sets
 * `Sec-Fetch-Mode` itself and a browser's headers could not be imitated.
 */
export function send({ url, method = 'GET', headers = {}, body, signal }: RawRequest): Promise<RawResponse> {
  const target = new URL(url)
  const isTls = target.protocol === 'https:'
  const options: RequestOptions & { rejectUnauthorized: boolean } = {
    method,
    host: addressOf(target.hostname),
    port: target.port || (isTls ? 443 : 80),
    path: `${target.pathname}${target.search}`,
    headers: { host: target.host, ...lengthOf(body), ...copyHeaders(headers) },
    agent: false,
    rejectUnauthorized: false,
    ...(signal && { signal }),
  }
  return new Promise((resolve, fail) => {
    // Whom it was about is not in every error of Node's.
    const reject = (error: Error) => fail(Object.assign(error, { port: Number(options.port) }))
    const request = (isTls ? requestHttps : requestHttp)(options, response => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          setCookies: response.headers['set-cookie'] ?? [],
          text: Buffer.concat(chunks).toString(),
        }),
      )
    })
    request.on('error', reject)
    request.end(body)
  })
}

/** The servers of the tests listen on IPv4, and browsers resolve every name under localhost to the loopback by themselves. */
function addressOf(hostname: string): string {
  return /(^|\.)localhost$/.test(hostname) ? '127.0.0.1' : hostname.replace(/^\[|\]$/g, '')
}

function lengthOf(body: string | Buffer | undefined): Record<string, number> {
  return body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
}

function copyHeaders(headers: NonNullable<RawRequest['headers']>): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? value : [...value]]),
  )
}
