import type { Request } from 'express'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { createClient } from 'redis'
import { createClient as createClient5 } from 'redis5'
import type { NodeRedisClient } from '../../lib/store/backend/node-redis-client.js'
import type { RedisClient } from '../../lib/store/backend/redis-client.js'
import { createRecordStore, type RecordStore, type RecordStoreSettings } from '../../lib/store/store.js'
import type { Ticket, Tokens } from '../../lib/store/ticket.js'
import type { RedisServer } from '../support/redis.js'
import { keepSecret, secret } from '../support/secrets.js'

export const issuer = 'https://op.example.com'

/** 2025-01-01, epoch s. */
export const startOfTest = 1_735_689_600

export interface Clock {
  readonly now: () => Date
  seconds: number
}

export function createClock(): Clock {
  const clock: Clock = { seconds: startOfTest, now: () => new Date(clock.seconds * 1000) }
  return clock
}

export function ticket(overrides: Partial<Ticket> = {}): Ticket {
  return {
    issuer,
    subject: 'alice',
    sid: 'op-session-1',
    claims: { sub: 'alice', email: 'alice@example.com' },
    scope: 'openid email',
    signedInAt: startOfTest,
    expiresAt: startOfTest + 8 * 3600,
    ...overrides,
  }
}

export function tokens(overrides: Partial<Tokens> = {}): Tokens {
  return {
    accessToken: secret('access token'),
    refreshToken: secret('refresh token'),
    tokenType: 'Bearer',
    scope: 'openid email',
    ...overrides,
  }
}

/** The time limit is generous: a test that is about it sets its own. */
export const settings = { idle: 3600, absolute: 8 * 3600, timeout: 10_000 }

export const sealingSecret = secret('sealing secret')

/** Makes states and clients, and closes all of them. */
export class StoreFixture {
  readonly clock = createClock()
  readonly logged: string[] = []
  readonly #closers: (() => unknown)[] = []

  state(overrides: Partial<RecordStoreSettings> = {}): RecordStore {
    const store = createRecordStore({
      ...settings,
      secrets: [sealingSecret],
      now: this.clock.now,
      log: line => void this.logged.push(line),
      ...overrides,
    })
    this.onClose(() => store.close())
    return store
  }

  /** One of the kinds of store a site may have. */
  stateOf(kind: StoreKind, server: RedisServer, overrides: Partial<RecordStoreSettings> = {}): RecordStore {
    if (kind === 'memory') return this.state(overrides)
    if (kind === 'URL') return this.state({ redis: server.url, ...overrides })
    return this.state({ redis: this.clientOf(kind, server), ...overrides })
  }

  clientOf(kind: ClientKind, server: RedisServer): RedisClient | NodeRedisClient {
    if (kind === 'ioredis 6') return this.client(server)
    if (kind === 'ioredis 5') return this.client5(server)
    return this.nodeRedisClient(server.url, kind)
  }

  nodeRedisClient(url: string, kind: NodeRedisKind): NodeRedisClient {
    const client = createNodeRedisClient(url, kind)
    this.onClose(() => client.isOpen && client.destroy())
    return client
  }

  client(server: RedisServer, options: Record<string, unknown> = {}): Redis {
    const client = new Redis(server.url, options)
    client.on('error', () => {})
    this.onClose(() => client.disconnect())
    return client
  }

  client5(server: RedisServer): Redis5 {
    const client = new Redis5(server.url)
    client.on('error', () => {})
    this.onClose(() => client.disconnect())
    return client
  }

  onClose(closer: () => unknown): void {
    this.#closers.push(closer)
  }

  async close(): Promise<void> {
    for (const closer of this.#closers.splice(0)) await closer()
  }
}

/** With the options that docs/deployment.md names. */
export function createNodeRedisClient(
  url: string,
  kind: NodeRedisKind,
  socket: object = {
    connectTimeout: 5_000,
    socketTimeout: 5_000,
    reconnectStrategy: (attempt: number) => Math.min(25 * 2 ** Math.min(attempt, 10), 1_000),
  },
): NodeRedisClient {
  const options = { url, pingInterval: 2_000, socket } as { url: string }
  const client: NodeRedisClient = kind === 'node-redis 6' ? createClient(options) : createClient5(options)
  client.on('error', () => {})
  return client
}

export const nodeRedisKinds = ['node-redis 6', 'node-redis 5'] as const
export const clientKinds = ['ioredis 6', 'ioredis 5', ...nodeRedisKinds] as const

export type NodeRedisKind = (typeof nodeRedisKinds)[number]
export type ClientKind = (typeof clientKinds)[number]

export const storeKinds = ['memory', ...clientKinds, 'URL'] as const

export type StoreKind = (typeof storeKinds)[number]

/** Signs in a user who had no session before. */
export async function signIn(
  store: RecordStore,
  overrides: Partial<Parameters<RecordStore['signIn']>[0]> = {},
): Promise<string> {
  const id = await store.signIn({ ticket: ticket(), tokens: tokens(), previous: [], keep: [], ...overrides })
  return keepSecret('session id', id)
}

/** What is left of a request for the session store. */
export function request(): Request {
  return {} as Request
}

/** A request with `req.session` as it is for a browser with this session. */
export async function visit(store: RecordStore, id?: string): Promise<Request> {
  const req = request()
  store.sessions.attach(req, id === undefined ? undefined : await store.load(id))
  return req
}

/** The site's data, which TypeScript knows nothing of here. */
export function dataOf(req: Request): Record<string, unknown> {
  return req.session as unknown as Record<string, unknown>
}

export function save(req: Request): Promise<void> {
  return new Promise((resolve, reject) => req.session.save((error?: unknown) => (error ? reject(error) : resolve())))
}

/** A new session with some data, saved. */
export async function savedSession(store: RecordStore, data: Record<string, unknown>): Promise<string> {
  const req = await visit(store)
  Object.assign(req.session, data)
  await save(req)
  return keepSecret('session id', req.sessionID)
}

/** What the store holds of the site's data. */
export async function storedData(store: RecordStore, id: string): Promise<unknown> {
  const text = (await store.load(id, { extend: false }))?.sessionText()
  return text === undefined ? undefined : JSON.parse(text)
}

/** What a refresh writes, whatever is there by then. Whether the session was still there. */
export async function replaceTokens(
  store: RecordStore,
  id: string,
  change: { readonly ticket?: Ticket; readonly tokens?: Tokens },
): Promise<boolean> {
  const tokenStore = store.tokenStore(id)
  const view = await tokenStore.open()
  return view !== undefined && (await tokenStore.commit('', view, change)) === 'done'
}
