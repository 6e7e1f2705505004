import { request as forward, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import type { HostileProvider } from '../support/hostile-provider.js'
import { readBody, startLoopbackServer } from '../support/loopback-server.js'

/** The endpoints a site asks without a browser. */
export const backEndpoints = ['discovery', 'jwks', 'token', 'userinfo'] as const
export type BackEndpoint = (typeof backEndpoints)[number]

/** Does something else with a request that was read to its end. */
export type Act = (req: IncomingMessage, res: ServerResponse) => void

/** Stands in front of a provider, and breaks the rules of HTTP where a test says so. */
export interface Rogue {
  readonly url: string
  /** The options that lead a site here. */
  readonly oidc: { readonly metadataUrl: string; readonly endpoints: Readonly<Record<string, string>> }
  act(endpoint: BackEndpoint, act: Act): void
  heal(): void
  count(endpoint: BackEndpoint): number
  /** Connections that carried a request of an {@link act} and are still open. */
  readonly stuck: number
  close(): Promise<void>
}

const paths: Readonly<Record<string, BackEndpoint>> = {
  '/.well-known/openid-configuration': 'discovery',
  '/jwks': 'jwks',
  '/token': 'token',
  '/userinfo': 'userinfo',
}

export async function startRogue(provider: Pick<HostileProvider, 'port'>): Promise<Rogue> {
  const acts = new Map<BackEndpoint, Act>()
  const counts = new Map<BackEndpoint, number>()
  const stuck = new Set<Socket>()

  const server = await startLoopbackServer(async (req, res) => {
    const endpoint = paths[req.url ?? '']
    if (endpoint !== undefined) counts.set(endpoint, (counts.get(endpoint) ?? 0) + 1)
    const act = endpoint && acts.get(endpoint)
    const { socket } = req
    const body = await readBody(req).catch(() => '')
    if (act === undefined) return pass(provider.port, req, res, body)
    stuck.add(socket)
    socket.on('error', () => {}).on('close', () => stuck.delete(socket))
    // A whole response, however wrong, leaves a connection that may be used again.
    res.on('finish', () => stuck.delete(socket))
    act(req, res)
  })
  const url = `http://127.0.0.1:${server.port}`
  return {
    url,
    oidc: {
      metadataUrl: `${url}/.well-known/openid-configuration`,
      endpoints: { jwks_uri: `${url}/jwks`, token_endpoint: `${url}/token`, userinfo_endpoint: `${url}/userinfo` },
    },
    act: (endpoint, act) => void acts.set(endpoint, act),
    heal: () => acts.clear(),
    count: endpoint => counts.get(endpoint) ?? 0,
    get stuck() {
      return stuck.size
    },
    close: server.stop,
  }
}

function pass(port: number, req: IncomingMessage, res: ServerResponse, body: string): void {
  const { method, url, headers } = req
  const onward = forward({ host: '127.0.0.1', port, method, path: url, headers, agent: false }, response => {
    res.writeHead(response.statusCode ?? 502, response.headers)
    response.pipe(res)
  })
  onward.on('error', () => res.destroy())
  onward.end(body)
}

const MiB = 1024 * 1024
const json = { 'content-type': 'application/json' }
const page = { 'content-type': 'text/html' }
const bomb = gzipSync(Buffer.alloc(50 * MiB, ' '))

const says =
  (status: number, headers: Record<string, string>, body: string | Buffer): Act =>
  (_req, res) =>
    void res.writeHead(status, headers).end(body)

const raw =
  (text: string): Act =>
  ({ socket }) =>
    void socket.end(text)

/** Faults after which the exchange hangs, until the client aborts it. */
export const hanging: Readonly<Record<string, Act>> = {
  'never answers': () => {},
  'says 100 Continue again and again': (_req, res) => repeat(res, () => res.writeContinue()),
  'sends headers and nothing else': (_req, res) => void res.writeHead(200, json).flushHeaders(),
  'sends one byte of the body now and then': (_req, res) => {
    res.writeHead(200, json)
    repeat(res, () => res.write(' '))
  },
  'sends one byte of the headers now and then': ({ socket }, res) => repeat(res, () => socket.write('H')),
}

/** Faults that cut the response. */
export const cutting: Readonly<Record<string, Act>> = {
  'closes the connection': ({ socket }) => void socket.end(),
  'resets the connection': ({ socket }) => void socket.resetAndDestroy(),
  'resets the connection in the middle of the body': ({ socket }, res) =>
    void res.writeHead(200, { ...json, 'content-length': '500' }).write('{"issuer":', () => socket.resetAndDestroy()),
  'says less than it announced': raw(
    'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{',
  ),
  'cuts a chunked body short': raw(
    'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"a":',
  ),
}

/** Faults that end the exchange. */
export const ending: Readonly<Record<string, Act>> = {
  ...cutting,
  'speaks no HTTP': raw('220 mail.example.com ESMTP\r\n'),
  'sends more headers than a client reads': says(200, { ...json, 'x-long': 'x'.repeat(200_000) }, '{}'),
  'never stops sending': (_req, res) => {
    const piece = Buffer.alloc(65_536, ' ')
    res.writeHead(200, json)
    const send = () => {
      while (!res.destroyed && res.write(piece));
    }
    res.on('drain', send)
    send()
  },
  'announces 50 MiB': (_req, res) => void res.writeHead(200, { ...json, 'content-length': `${50 * MiB}` }).write('{'),
  'sends a gzip bomb': says(200, { ...json, 'content-encoding': 'gzip' }, bomb),
  'says 500': says(500, json, '{"error":"server_error"}'),
  'says 503 with a page': says(503, page, '<h1>Back soon</h1>'),
  'says 429': says(429, json, '{"error":"slow_down"}'),
  'says 404': says(404, page, '<h1>Nothing here</h1>'),
  'says 204': says(204, {}, ''),
  'says 200 and nothing': says(200, json, ''),
  'says 200 with a page': says(200, page, '<h1>Welcome to the hotel network</h1>'),
  'says 200 with damaged JSON': says(200, json, '{"issuer":'),
  'says 200 with null': says(200, json, 'null'),
  'says 200 with a list': says(200, json, '[]'),
  'says 200 with an empty object': says(200, json, '{}'),
  'says 200 with text that is no UTF-8': says(200, json, Buffer.from([0x7b, 0xff, 0xfe, 0x7d])),
  'says 200 with JSON nested 100 000 deep': says(200, json, '['.repeat(100_000) + ']'.repeat(100_000)),
}

/** Redirects of every kind, to hosts that must get no request. */
export function redirects(evil: string): Readonly<Record<string, Act>> {
  const targets = { 'a foreign host': evil, 'the address of cloud metadata': 'http://169.254.169.254/latest/meta-data' }
  return Object.fromEntries(
    [301, 302, 303, 307, 308].flatMap(status =>
      Object.entries(targets).map(([name, location]) => [
        `says ${status} to ${name}`,
        says(status, { ...json, location }, '{}'),
      ]),
    ),
  )
}

function repeat(res: ServerResponse, act: () => void): void {
  const timer = setInterval(act, 50)
  act()
  res.on('close', () => clearInterval(timer))
}
