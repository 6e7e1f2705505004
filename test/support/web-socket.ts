import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import type { Duplex } from 'node:stream'

/** As much of RFC 6455 as it takes to open a WebSocket and to close it with a code and a reason. */

/** RFC 6455 section 4.2.2. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** @returns what closes it. RFC 6455 section 7.4.2. */
export function acceptWebSocket(req: IncomingMessage, socket: Duplex): (code: number, reason: string) => void {
  const accept = createHash('sha1').update(`${req.headers['sec-websocket-key']}${GUID}`).digest('base64')
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  )
  return (code, reason) =>
    void socket.end(Buffer.concat([Buffer.of(0x88, 2 + reason.length, code >> 8, code & 255), Buffer.from(reason)]))
}

export interface OpenedSocket {
  /** The code and the reason that the server has closed it with; 1006 where it has said nothing, as a browser has it. */
  readonly closed: Promise<readonly [number, string]>
  close(): void
}

export async function openWebSocket(port: number, cookie: string): Promise<OpenedSocket> {
  const headers = {
    connection: 'upgrade',
    upgrade: 'websocket',
    'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
    cookie,
  }
  const sent = request({ port, host: '127.0.0.1', headers, agent: false }).end()
  const [, socket, head] = (await once(sent, 'upgrade')) as [IncomingMessage, Duplex, Buffer]
  return { closed: readClose(socket, head), close: () => socket.destroy() }
}

async function readClose(socket: Duplex, head: Buffer): Promise<readonly [number, string]> {
  const chunks: Buffer[] = [head]
  try {
    for await (const chunk of socket) chunks.push(chunk as Buffer)
  } catch {
    // Its process was killed.
  }
  const frame = Buffer.concat(chunks)
  return frame.length < 4 ? [1006, ''] : [frame.readUInt16BE(2), frame.subarray(4).toString()]
}
