import { OidcError } from '../../errors.js'

/** The options of a client of node-redis that matter here. */
export interface NodeRedisClientOptions {
  /** Those of the connection. */
  readonly socket?: object | undefined
  /** Whether reads may go to a replica, which is refused. */
  readonly readonly?: boolean | undefined
}

/**
 * What this package needs of a client of node-redis (the package `redis`), so that the types of versions 5 and 6 fit. A site gives what
 * `createClient()` returns and need not write one.
 */
export interface NodeRedisClient {
  /** Whether the client is connected, or tries to be. */
  readonly isOpen: boolean
  /** Whether commands can be sent. */
  readonly isReady: boolean
  /** What the client was made with. */
  readonly options?: NodeRedisClientOptions | undefined
  /** Connects. */
  connect(): Promise<unknown>
  /** Ends the connection. */
  destroy(): void
  /** Another client with the same options. */
  duplicate(overrides?: object): unknown
  /** Lets the process end while the client is connected. */
  unref(): void
  /** Sends a command by its name. */
  sendCommand(args: readonly (string | Buffer)[], options?: object): Promise<unknown>
  /** `SUBSCRIBE`. */
  subscribe(channel: string, listener: (text: string) => void): Promise<unknown>
  /** Listens to the state of the connection. */
  on(event: string, listener: (...args: unknown[]) => void): unknown
  /** Stops listening. */
  off(event: string, listener: (...args: unknown[]) => void): unknown
  /** Tells those who listen. */
  emit(event: string): unknown
}

/** Whether something was made by node-redis, of any version and for any kind of Redis. */
export function isOfNodeRedis(value: unknown): value is NodeRedisClient {
  if (typeof value !== 'object' || value === null) return false
  return typeof Reflect.get(value, 'sendCommand') === 'function' && typeof Reflect.get(value, 'isOpen') === 'boolean'
}

/** @throws {OidcError} ERR_OIDC_OPTIONS */
export function checkNodeRedis(client: NodeRedisClient): void {
  if (typeof client.destroy !== 'function') refuse('needs node-redis (the package redis) 5 or later')
  // A Cluster, a Sentinel and a pool have other ways to send a command.
  if (typeof client.unref !== 'function') {
    refuse('must be what createClient() of node-redis returns; for a Cluster or Sentinel give a client of ioredis')
  }
  if (client.options?.readonly === true) {
    refuse('must not be readonly: a replica may return a session that has ended')
  }
}

/** Says which options of a client end it for ever. node-redis does not connect again after `socketTimeout` by itself. */
export function warnOfNodeRedisOptions({ options }: NodeRedisClient, log: (line: string) => void): void {
  const { socketTimeout, reconnectStrategy } = socketOptionsOf(options)
  if (reconnectStrategy === false || (socketTimeout && reconnectStrategy === undefined)) {
    log('The Redis client does not connect again after a failure; set socket.reconnectStrategy in its options')
  }
}

/** The options of the socket that matter here; those that are not set are `undefined`. */
export function socketOptionsOf(options: NodeRedisClient['options']): {
  readonly socketTimeout?: unknown
  readonly reconnectStrategy?: unknown
} {
  return options?.socket ?? {}
}

function refuse(why: string): never {
  throw new OidcError('ERR_OIDC_OPTIONS', `"redis" ${why}`)
}
