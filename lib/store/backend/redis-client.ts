import { createRequire } from 'node:module'
import { OidcError } from '../../errors.js'
import { jitter } from '../../time.js'

/**
 * What this package needs of a Redis client, so that the types of ioredis 5 and 6, of a Cluster and of a client made for Sentinel
 * all fit. A site gives a client of ioredis and need not write one.
 */
export interface RedisClient {
  /** `ready` when commands can be sent. */
  readonly status: string
  /** The socket to Redis. A cluster has many, and so none here. */
  readonly stream?:
    | {
        /** `false` once either side has ended the connection. */
        readonly writable?: boolean
        /** Holds back what is written. */
        cork(): void
        /** Sends it, all at once. */
        uncork(): void
      }
    | undefined
  /** Connects a client that was made to wait (`lazyConnect`). */
  connect(): Promise<unknown>
  /** Ends the connection, and connects anew where asked to. */
  disconnect(reconnect?: boolean): void
  /** Listens to the state of the connection. */
  on(event: 'ready' | 'end', listener: () => void): unknown
  /** Stops listening. */
  off(event: 'ready' | 'end', listener: () => void): unknown
  /** `HMGET`, with bytes as its response. */
  hmgetBuffer(key: string, ...fields: string[]): Promise<(Buffer | null)[]>
  /** `EVALSHA`: a script Redis knows. */
  evalsha(sha1: string, keyCount: number, ...keyAndArguments: (string | Buffer | number)[]): Promise<unknown>
  /** `EVAL`: a script Redis does not know yet. */
  eval(script: string, keyCount: number, ...keyAndArguments: (string | Buffer | number)[]): Promise<unknown>
  /** `GET`. */
  get(key: string): Promise<string | null>
  /** `SET` with a lifetime, where there is nothing yet. */
  set(key: string, value: string, px: 'PX', milliseconds: number, nx: 'NX'): Promise<unknown>
  /** `ZREM`. */
  zrem(key: string, ...members: string[]): Promise<unknown>
  /** `ZSCORE`. */
  zscore(key: string, member: string): Promise<unknown>
  /** `ZRANGEBYSCORE`. */
  zrangebyscore(key: string, min: number, max: string): Promise<string[]>
  /** `SCAN`. */
  scan(cursor: string, match: 'MATCH', pattern: string, count: 'COUNT', n: number): Promise<[string, string[]]>
  /** `PING`. */
  ping(): Promise<unknown>
}

/** ioredis has a variant of every command that responds with bytes; its types leave these two out. */
export interface ScriptingClient extends RedisClient {
  evalshaBuffer: RedisClient['evalsha']
  evalBuffer: RedisClient['eval']
}

/** A client this package made itself, and so may configure and close. */
export interface OwnedRedisClient extends RedisClient {
  on(event: 'ready' | 'end', listener: () => void): unknown
  on(event: 'error', listener: (error: unknown) => void): unknown
  quit(): Promise<unknown>
}

const CONNECT_TIMEOUT = 5000
const SILENCE_TIMEOUT = 5000
const LONGEST_RECONNECT_DELAY = 1000

/** @throws {OidcError} ERR_OIDC_OPTIONS */
export function checkClient(client: RedisClient): void {
  if (typeof client?.status !== 'string' || typeof (client as ScriptingClient).evalshaBuffer !== 'function') {
    throw new OidcError('ERR_OIDC_OPTIONS', '"redis" must be an ioredis client, an ioredis cluster, or a URL')
  }
  const scaleReads = optionOf(client, 'scaleReads')
  if (scaleReads !== undefined && scaleReads !== 'master') {
    throw new OidcError(
      'ERR_OIDC_OPTIONS',
      'the Redis cluster needs scaleReads "master": a replica may return a session that has ended',
    )
  }
  if (optionOf(client, 'role') === 'slave') {
    throw new OidcError(
      'ERR_OIDC_OPTIONS',
      'the Redis client needs role "master": a replica may return a session that has ended',
    )
  }
}

/** Says which options of a client lose writes in a fail-over, or keep commands for ever. A cluster has them per node. */
export function warnOfOptions(client: RedisClient, log: (line: string) => void): void {
  const option = (name: string) => optionOf(client, name)
  if (option('sentinels') && option('failoverDetector') !== true) {
    log('The Redis client for Sentinel loses writes in a planned fail-over; set failoverDetector: true in its options')
  }
  const isForgotten = option('autoResendUnfulfilledCommands') === false && option('maxRetriesPerRequest') !== 0
  if (isForgotten && !option('commandTimeout')) {
    log('The Redis client never ends a command whose connection breaks; set maxRetriesPerRequest: 0 in its options')
  }
}

/** An option of an ioredis client; its own type of the options is not the same in all versions. */
export function optionOf(client: object, name: string): unknown {
  const { options } = client as { readonly options?: Readonly<Record<string, unknown>> }
  return options?.[name]
}

/**
 * Whether the client can leave the server it is connected to: it is not leaving already, and comes back. A cluster follows its
 * primaries by itself.
 */
export function canReconnect(client: RedisClient): boolean {
  if (client.status !== 'ready' || client.stream?.writable === false || isCluster(client)) return false
  return typeof optionOf(client, 'retryStrategy') === 'function'
}

/** Whether the client is for a whole cluster. */
export function isCluster(client: object): boolean {
  return 'nodes' in client
}

/** The nodes that have to be asked when a command is not about one key. */
export function primariesOf(client: RedisClient): readonly RedisClient[] {
  const { nodes } = client as { readonly nodes?: (role: 'master') => readonly RedisClient[] }
  return nodes === undefined ? [client] : nodes.call(client, 'master')
}

/**
 * A client for a Redis at `url`. It queues nothing and resends nothing by itself, reconnects for ever with at most a second between
 * two attempts, and gives up a connection that has become silent.
 * @throws {OidcError} ERR_OIDC_OPTIONS; the message never holds the URL, which may hold a password
 */
export function createRedisClient(url: string): OwnedRedisClient {
  const protocol = URL.canParse(url) ? new URL(url).protocol : ''
  if (protocol !== 'redis:' && protocol !== 'rediss:') {
    throw new OidcError('ERR_OIDC_OPTIONS', '"redis" must be a redis:// or rediss:// URL or an ioredis client')
  }
  return new (loadIoredis().Redis)(url, {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_TIMEOUT,
    socketTimeout: SILENCE_TIMEOUT,
    keepAlive: 10_000,
    retryStrategy: (attempt: number) => jitter(Math.min(25 * 2 ** Math.min(attempt, 10), LONGEST_RECONNECT_DELAY)),
  })
}

interface Ioredis {
  readonly Redis: new (url: string, options: Readonly<Record<string, unknown>>) => OwnedRedisClient
}

/** Only sites that give a URL need ioredis to be found from here. */
function loadIoredis(): Ioredis {
  try {
    return createRequire(import.meta.url)('ioredis') as Ioredis
  } catch (cause) {
    throw new OidcError('ERR_OIDC_OPTIONS', 'a Redis URL needs the package ioredis to be installed', { cause })
  }
}
