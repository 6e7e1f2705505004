import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** What happens to what goes through a {@link TcpProxy}. */
export type Weather =
  | 'fine'
  /** Connections are taken and what is sent disappears. */
  | 'black hole'
  /** Requests arrive, answers do not. */
  | 'no answers'

export interface TcpProxy {
  readonly port: number
  /** Connections of clients that are open now. */
  readonly open: number
  /** Connections of clients since the start. */
  readonly total: number
  turn(weather: Weather): void
  /** Milliseconds by which every piece in either direction is late. */
  delay(milliseconds: number): void
  /** Resets every connection there is. New ones are welcome. */
  cut(): void
  /** Resets every connection, and refuses new ones until {@link accept}. */
  refuse(): Promise<void>
  accept(): Promise<void>
  close(): Promise<void>
}

/** A wire on the loopback between a site and something it needs. Listens on a free port of 127.0.0.1 unless told otherwise. */
export async function startTcpProxy(
  target: number,
  { host = '127.0.0.1', port: wanted = 0 }: { readonly host?: string; readonly port?: number } = {},
): Promise<TcpProxy> {
  const clients = new Set<Socket>()
  let weather: Weather = 'fine'
  let lateness = 0
  let total = 0

  const server = createServer(client => {
    total += 1
    clients.add(client)
    const upstream = connect(target, '127.0.0.1')
    const isLost: Record<'up' | 'down', () => boolean> = {
      up: () => weather === 'black hole',
      down: () => weather !== 'fine',
    }
    const end = () => {
      clients.delete(client)
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end)
    pipe(client, upstream, isLost.up)
    pipe(upstream, client, isLost.down)
  })

  function pipe(from: Socket, to: Socket, isLost: () => boolean): void {
    from.on('data', piece => {
      if (isLost()) return
      if (lateness === 0) to.write(piece)
      else setTimeout(() => void (to.writable && to.write(piece)), lateness)
    })
  }

  async function listen(port: number): Promise<number> {
    server.listen(port, host)
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  function cut(): void {
    for (const client of clients) client.resetAndDestroy()
    clients.clear()
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
      return clients.size
    },
    get total() {
      return total
    },
    turn(next) {
      weather = next
    },
    delay(milliseconds) {
      lateness = milliseconds
    },
    cut,
    refuse,
    async accept() {
      if (!server.listening) await listen(port)
    },
    close: refuse,
  }
}
