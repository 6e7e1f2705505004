import type { RedisServer } from '../support/redis.js'
import { get, signIn } from './browser.js'
import type { Figure } from './figures.js'
import { type Load, putLoadOn } from './load.js'
import type { Contender } from './processes.js'
import { redisUsage } from './redis-usage.js'
import { Rounds, shuffle } from './statistics.js'

export interface Pace {
  readonly rounds: number
  readonly seconds: number
}

const SESSIONS = 16
const REQUESTS = 100
const PEERS = ['express-session', 'express-openid-connect'] as const

interface Visit {
  readonly key: string
  readonly contender: Contender
  readonly load: Omit<Load, 'seconds'>
}

/** Authenticated and anonymous pages, all contenders side by side. */
export async function measurePages(contenders: readonly Contender[], redis: RedisServer, pace: Pace) {
  const visits: Visit[] = []
  const exact: Record<string, { commands: number; bytes: number }> = {}
  for (const contender of contenders) {
    const cookies = contender.name === 'express' ? [''] : await signInAll(contender)
    if (contender.name !== 'express') exact[contender.name] = await countCommands(contender, redis, cookies)
    visits.push(...visitsOf(contender, cookies))
  }
  const measured = { cpu: new Rounds(), requestsPerSecond: new Rounds(), p50: new Rounds(), p99: new Rounds() }
  for (let round = -1; round < pace.rounds; round += 1) {
    if (round >= 0) for (const rounds of Object.values(measured)) rounds.begin()
    for (const { key, contender, load } of shuffle(visits)) {
      const cost = await putLoadOn(contender, { ...load, seconds: pace.seconds })
      for (const [name, rounds] of Object.entries(measured)) rounds.record(key, cost[name as keyof typeof measured])
    }
  }
  return { figures: figuresOf(measured, exact), table: tableOf(visits, measured, exact) }
}

async function signInAll({ baseUrl }: Contender): Promise<string[]> {
  const cookies: string[] = []
  for (let session = 0; session < SESSIONS; session += 1) cookies.push(await signIn(baseUrl))
  return cookies
}

function visitsOf(contender: Contender, cookies: readonly string[]): Visit[] {
  const { name } = contender
  const context = (path: string, connections: number, by = cookies): Visit => ({
    key: `${name} ${path} ${connections}`,
    contender,
    load: { path, connections, cookies: by },
  })
  const compared = ['express', 'hybrid', ...PEERS].includes(name)
  return [
    context('/page', 16),
    ...(compared ? [context('/page', 1), context('/page', 64)] : []),
    ...(['express', 'hybrid', 'express-session'].includes(name) ? [context('/cart', 16)] : []),
    ...(compared ? [context('/open', 16, [''])] : []),
  ]
}

async function countCommands({ baseUrl }: Contender, redis: RedisServer, cookies: readonly string[]) {
  const before = await redisUsage(redis)
  const asking = await redisUsage(redis)
  for (let request = 0; request < REQUESTS; request += 1)
    await get(`${baseUrl}/page`, cookies[request % SESSIONS] ?? '')
  const after = await redisUsage(redis)
  return {
    commands: (after.commands - asking.commands - 1) / REQUESTS,
    bytes: (after.bytes - asking.bytes - (asking.bytes - before.bytes)) / REQUESTS,
  }
}

type Measured = Readonly<Record<'cpu' | 'requestsPerSecond' | 'p50' | 'p99', Rounds>>
type Exact = Readonly<Record<string, { readonly commands: number; readonly bytes: number }>>

function figuresOf({ cpu, requestsPerSecond, p50, p99 }: Measured, exact: Exact): Figure[] {
  const aboveExpress = (peer: string, path: string) =>
    cpu.compare(of => {
      const bare = of(`express ${path} 16`)
      return (of(`hybrid ${path} 16`) - bare) / (of(`${peer} ${path} 16`) - bare)
    })
  const ratio = (rounds: Rounds, peer: string, connections: number) =>
    rounds.compare(of => of(`hybrid /page ${connections}`) / of(`${peer} /page ${connections}`))
  const counts = (kind: 'commands' | 'bytes', peer: string) => (exact.hybrid?.[kind] ?? 0) / (exact[peer]?.[kind] ?? 0)
  const above = 'CPU above bare Express, page that reads req.oidc'
  return [
    { what: above, against: 'express-session', goal: 0.22, value: aboveExpress('express-session', '/page') },
    {
      what: above,
      against: 'express-openid-connect',
      goal: 0.25,
      value: aboveExpress('express-openid-connect', '/page'),
    },
    {
      what: 'the same, and the page reads req.session',
      against: 'express-session',
      goal: 0.32,
      value: aboveExpress('express-session', '/cart'),
    },
    { what: 'throughput', against: PEERS[0], goal: 1.6, atLeast: true, value: ratio(requestsPerSecond, PEERS[0], 16) },
    { what: 'throughput', against: PEERS[1], goal: 2, atLeast: true, value: ratio(requestsPerSecond, PEERS[1], 16) },
    ...PEERS.flatMap(peer => [
      { what: 'Redis commands', against: peer, goal: 0.99, value: counts('commands', peer) },
      { what: 'bytes to and from Redis', against: peer, goal: 0.99, value: counts('bytes', peer) },
    ]),
    ...PEERS.flatMap(peer =>
      [1, 16, 64].flatMap(connections => [
        { what: `p50, ${connections} connections`, against: peer, goal: 1, value: ratio(p50, peer, connections) },
        { what: `p99, ${connections} connections`, against: peer, goal: 1, value: ratio(p99, peer, connections) },
      ]),
    ),
    {
      what: 'CPU of an anonymous request to an open page',
      against: 'express',
      goal: 1.1,
      value: cpu.compare(of => of('hybrid /open 16') / of('express /open 16')),
    },
  ]
}

function tableOf(visits: readonly Visit[], { cpu, requestsPerSecond, p50, p99 }: Measured, exact: Exact) {
  return visits.map(({ key, contender: { name }, load: { path, connections } }) => ({
    contender: name,
    path,
    connections,
    cpu: cpu.median(key),
    requestsPerSecond: requestsPerSecond.median(key),
    p50: p50.median(key),
    p99: p99.median(key),
    ...exact[name],
  }))
}
