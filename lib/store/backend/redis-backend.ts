import type { AddResult, Backend, Retired, SwapResult } from './backend.js'
import { createRedisEntries } from './bounded-entries.js'
import { numbersOf, parseLogoutTime } from './logout-time.js'
import type { Fields, RemoveResult } from './record-fields.js'
import { optionOf, primariesOf, type RedisClient } from './redis-client.js'
import type { Connection } from './redis-connection.js'
import { createRedisLeases } from './redis-lease.js'
import type { SubscriptionSettings } from './redis-removals.js'
import {
  ADD_FIELD,
  ADD_MEMBER,
  CREATE,
  DEMAND,
  EXTEND,
  LIMIT,
  MARK_LOGOUT,
  REMOVE,
  REMOVE_FIELD,
  REMOVE_MARK,
  RETIRE,
  runScript,
  type Script,
  SWAP,
  TIME,
  WRITE_MARK,
} from './redis-scripts.js'
import { formatRemoval, type WatchRemovals } from './removals.js'
import { isWrongType } from './unavailable.js'

const SCAN_COUNT = 500

interface Owner {
  /** Says whose clock counts in a cluster. */
  readonly clockKey: string
  /** How removals are made known. */
  readonly removals: SubscriptionSettings
  /** Ends the client, where it is ours to end. */
  readonly close: () => Promise<void>
}

export function createRedisBackend(
  client: RedisClient,
  connection: Connection,
  { clockKey, removals, close }: Owner,
): Backend {
  const { run, read } = connection

  function call(script: Script, key: string, ...args: (string | Buffer | number)[]): Promise<unknown> {
    return run(script.name, client => runScript(client, script, key, args))
  }

  async function succeeds(script: Script, key: string, ...args: (string | Buffer | number)[]): Promise<boolean> {
    return Number(await call(script, key, ...args)) === 1
  }

  const news = (key: string, reason?: string) => [removals.channel, formatRemoval({ key, reason })] as const

  return {
    ...createRedisLeases(call, parseRemove, news),
    read: (key, fields) =>
      orElse(
        [],
        read('hmget', client => client.hmgetBuffer(key, ...fields)),
      ),
    create: (key, fields, ttl) => succeeds(CREATE, key, ttl * 1000, ...pairsOf(fields)),
    swap: async (key, version, session) => parseSwap(await call(SWAP, key, version, version + 1, session)),
    extend: (key, now, idle) => succeeds(EXTEND, key, now, idle),
    limit: (key, endsAt, now, idle) => succeeds(LIMIT, key, endsAt, now, idle),
    remove: async (key, reason) => parseRemove(await call(REMOVE, key, ...news(key, reason))),
    watchRemovals: createWatchRemovals(client, removals),
    ...createRedisSuccession(call, connection),
    ...createRedisMarks(call, connection),
    ...createRedisEntries(call, connection),
    async markLogout(key, logout, ttl) {
      await call(MARK_LOGOUT, key, ...numbersOf(logout), ttl * 1000)
    },
    readLogout: async key =>
      parseLogoutTime(
        await orElse(
          null,
          read('get', client => client.get(key)),
        ),
      ),
    async addMember(key, member, expiresAt, now) {
      await call(ADD_MEMBER, key, member, expiresAt, now)
    },
    async removeMember(key, ...members) {
      await orElse(
        0,
        run('zrem', client => client.zrem(key, ...members)),
      )
    },
    members: (key, now) =>
      orElse(
        [],
        read('zrangebyscore', client => client.zrangebyscore(key, now + 1, '+inf')),
      ),
    hasMember: async (key, member) =>
      (await orElse(
        null,
        read('zscore', client => client.zscore(key, member)),
      )) !== null,
    keys: (prefix, length) => scanKeys(client, connection, prefix, length),
    time: async () => parseTime(await read(TIME.name, client => runScript(client, TIME, clockKey, []))),
    async ping() {
      await read('ping', client => client.ping())
    },
    async close() {
      connection.close()
      await close()
    },
  }
}

/** Few sites watch: the others do not load what it takes. */
function createWatchRemovals(client: RedisClient, settings: SubscriptionSettings): WatchRemovals {
  return listener => {
    let isStopped = false
    let stop: (() => void) | undefined
    void import('./redis-removals.js').then(({ subscribeToRemovals }) => {
      if (!isStopped) stop = subscribeToRemovals(client, settings, listener)
    })
    return () => {
      isStopped = true
      stop?.()
    }
  }
}

/** What takes the place of what. */
function createRedisSuccession(
  call: (script: Script, key: string, ...args: (string | Buffer | number)[]) => Promise<unknown>,
  { run, read }: Connection,
): Pick<Backend, 'retire' | 'demand' | 'addField' | 'removeField' | 'setText' | 'getText'> {
  return {
    retire: async (key, now, lifetime) => parseRetired(await call(RETIRE, key, now, lifetime)),
    demand: async (key, demand) => Number(await call(DEMAND, key, demand)) === 1,
    addField: async (key, field, value) => parseAdded(await call(ADD_FIELD, key, field, value)),
    async removeField(key, field) {
      await call(REMOVE_FIELD, key, field)
    },
    async setText(key, value, ttl) {
      await run('set', client => client.set(key, value, 'PX', ttl * 1000, 'NX'))
    },
    getText: async key =>
      (await orElse(
        null,
        read('get', client => client.get(key)),
      )) ?? undefined,
  }
}

function pairsOf(fields: Fields): (string | Buffer)[] {
  return Object.entries(fields).flat()
}

function parseTime(reply: unknown): number {
  const [seconds, microseconds] = reply as readonly [Buffer, Buffer]
  return Number(seconds) * 1_000_000 + Number(microseconds)
}

function parseSwap(reply: unknown): SwapResult {
  const [outcome, version, session] = reply as readonly [unknown, Buffer?, (Buffer | null)?]
  if (Number(outcome) === 1) return { outcome: 'done' }
  if (Number(outcome) === 0) return { outcome: 'absent' }
  return { outcome: 'conflict', version: Number(version), session: session ?? undefined }
}

function parseAdded(reply: unknown): AddResult {
  const [outcome, value] = reply as readonly [unknown, (Buffer | null)?]
  if (Number(outcome) === 2) return { outcome: 'taken', value: value ?? undefined }
  return { outcome: Number(outcome) === 1 ? 'done' : 'absent' }
}

function parseRetired(reply: unknown): Retired | undefined {
  const [outcome, version, session] = reply as readonly [unknown, Buffer?, (Buffer | null)?]
  return Number(outcome) === 1 ? { version: Number(version), session: session ?? undefined } : undefined
}

/** What a key holds that is of another type is not ours. */
async function orElse<T>(otherwise: T, reading: Promise<T>): Promise<T> {
  try {
    return await reading
  } catch (error) {
    if (isWrongType(error)) return otherwise
    throw error
  }
}

function parseRemove(reply: unknown): RemoveResult {
  const [existed, summary, tokens] = reply as readonly [unknown, Buffer | null, (Buffer | null)?]
  return { existed: Number(existed) === 1, summary: summary ?? undefined, tokens: tokens ?? undefined }
}

/** SCAN knows nothing of the `keyPrefix` of an ioredis client, which every other command adds by itself. */
async function scanKeys(
  client: RedisClient,
  { read }: Connection,
  prefix: string,
  length: number,
): Promise<readonly string[]> {
  const clientPrefix = String(optionOf(client, 'keyPrefix') ?? '')
  const pattern = (clientPrefix + prefix).replace(/[\\*?[\]]/g, '\\$&') + '?'.repeat(length)
  const found = new Set<string>()
  for (const node of primariesOf(client)) {
    let cursor = '0'
    do {
      const [next, keys] = await read('scan', () => node.scan(cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT))
      for (const key of keys) found.add(key.slice(clientPrefix.length))
      cursor = next
    } while (cursor !== '0')
  }
  return [...found]
}

function createRedisMarks(
  call: (script: Script, key: string, ...args: (string | Buffer | number)[]) => Promise<unknown>,
  { run, read }: Connection,
): Pick<Backend, 'consume' | 'readMark' | 'writeMark' | 'removeMark' | 'isConsumed'> {
  return {
    consume: async (key, ttl, value = '1') =>
      (await run('set', client => client.set(key, value, 'PX', ttl * 1000, 'NX'))) !== null,
    readMark: async key => (await read('get', client => client.get(key))) ?? undefined,
    async writeMark(key, value, ttl) {
      await call(WRITE_MARK, key, value, ttl * 1000)
    },
    async removeMark(key) {
      await call(REMOVE_MARK, key)
    },
    isConsumed: async key =>
      (await orElse(
        '',
        read('get', client => client.get(key)),
      )) !== null,
  }
}
