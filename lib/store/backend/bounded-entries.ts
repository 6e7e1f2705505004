import type { ExpiringMap } from './expiring-map.js'
import type { Connection } from './redis-connection.js'
import { REMOVE_FIELD, type Script, script } from './redis-scripts.js'
import { isWrongType } from './unavailable.js'

/** How many entries there may be, and for how long. */
export interface EntryBounds {
  /** The oldest makes room for the newest. */
  readonly most: number
  /** Seconds, from now on. */
  readonly ttl: number
  /** Epoch s. */
  readonly now: number
}

/** Values below one key that are few, whatever comes: so that what strangers send cannot fill the store. */
export interface BoundedEntries {
  /** @param name - begins with the ten digits of the second it expires in, by which entries are ordered */
  addEntry(key: string, name: string, value: Buffer, bounds: EntryBounds): Promise<void>
  readEntry(key: string, name: string): Promise<Buffer | undefined>
  /** Whether it was there: true once, in whichever process that is. */
  removeEntry(key: string, name: string): Promise<boolean>
}

/** ARGV: most entries, now and lifetime in seconds, name, value. */
export const ADD_ENTRY = script(
  'add entry',
  `local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', KEYS[1]) end
local names = redis.call('HKEYS', KEYS[1])
table.sort(names)
local left = #names
for _, name in ipairs(names) do
  local endsAt = tonumber(string.match(name, '^%d+') or 0)
  if left >= tonumber(ARGV[1]) or endsAt <= tonumber(ARGV[2]) then
    redis.call('HDEL', KEYS[1], name)
    left = left - 1
  end
end
redis.call('HSET', KEYS[1], ARGV[4], ARGV[5])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1`,
)

export function createRedisEntries(
  call: (script: Script, key: string, ...args: (string | Buffer | number)[]) => Promise<unknown>,
  { read }: Pick<Connection, 'read'>,
): BoundedEntries {
  return {
    async addEntry(key, name, value, { most, ttl, now }) {
      await call(ADD_ENTRY, key, most, now, ttl, name, value)
    },
    async readEntry(key, name) {
      try {
        const [value] = await read('hmget', client => client.hmgetBuffer(key, name))
        return value ?? undefined
      } catch (error) {
        if (isWrongType(error)) return undefined
        throw error
      }
    },
    removeEntry: async (key, name) => Number(await call(REMOVE_FIELD, key, name)) === 1,
  }
}

/** @param now epoch s */
export function createMemoryEntries(maps: ExpiringMap<Map<string, Buffer>>, now: () => number): BoundedEntries {
  return {
    async addEntry(key, name, value, { most, ttl, now: at }) {
      const entries = new Map(maps.get(key)?.value)
      for (const earlier of [...entries.keys()].sort())
        if (entries.size >= most || Number.parseInt(earlier, 10) <= at) entries.delete(earlier)
      maps.set(key, entries.set(name, value), now() + ttl)
    },
    readEntry: async (key, name) => maps.get(key)?.value.get(name),
    removeEntry: async (key, name) => maps.get(key)?.value.delete(name) ?? false,
  }
}
