import { createHash } from 'node:crypto'
import type { RedisClient, ScriptingClient } from './redis-client.js'
import { reasonOf } from './unavailable.js'

/** A Lua script on one key, so that it runs on any node of a cluster. Needs nothing newer than Redis 4. */
export interface Script {
  readonly name: string
  readonly text: string
  readonly sha1: string
}

export function script(name: string, text: string): Script {
  return { name, text, sha1: createHash('sha1').update(text).digest('hex') }
}

/** ARGV: lifetime in ms, then field and value alternately. -> 1, or 0 when the key is there already */
export const CREATE = script(
  'create',
  `if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1`,
)

/** ARGV: version expected, version after, session. -> {1}, {0} when the record is gone or takes none, {2, version, session} on a conflict */
export const SWAP = script(
  'swap',
  `if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then return {0} end
if redis.call('HEXISTS', KEYS[1], 'r') == 1 then return {0} end
local version = redis.call('HGET', KEYS[1], 'n') or '0'
if not string.match(version, '^%d+$') then return {0} end
if version ~= ARGV[1] then return {2, version, redis.call('HGET', KEYS[1], 's')} end
redis.call('HSET', KEYS[1], 'n', ARGV[2], 's', ARGV[3])
return {1}`,
)

/** ARGV: now and idle lifetime, in seconds. -> 1, or 0 when the record is gone or at its end. The `e` field: see expiry.ts */
export const EXTEND = script(
  'extend',
  `if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then return 0 end
local last = string.match(redis.call('HGET', KEYS[1], 'e') or '', '^%d+:(%d+)$')
if not last then return 0 end
local ttl = math.min(tonumber(ARGV[2]), tonumber(last) - tonumber(ARGV[1]))
if ttl <= 0 then return 0 end
redis.call('HSET', KEYS[1], 'e', ARGV[1] .. ':' .. last)
redis.call('EXPIRE', KEYS[1], ttl)
return 1`,
)

/** ARGV: a new end, now and idle lifetime, in seconds. -> 1, or 0 when the record is gone or replaced. The `c` field: see record-fields.ts */
export const LIMIT = script(
  'limit',
  `if redis.call('TYPE', KEYS[1]).ok ~= 'hash' or redis.call('HEXISTS', KEYS[1], 'r') == 1 then return 0 end
local record = redis.call('HMGET', KEYS[1], 'e', 'c')
local extended, last = string.match(record[1] or '', '^(%d+):(%d+)$')
if not last then return 0 end
local limit = tonumber(record[2] or last) or tonumber(last)
local endsAt = math.min(tonumber(ARGV[1]), limit)
redis.call('HSET', KEYS[1], 'e', string.format('%s:%.0f', extended, endsAt), 'c', string.format('%.0f', limit))
redis.call('EXPIRE', KEYS[1], string.format('%.0f', math.min(tonumber(extended) + tonumber(ARGV[3]), endsAt) - tonumber(ARGV[2])))
return 1`,
)

/**
 * Tells who listens. A user of Redis who may not publish still removes, so an error counts for nothing; listeners find the removal by
 * looking.
 */
export const PUBLISH_IF = (removed: string, channel: number) =>
  `if ${removed} == 1 then redis.pcall('PUBLISH', ARGV[${channel}], ARGV[${channel + 1}]) end`

/** ARGV: channel, and what it is told. -> {1 when it was there, summary, tokens} */
export const REMOVE = script(
  'remove',
  `local record = redis.pcall('HMGET', KEYS[1], 'i', 'k')
local removed = redis.call('DEL', KEYS[1])
${PUBLISH_IF('removed', 1)}
return {removed, record[1] or false, record[2] or false}`,
)

/** ARGV: what is demanded. -> 1, or 0 when the record is gone. The `d` field: see sign-in-demands.ts */
export const DEMAND = script(
  'demand',
  `if redis.call('TYPE', KEYS[1]).ok ~= 'hash' or redis.call('HEXISTS', KEYS[1], 'e') == 0 then return 0 end
if redis.call('HGET', KEYS[1], 'd') ~= 'reauthenticate' then redis.call('HSET', KEYS[1], 'd', ARGV[1]) end
return 1`,
)

/** ARGV: field, value. -> {1}, {0} when there is no record with a ticket, {2, value} when the field is there already */
export const ADD_FIELD = script(
  'add field',
  `if redis.call('TYPE', KEYS[1]).ok ~= 'hash' or redis.call('HEXISTS', KEYS[1], 't') == 0 then return {0} end
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 1 then return {1} end
return {2, redis.call('HGET', KEYS[1], ARGV[1])}`,
)

/** ARGV: field. */
export const REMOVE_FIELD = script('remove field', `return redis.call('HDEL', KEYS[1], ARGV[1])`)

/** ARGV: now and longest lifetime, in seconds. -> {1, version, session}, or {0} when the record is gone, has no ticket or is at its end */
export const RETIRE = script(
  'retire',
  `if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then return {0} end
local record = redis.call('HMGET', KEYS[1], 't', 'e', 'n', 's')
local extended, last = string.match(record[2] or '', '^(%d+):(%d+)$')
if not record[1] or not last then return {0} end
local endsAt = math.min(tonumber(last), tonumber(ARGV[1]) + tonumber(ARGV[2]))
if endsAt <= tonumber(ARGV[1]) then return {0} end
redis.call('HSET', KEYS[1], 'r', '1', 'e', string.format('%s:%.0f', extended, endsAt))
if redis.call('TTL', KEYS[1]) > tonumber(ARGV[2]) then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return {1, record[3] or '0', record[4]}`,
)

/** ARGV: member, when it may be forgotten, now; both in seconds. The set lives as long as its longest member. */
export const ADD_MEMBER = script(
  'add member',
  `if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('DEL', KEYS[1]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
local ttl = tonumber(ARGV[2]) - tonumber(ARGV[3])
if redis.call('TTL', KEYS[1]) < ttl then redis.call('EXPIRE', KEYS[1], ttl) end
return 1`,
)

/** ARGV: time of a logout on two clocks (see logout-time.ts), lifetime in ms. What is there and what comes are merged, each clock by itself. */
export const MARK_LOGOUT = script(
  'mark logout',
  `local mark = redis.pcall('GET', KEYS[1])
local at, issued = string.match(type(mark) == 'string' and mark or '', '^(%d+):(%d+)$')
at = math.max(tonumber(at or 0), tonumber(ARGV[1]))
issued = math.max(tonumber(issued or 0), tonumber(ARGV[2]))
redis.call('SET', KEYS[1], string.format('%.0f:%.0f', at, issued), 'PX', ARGV[3])
return 1`,
)

/** The key only says which node of a cluster is asked: there is one clock for all keys. -> {seconds, microseconds} */
export const TIME = script('time', `return redis.call('TIME')`)
/** ARGV: value, lifetime in ms. What a mark says, whatever it said before. */
export const WRITE_MARK = script(
  'write mark',
  `redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`,
)

export const REMOVE_MARK = script('remove mark', `return redis.call('DEL', KEYS[1])`)

/** Sends the hash of the script, and its text to a Redis that does not know it (yet, or after a restart or fail-over). */
export async function runScript(
  client: RedisClient,
  { text, sha1 }: Script,
  key: string,
  args: readonly (string | Buffer | number)[],
): Promise<unknown> {
  const scripting = client as ScriptingClient
  try {
    return await scripting.evalshaBuffer(sha1, 1, key, ...args)
  } catch (error) {
    if (reasonOf(error) !== 'NOSCRIPT') throw error
    return scripting.evalBuffer(text, 1, key, ...args)
  }
}
