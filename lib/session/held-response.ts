import type { Socket } from 'node:net'
import type { HttpRequest, HttpResponse } from '../http/node-http.js'

type End = (...args: unknown[]) => HttpResponse

/** What has to be done before a response leaves. `undefined`: nothing, and the response leaves at once. */
export type BeforeEnd = () => Promise<void> | undefined

/**
 * Does `work` when the response ends, and lets the response leave when the work is done. From the first `end()` the response looks
 * ended, as one of Node does: headers cannot be changed and what is written is dropped. As with express-session, another `end()` is
 * ignored.
 *
 * When the work fails, the response is as it was before `end()`, and `fail` responds instead.
 */
export function beforeEnd(req: HttpRequest, res: HttpResponse, work: BeforeEnd, fail: (error: unknown) => void): void {
  const end = res.end.bind(res) as End
  const ignore = ((...args: unknown[]) => ignoreEnd(res, args)) as HttpResponse['end']
  // Nothing catches what is thrown here after the work, and the process would end.
  const replaceBy = (error: unknown) => {
    res.end = end as HttpResponse['end']
    try {
      fail(error)
    } catch {
      res.destroy()
    }
  }
  res.end = ((...args: unknown[]) => {
    let done: Promise<void> | undefined
    try {
      done = isEndable(args[0]) ? work() : undefined
    } catch (error) {
      replaceBy(error)
      return res
    }
    if (done === undefined) {
      end(...args)
      res.end = ignore
      return res
    }
    const release = hold(req, res)
    done.then(
      () => {
        release()
        try {
          end(...args)
          res.end = ignore
        } catch (error) {
          replaceBy(error)
        }
      },
      error => {
        release()
        replaceBy(error)
      },
    )
    return res
  }) as HttpResponse['end']
}

function ignoreEnd(res: HttpResponse, args: readonly unknown[]): HttpResponse {
  const callback = args.find(arg => typeof arg === 'function') as (() => void) | undefined
  if (callback !== undefined && res.writableFinished) process.nextTick(callback)
  else if (callback !== undefined) res.once('finish', callback)
  return res
}

/** Whether Node takes it; for anything else `end()` has to throw at once, while its caller can catch it. */
function isEndable(chunk: unknown): boolean {
  return chunk === undefined || chunk === null || ['string', 'function'].includes(typeof chunk) || isBytes(chunk)
}

function isBytes(chunk: unknown): boolean {
  return chunk instanceof Uint8Array
}

/** Makes a response look ended. @returns what makes it as it was */
function hold(req: HttpRequest, res: HttpResponse): () => void {
  const { statusCode, statusMessage } = res
  const properties = endedProperties(res)
  const earlier = Object.keys(properties).map(name => [name, Object.getOwnPropertyDescriptor(res, name)] as const)
  Object.defineProperties(res, properties)
  const releaseSocket = req.httpVersionMajor < 2 ? holdSocket(req.socket, res) : () => {}
  return () => {
    for (const [name, descriptor] of earlier) {
      if (descriptor === undefined) Reflect.deleteProperty(res, name)
      else Object.defineProperty(res, name, descriptor)
    }
    res.statusCode = statusCode
    if (statusMessage !== undefined) res.statusMessage = statusMessage
    releaseSocket()
  }
}

function endedProperties(res: HttpResponse): PropertyDescriptorMap {
  const isTrue = { get: () => true, set: () => {}, configurable: true }
  const refuse = method(() => {
    throw nodeError('ERR_HTTP_HEADERS_SENT', 'Cannot set headers after they are sent to the client')
  })
  const drop = method((...args: unknown[]) => {
    const callback = args.find(arg => typeof arg === 'function')
    if (callback !== undefined) process.nextTick(callback, nodeError('ERR_STREAM_WRITE_AFTER_END', 'write after end'))
    return false
  })
  const ignore = method((...args: unknown[]) => ignoreEnd(res, args))
  return {
    ...{ headersSent: isTrue, writableEnded: isTrue, finished: isTrue },
    writableFinished: { get: () => false, configurable: true },
    ...{ setHeader: refuse, setHeaders: refuse, appendHeader: refuse, removeHeader: refuse, writeHead: refuse },
    ...{ write: drop, end: ignore, flushHeaders: method(() => {}) },
  }
}

function method(value: (...args: unknown[]) => unknown): PropertyDescriptor {
  return { value, writable: true, configurable: true, enumerable: true }
}

function nodeError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}

interface HeldSocket {
  responses: number
  isUnwanted: boolean
}

const heldSockets = new WeakMap<Socket, HeldSocket>()

/**
 * Express closes the connection when an error comes after the response: by then an ordinary response has been handed to the
 * connection. One that is held has not, so the connection is closed after it.
 */
function holdSocket(socket: Socket, res: HttpResponse): () => void {
  const held = heldSockets.get(socket) ?? { responses: 0, isUnwanted: false }
  heldSockets.set(socket, held)
  held.responses += 1
  socket.destroy = () => {
    held.isUnwanted = true
    return socket
  }
  return () => {
    held.responses -= 1
    if (held.responses > 0) return
    Reflect.deleteProperty(socket, 'destroy')
    heldSockets.delete(socket)
    if (held.isUnwanted) res.once('finish', () => socket.destroySoon()).once('close', () => socket.destroy())
  }
}
