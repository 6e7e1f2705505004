import { setMaxListeners } from 'node:events'
import { type NodeRedisClient, socketOptionsOf } from './node-redis-client.js'
import type { RedisClient } from './redis-client.js'

type Values = Readonly<Record<number, unknown>>
type Argument = string | Buffer | number

/** The type that a reply has for a string of Redis, by its first character in RESP. */
const STRING_OF_RESP = '$'.charCodeAt(0)
const AS_TEXT: Values = {}
const AS_BYTES: Values = { [STRING_OF_RESP]: Buffer }

/** What a client of node-redis says of a command that it has not sent. */
const UNSENT = /^The (?:command was aborted|client is closed|client is offline|queue is full)/
/** What it says of a command whose reply will not come, where the error is none of the system with a code. */
const CUT = /^(?:Socket closed unexpectedly|Socket timeout|Disconnects client|Connection timeout)/

/** What the rest of this folder needs of a client, made of a client of node-redis. */
export interface AdaptedClient extends RedisClient {
  readonly options: Readonly<Record<string, unknown>>
  publish(channel: string, text: string): Promise<unknown>
  subscribe(channel: string): Promise<unknown>
  exists(key: string): Promise<unknown>
  cluster(command: string): Promise<unknown>
  info(section?: string): Promise<string>
  duplicate(): AdaptedClient
  /** Stops listening to the client. */
  release(): void
}

/**
 * Lets a client of node-redis be used like one of ioredis. Its commands are sent by name, so that neither its version nor its protocol matters. A
 * command that it has not sent when the connection breaks is taken back: its caller may have given up before there is another connection.
 */
export function adaptNodeRedis(source: NodeRedisClient): AdaptedClient {
  const connection = followConnection(source)
  const listeners = new Set<(channel: string, text: string) => void>()

  async function send(values: Values, ...args: readonly Argument[]): Promise<unknown> {
    const { signal } = connection.unsent
    try {
      const words = args.map(arg => (typeof arg === 'number' ? String(arg) : arg))
      return await source.sendCommand(words, { typeMapping: values, abortSignal: signal, timeout: undefined })
    } catch (error) {
      throw inWordsOfIoredis(error)
    }
  }
  const command = (...args: readonly Argument[]) => send(AS_TEXT, ...args)
  const run =
    (name: string) =>
    (script: string, keyCount: number, ...args: readonly Argument[]) =>
      send(AS_BYTES, name, script, keyCount, ...args)
  const [evalsha, evalScript] = [run('EVALSHA'), run('EVAL')]

  const adapted = {
    get status() {
      return connection.status()
    },
    get stream() {
      return connection.stream
    },
    options: optionsOf(source),
    connect: () => source.connect(),
    disconnect: (reconnect = false) => connection.disconnect(reconnect),
    on(event: string, listener: (...args: unknown[]) => void) {
      if (event === 'message') listeners.add(listener)
      else source.on(event, listener)
      return adapted
    },
    off(event: string, listener: (...args: unknown[]) => void) {
      source.off(event, listener)
      return adapted
    },
    hmgetBuffer: (key: string, ...fields: string[]) => send(AS_BYTES, 'HMGET', key, ...fields),
    evalsha,
    evalshaBuffer: evalsha,
    eval: evalScript,
    evalBuffer: evalScript,
    get: (key: string) => command('GET', key),
    set: (...args: Argument[]) => command('SET', ...args),
    zrem: (...args: string[]) => command('ZREM', ...args),
    zscore: (...args: string[]) => command('ZSCORE', ...args),
    zrangebyscore: (...args: Argument[]) => command('ZRANGEBYSCORE', ...args),
    scan: (...args: Argument[]) => command('SCAN', ...args),
    ping: () => command('PING'),
    exists: (key: string) => command('EXISTS', key),
    publish: (channel: string, text: string) => command('PUBLISH', channel, text),
    cluster: (name: string) => command('CLUSTER', name),
    info: (...sections: string[]) => command('INFO', ...sections),
    subscribe: (channel: string) =>
      source.subscribe(channel, text => {
        for (const listener of listeners) listener(channel, text)
      }),
    duplicate: () => duplicateOf(source),
    release: () => connection.release(),
  }
  return adapted as unknown as AdaptedClient
}

/** A client that fails at once and does not connect again: another one is made in its place. */
function duplicateOf(source: NodeRedisClient): AdaptedClient {
  const socket = { ...source.options?.socket, reconnectStrategy: false }
  const copy = source.duplicate({ socket, pingInterval: undefined }) as NodeRedisClient
  // A client that gives up says so by an error alone.
  copy.on('error', () => {
    if (!copy.isOpen) copy.emit('end')
  })
  copy.unref()
  return adaptNodeRedis(copy)
}

/** As {@link RedisClient} is asked for options of ioredis. */
function optionsOf({ options }: NodeRedisClient): Readonly<Record<string, unknown>> {
  return socketOptionsOf(options).reconnectStrategy === false ? {} : { retryStrategy: () => 0 }
}

interface Followed {
  status(): string
  /** Stands for the connection, and is another after each loss. */
  readonly stream: RedisClient['stream']
  /** Takes back what was not sent over the connection. */
  readonly unsent: AbortController
  disconnect(reconnect: boolean): void
  release(): void
}

function followConnection(source: NodeRedisClient): Followed {
  let unsent = createUnsent()
  let stream = createStream()
  let wasOpen = source.isOpen
  let isReconnecting = false

  function lose(): void {
    unsent.abort()
    unsent = createUnsent()
    stream = createStream()
  }
  function noticeOpening(): void {
    wasOpen = true
  }
  source.on('connect', noticeOpening)
  source.on('reconnecting', lose)
  source.on('end', lose)

  return {
    get stream() {
      return stream
    },
    get unsent() {
      return unsent
    },
    status() {
      if (source.isReady) return 'ready'
      if (source.isOpen || isReconnecting) return 'connecting'
      return wasOpen ? 'end' : 'wait'
    },
    disconnect(reconnect) {
      isReconnecting = reconnect
      // A client that is closed already throws.
      if (source.isOpen) source.destroy()
      isReconnecting = false
      if (reconnect) source.connect().catch(() => {})
    },
    release() {
      source.off('connect', noticeOpening)
      source.off('reconnecting', lose)
      source.off('end', lose)
    },
  }
}

/** Each command that is not sent yet listens to it. */
function createUnsent(): AbortController {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal)
  return controller
}

/** node-redis gathers what is written in one turn of the event loop by itself. */
function createStream(): NonNullable<RedisClient['stream']> {
  return { writable: true, cork() {}, uncork() {} }
}

/** So that one place decides what may be sent again: see unavailable.ts. An error that Redis itself replies with stays as it is. */
function inWordsOfIoredis(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  if (UNSENT.test(error.message)) return new Error("Stream isn't writeable", { cause: error })
  return CUT.test(error.message) ? new Error('Connection is closed', { cause: error }) : error
}
