import { PUBLISH_IF, type Script, script } from './redis-scripts.js'

/** For the scripts below: what lease.ts calls a fingerprint. Time is that of Redis, so that the clocks of processes do not matter. */
const PRELUDE = `local function fingerprint(sealed) return sealed and redis.sha1hex(sealed) or '' end
local isForeign = redis.call('TYPE', KEYS[1]).ok ~= 'hash' and redis.call('EXISTS', KEYS[1]) == 1
`

/**
 * ARGV: owner, lifetime in ms, fingerprint of the tokens, failure, 1 where a ticket must be there.
 * -> 1 acquired, 0 held by another owner, 2 changed, -1 absent
 *
 * The owner gets its own lease again, with a new end: the response to an earlier call may have been lost. A lease that ends later than
 * it could, twice over, was written by a clock that is wrong, and is void.
 */
export const ACQUIRE: Script = script(
  'acquire',
  `${PRELUDE}if isForeign and ARGV[5] == '1' then return -1 end
if isForeign then redis.call('DEL', KEYS[1]) end
local record = redis.call('HMGET', KEYS[1], 't', 'k', 'f', 'l')
if ARGV[5] == '1' and not record[1] then return -1 end
if fingerprint(record[2]) ~= ARGV[3] or (record[3] or '') ~= ARGV[4] then return 2 end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local ends, owner = string.match(record[4] or '', '^(%d+):(.+)$')
local left = tonumber(ends or 0) - now
if owner ~= ARGV[1] and left > 0 and left <= 2 * ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'l', string.format('%.0f:%s', now + ARGV[2], ARGV[1]))
if ARGV[5] ~= '1' and redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1`,
)

/**
 * ARGV: owner, fingerprint of the tokens or *, that of the ticket or *, 1 where a ticket must be there, 1 to forget the
 * failure, lifetime in ms or 0, a new absolute end and now in seconds, both 0 for none, then field and value alternately.
 * -> 1 done, 2 changed, -1 absent. The `e` field: see expiry.ts; an end only comes nearer
 */
export const COMMIT: Script = script(
  'commit',
  `${PRELUDE}if isForeign and ARGV[4] == '1' then return -1 end
if isForeign then redis.call('DEL', KEYS[1]) end
local record = redis.call('HMGET', KEYS[1], 't', 'k', 'l')
if ARGV[4] == '1' and not record[1] then return -1 end
if ARGV[2] ~= '*' and fingerprint(record[2]) ~= ARGV[2] then return 2 end
if ARGV[3] ~= '*' and fingerprint(record[1]) ~= ARGV[3] then return 2 end
if #ARGV > 8 then redis.call('HSET', KEYS[1], unpack(ARGV, 9)) end
if ARGV[5] == '1' then redis.call('HDEL', KEYS[1], 'f') end
if string.match(record[3] or '', '^%d+:(.+)$') == ARGV[1] then redis.call('HDEL', KEYS[1], 'l') end
if ARGV[6] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[6]) end
if ARGV[7] == '0' then return 1 end
local limit = tonumber(redis.call('HGET', KEYS[1], 'c') or '')
if limit and tonumber(ARGV[7]) < limit then redis.call('HSET', KEYS[1], 'c', ARGV[7]) end
local extended, last = string.match(redis.call('HGET', KEYS[1], 'e') or '', '^(%d+):(%d+)$')
if last and tonumber(ARGV[7]) < tonumber(last) then
  redis.call('HSET', KEYS[1], 'e', extended .. ':' .. ARGV[7])
  local left = math.max(1, tonumber(ARGV[7]) - tonumber(ARGV[8]))
  if redis.call('TTL', KEYS[1]) > left then redis.call('EXPIRE', KEYS[1], left) end
end
return 1`,
)

/** ARGV: fingerprint of the tokens, channel, and what it is told. -> {1 when it was there, summary}; {0} when there are others, or nothing */
export const REMOVE_IF: Script = script(
  'remove if',
  `${PRELUDE}if isForeign then return {0} end
local record = redis.call('HMGET', KEYS[1], 'k', 'i')
if fingerprint(record[1]) ~= ARGV[1] then return {0} end
local removed = redis.call('DEL', KEYS[1])
${PUBLISH_IF('removed', 2)}
return {removed, record[2]}`,
)
