import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

/** A request as it stood on the wire, read by the letter of RFC 9112. */
export interface RawRequest {
  /** Number of the connection it came on, from 1. */
  readonly connection: number
  readonly method: string
  readonly path: string
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
  readonly token: string | undefined
}

/** What is sent back, byte for byte; `undefined` for nothing yet. */
export type RawResponder = (request: RawRequest, socket: Socket) => string | undefined

export interface RawApi {
  readonly origin: string
  readonly requests: RawRequest[]
  /** What a strict server would not have read as it was sent. */
  readonly faults: string[]
  /** How many connections there were. */
  connections(): number
  respond(responder: RawResponder): void
  close(): Promise<void>
}

export const respondOk = () => 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'

/** An API that keeps its connections open and writes down every byte that is not a request of one reading. */
export async function startRawApi(): Promise<RawApi> {
  const requests: RawRequest[] = []
  const faults: string[] = []
  const sockets = new Set<Socket>()
  let count = 0
  let responder: RawResponder = respondOk
  const server = createServer(socket => {
    count += 1
    const connection = count
    let bytes = ''
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    socket.on('data', chunk => {
      bytes += chunk.toString('latin1')
      for (let parsed = parseRequest(bytes); parsed !== 'more'; parsed = parseRequest(bytes)) {
        if (typeof parsed === 'string') {
          faults.push(`${parsed}: ${JSON.stringify(bytes.slice(0, 300))}`)
          return void socket.destroy()
        }
        bytes = bytes.slice(parsed.length)
        const request = { ...parsed.request, connection }
        requests.push(request)
        const response = responder(request, socket)
        if (response !== undefined) socket.write(response, 'latin1')
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    faults,
    connections: () => count,
    respond(next) {
      responder = next
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

type Parsed = { readonly request: Omit<RawRequest, 'connection'>; readonly length: number }

/** One request at the beginning of the bytes, `more` where its end has not come, or what is wrong with it. */
export function parseRequest(bytes: string): Parsed | string {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return bytes.length > 100_000 ? 'a head without end' : 'more'
  const [line = '', ...fields] = bytes.slice(0, end).split('\r\n')
  const [, method = '', path = ''] = /^([A-Z-]+) (\/[\x21-\x7e]*) HTTP\/1\.1$/.exec(line) ?? []
  if (method === '') return 'a request line'
  const headers = new Map<string, string>()
  for (const field of fields) {
    const [, name = '', value = ''] = /^([\w!#$%&'*+\-.^`|~]+): ?([\t\x20-\x7e\x80-\xff]*)$/.exec(field) ?? []
    if (name === '' || headers.has(name.toLowerCase())) return 'a field'
    headers.set(name.toLowerCase(), value)
  }
  const body = parseBody(headers, bytes.slice(end + 4))
  if (typeof body === 'string') return body
  const token = /^Bearer (\S+)$/.exec(headers.get('authorization') ?? '')?.[1]
  return { request: { method, path, headers, token, body: body.text }, length: end + 4 + body.length }
}

function parseBody(headers: ReadonlyMap<string, string>, bytes: string): { text: string; length: number } | string {
  const [encoding, length] = [headers.get('transfer-encoding'), headers.get('content-length')]
  if (encoding !== undefined && (length !== undefined || encoding !== 'chunked')) return 'framing'
  if (encoding !== undefined) return parseChunks(bytes)
  if (length === undefined) return { text: '', length: 0 }
  if (!/^(?:0|[1-9]\d*)$/.test(length)) return 'a length'
  if (bytes.length < Number(length)) return 'more'
  return { text: bytes.slice(0, Number(length)), length: Number(length) }
}

function parseChunks(bytes: string): { text: string; length: number } | string {
  let text = ''
  for (let at = 0; ; ) {
    const line = bytes.indexOf('\r\n', at)
    if (line === -1) return 'more'
    const digits = bytes.slice(at, line)
    if (!/^[\da-f]+$/i.test(digits)) return 'a chunk'
    const size = Number.parseInt(digits, 16)
    const next = line + 2 + size + 2
    if (bytes.length < next) return 'more'
    if (bytes.slice(next - 2, next) !== '\r\n') return 'the end of a chunk'
    if (size === 0) return { text, length: next }
    text += bytes.slice(line + 2, next - 2)
    at = next
  }
}
