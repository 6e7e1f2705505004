import http, { type ClientRequest } from 'node:http'
import https from 'node:https'
import type { Duplex } from 'node:stream'
import type { TlsOptions } from './client-certificate.js'

/** Milliseconds an idle connection is kept. Many servers close it after five seconds, and what is sent just then is lost. */
const MOST_IDLE = 4000

/** What stands before the body of a request to an API. */
export interface ApiRequestHead {
  readonly method: string
  /** Path and query. */
  readonly path: string
  /** Complete but for `Host` and `Connection`; the framing is among them. */
  readonly headers: Readonly<Record<string, string>>
  /** The certificate that this site shows. */
  readonly tls?: TlsOptions | undefined
  /** Milliseconds without a byte in either direction. */
  readonly timeout: number
  /** Whether the request gets a connection of its own, which is closed afterwards. */
  readonly alone: boolean
}

/** Connections to one API, kept for the next request where nothing speaks against it. */
export interface ApiConnections {
  /** Begins a request. The caller listens to `error`, `timeout`, `upgrade` and `response`, and writes the body. */
  open(head: ApiRequestHead): ClientRequest
}

/**
 * A kept connection carries requests of several users. It is kept only after a request that was sent in whole and a response that was
 * received in whole; the caller destroys every other. What an API sends without being asked would pass for the response to the next
 * request (response queue poisoning), so it ends the connection, too.
 */
export function createApiConnections(target: URL): ApiConnections {
  // How many there may be is for the caller to decide, who knows whose they are.
  const settings = { keepAlive: true, timeout: MOST_IDLE, scheduling: 'lifo' } as const
  const isSecure = target.protocol === 'https:'
  const agent = watchIdle(isSecure ? new https.Agent(settings) : new http.Agent(settings))
  return {
    open({ alone, tls, ...head }) {
      // Looked up at each call, because tracing tools replace it to send the context of a trace.
      const { request } = isSecure ? https : http
      // Strict, whatever the process was started with: a response that can be read in two ways is an error.
      return request(target, { ...head, ...tls, agent: alone ? false : agent, insecureHTTPParser: false })
    },
  }
}

const idleSince = new WeakMap<Duplex, number>()

function watchIdle<A extends http.Agent>(agent: A): A {
  const keep = agent.keepSocketAlive.bind(agent)
  const reuse = agent.reuseSocket.bind(agent)
  agent.keepSocketAlive = socket => {
    if (socket.readableLength > 0) return false
    socket.on('data', destroyIdle)
    idleSince.set(socket, performance.now())
    dropStale(agent)
    return keep(socket)
  }
  agent.reuseSocket = (socket, request) => {
    socket.off('data', destroyIdle)
    reuse(socket, request)
  }
  return agent
}

function destroyIdle(this: Duplex): void {
  this.destroy()
}

/** The timer of an idle socket is late in a process that was busy, which is when the API has closed it. */
function dropStale({ freeSockets }: http.Agent): void {
  const oldest = performance.now() - MOST_IDLE
  for (const socket of Object.values(freeSockets).flat()) {
    if (socket !== undefined && (idleSince.get(socket) ?? 0) < oldest) socket.destroy()
  }
}
