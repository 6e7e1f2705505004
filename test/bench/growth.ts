import { type RedisServer, startRedis } from '../support/redis.js'
import { signIn, startSignIn } from './browser.js'
import type { Figure } from './figures.js'
import { putLoadOn } from './load.js'
import type { Pace } from './pages.js'
import { type Contender, type StubProvider, startContender } from './processes.js'
import { redisUsage } from './redis-usage.js'
import { Rounds, shuffle } from './statistics.js'

const MANY_SESSIONS = 1_000_000
const MANY_OF_ONE = 10_000
const BATCH = 20_000

/** Records of the shape and the key length of ours. They are short, so that a million of them fit beside everything else. */
const SEED = `
for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local key = 'oidc:' .. string.format('%043d', i)
  redis.call('HSET', key, 't', ARGV[3], 'k', ARGV[3], 'i', ARGV[3], 'n', '0', 'e', ARGV[4])
  redis.call('EXPIRE', key, 86400)
end`

interface Place {
  readonly name: 'few' | 'many'
  readonly redis: RedisServer
  readonly contender: Contender
  readonly cookies: readonly string[]
}

/** What a page and a sign-in cost where there are ten sessions, and where there are a million and ten thousand of the same person. */
export async function measureGrowth(provider: StubProvider, { rounds, seconds }: Pace) {
  await provider.command({ people: 1 })
  const few = await openPlace('few', provider)
  const many = await openPlace('many', provider)
  await seed(many.redis)
  const measured = { page: new Rounds(), redis: new Rounds(), callback: new Rounds() }
  for (let round = -1; round < rounds * 2; round += 1) {
    if (round >= 0) for (const each of Object.values(measured)) each.begin()
    for (const place of shuffle([few, many])) {
      const before = await redisUsage(place.redis)
      const load = { path: '/page', cookies: place.cookies, connections: 16, seconds }
      const cost = await putLoadOn(place.contender, load)
      const after = await redisUsage(place.redis)
      measured.page.record(place.name, cost.cpu)
      measured.redis.record(place.name, (after.cpu - before.cpu) / (after.commands - before.commands))
      measured.callback.record(place.name, await costOfSignIns(place.contender))
    }
  }
  for (const { contender, redis } of [few, many]) {
    await contender.stop()
    await redis.stop()
  }
  const rows = Object.entries(measured)
  const what = { page: 'CPU of a page', redis: "Redis' CPU for a command of a page", callback: 'CPU of a sign-in' }
  const figures: Figure[] = rows.map(([name, each]) => ({
    what: `${what[name as keyof typeof what]}, a million sessions, 10 000 of one person`,
    against: 'ten sessions',
    goal: 1.05,
    value: each.compare(of => of('many') / of('few')),
  }))
  return { figures, table: rows.map(([name, each]) => ({ name, few: each.median('few'), many: each.median('many') })) }
}

async function openPlace(name: Place['name'], { issuer }: StubProvider): Promise<Place> {
  const redis = await startRedis()
  const contender = await startContender('hybrid', {
    issuer,
    redisUrl: redis.url,
    responseType: 'code id_token',
    userInfo: false,
  })
  const cookies: string[] = []
  while (cookies.length < 10) cookies.push(await signIn(contender.baseUrl))
  return { name, redis, contender, cookies }
}

async function seed(redis: RedisServer): Promise<void> {
  const now = Math.floor(Date.now() / 1000)
  const life = `${now}:${now + 86_400}`
  for (let from = 0; from < MANY_SESSIONS; from += BATCH) {
    await redis.command('EVAL', SEED, 0, from, from + BATCH - 1, 'x'.repeat(48), life)
  }
  const person = await indexOfPerson(redis)
  for (let from = 0; from < MANY_OF_ONE; from += 1000) {
    const members = Array.from({ length: 1000 }, (_, at) => [
      now + 86_400,
      `oidc:${String(from + at).padStart(43, '0')}`,
    ])
    await redis.command('ZADD', person, ...members.flat())
  }
}

/** The set that has all the sign-ins so far in it. */
async function indexOfPerson(redis: RedisServer): Promise<string> {
  for (const key of (await redis.command('KEYS', 'oidc:i:*')) as string[]) {
    if ((await redis.command('ZCARD', key)) === 10) return key
  }
  throw new Error('the sessions of a person are not to be found')
}

async function costOfSignIns(contender: Contender): Promise<number> {
  const waiting = []
  for (let each = 0; each < 48; each += 1) waiting.push(await startSignIn(contender.baseUrl))
  const before = await contender.usage()
  for (const back of waiting) await back.send()
  const after = await contender.usage()
  return (after.cpu - before.cpu) / (after.requests - before.requests)
}
