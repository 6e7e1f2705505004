import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** What happens to what goes through a {@link TcpProxy}. */
export type Weather =
  | 'fine'
  /** Nothing gets through, on connections of before and on new ones; none of them ever works again, and none is told. */
  | 'black hole'
  /** The same, but requests arrive. */
  | 'no answers'
  /** Nothing gets through until the weather is fine again, and then all of it. */
  | 'held'

export interface TcpProxy {
  readonly port: number
  /** Connections of clients that are open now. */
  readonly open: number
  /** Connections of clients since the start. */
  readonly total: number
  turn(weather: Weather): void
  /** Milliseconds by which every piece in either direction is late. */
  delay(milliseconds: number): void
  /** Where new connections lead from now on. */
  aim(port: number): void
  /** Resets every connection there is. New ones are welcome. */
  cut(): void
  /** Cuts the connection in place of the reply to the next `times` requests that contain `text`: they arrive, and the sender gets no reply. */
  cutReplies(text: string, times: number, how?: 'reset' | 'end'): void
  /** Resets every connection, and refuses new ones until {@link accept}. */
  refuse(): Promise<void>
  accept(): Promise<void>
  close(): Promise<void>
}

/** A wire on the loopback between a site and something it needs. Listens on a free port of 127.0.0.1 unless told otherwise. */
export async function startTcpProxy(
  firstTarget: number,
  { host = '127.0.0.1', port: wanted = 0 }: { readonly host?: string; readonly port?: number } = {},
): Promise<TcpProxy> {
  const wires = new Set<{ readonly client: Socket; isDoomed: boolean }>()
  const held: (() => void)[] = []
  let target = firstTarget
  let weather: Weather = 'fine'
  let lateness = 0
  let total = 0
  let cutting = { text: '', left: 0, how: 'reset' as 'reset' | 'end' }

  const server = createServer(client => {
    total += 1
    const upstream = connect(target, '127.0.0.1')
    const wire = { client, isDoomed: weather === 'black hole' || weather === 'no answers' }
    wires.add(wire)
    const end = () => {
      wires.delete(wire)
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end)
    let losesReply = false
    pipe(client, upstream, piece => {
      losesReply ||= cutting.left > 0 && piece.includes(cutting.text)
      return wire.isDoomed && weather !== 'no answers'
    })
    pipe(upstream, client, () => {
      if (losesReply) {
        cutting.left -= 1
        if (cutting.how === 'reset') reset(client)
        else client.end()
      }
      return wire.isDoomed || losesReply
    })
  })

  function pipe(from: Socket, to: Socket, isLost: (piece: Buffer) => boolean): void {
    from.on('data', piece => {
      if (isLost(piece)) return
      if (weather === 'held') held.push(() => void (to.writable && to.write(piece)))
      else if (lateness === 0) to.write(piece)
      else setTimeout(() => void (to.writable && to.write(piece)), lateness)
    })
  }

  async function listen(port: number): Promise<number> {
    server.listen(port, host)
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  function cut(): void {
    for (const { client } of wires) reset(client)
    wires.clear()
  }

  async function refuse(): Promise<void> {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    cut()
    await closed
  }

  const port = await listen(wanted)
  return {
    port,
    get open() {
      return wires.size
    },
    get total() {
      return total
    },
    turn(next) {
      weather = next
      if (next === 'black hole' || next === 'no answers') for (const wire of wires) wire.isDoomed = true
      if (next === 'fine') for (const write of held.splice(0)) write()
    },
    delay(milliseconds) {
      lateness = milliseconds
    },
    aim(port) {
      target = port
    },
    cut,
    cutReplies(text, times, how = 'reset') {
      cutting = { text, left: times, how }
    },
    refuse,
    async accept() {
      if (!server.listening) await listen(port)
    },
    close: refuse,
  }
}

/** A socket that is being ended cannot be reset any more: Node would keep it, and could not end the process. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}
