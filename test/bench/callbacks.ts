import { type Return, startSignIn } from './browser.js'
import type { Usage } from './contender-process.js'
import type { Figure } from './figures.js'
import type { Pace } from './pages.js'
import { type Contender, type StubProvider, startContender } from './processes.js'
import { median, Rounds, shuffle } from './statistics.js'

const DELAY = 20
const AT_ONCE = 16
/** Until then most of what a callback runs through is not compiled. */
export const WARM_UP = 1600
/** Sign-ins whose cost is measured in a round. */
const MANY = AT_ONCE * 16
const THREE = 'code id_token token'
const TWO = 'code id_token'

const CANDIDATES = [
  ['hybrid', THREE],
  ['hybrid', TWO],
  ['express-openid-connect', TWO],
  ['express-session', TWO],
  ['floor', THREE],
  ['floor', TWO],
  ['checked floor', TWO],
] as const

interface Candidate {
  readonly key: string
  readonly contender: Contender
}

/**
 * Callbacks with userinfo: how long one takes with a provider that is some way off, and what it and the start of a sign-in cost with many at once.
 * Every round starts all processes anew, because how V8 compiles a process differs from start to start more than anything within one.
 */
export async function measureCallbacks(provider: StubProvider, redisUrl: string, { rounds }: Pace) {
  const measured = { p50: new Rounds(), cpu: new Rounds(), start: new Rounds() }
  const calls: Record<string, Readonly<Record<string, number>>> = {}
  for (let round = 0; round < rounds; round += 1) {
    for (const each of Object.values(measured)) each.begin()
    for (const { key, contender } of await startAll(provider, redisUrl, calls)) {
      await provider.command({ delay: DELAY })
      measured.p50.record(key, await timeOneByOne(contender))
      await provider.command({ delay: 0 })
      const { start, callback } = await costOfEach(contender)
      measured.start.record(key, start)
      measured.cpu.record(key, callback)
      await contender.stop()
    }
  }
  const table = Object.entries(calls).map(([contender, firstCallback]) => ({
    contender,
    p50: measured.p50.median(contender),
    cpu: measured.cpu.median(contender),
    cpuOfStart: measured.start.median(contender),
    firstCallback,
  }))
  return { figures: figuresOf(measured, calls), table }
}

/** In random order. Notes what the first callback of each has called. */
async function startAll(
  provider: StubProvider,
  redisUrl: string,
  calls: Record<string, Readonly<Record<string, number>>>,
): Promise<readonly Candidate[]> {
  const candidates: Candidate[] = []
  for (const [name, responseType] of CANDIDATES) {
    const key = `${name}, ${responseType}`
    const contender = await startContender(name, { issuer: provider.issuer, redisUrl, responseType, userInfo: true })
    calls[key] = await countFirstCalls(provider, contender)
    for (let done = 0; done < WARM_UP; done += MANY) await costOfMany(contender)
    candidates.push({ key, contender })
  }
  return shuffle(candidates)
}

/** What the first callback of a process waits for. */
async function countFirstCalls(provider: StubProvider, { baseUrl }: Contender) {
  const back = await startSignIn(baseUrl)
  await provider.command({ delay: 0 })
  await back.send()
  return provider.command({})
}

async function timeOneByOne({ baseUrl }: Contender): Promise<number> {
  const times: number[] = []
  for (let each = 0; each < 15; each += 1) times.push(await (await startSignIn(baseUrl)).send())
  return median(times)
}

/** Microseconds of CPU for the start of a sign-in, and for a callback. */
interface Cost {
  readonly start: number
  readonly callback: number
}

/** The median of some, because one may have a collection of all garbage in it. The first comes after a pause, and does not count. */
async function costOfEach(contender: Contender): Promise<Cost> {
  await costOfMany(contender)
  const costs: Cost[] = []
  for (let each = 0; each < 3; each += 1) costs.push(await costOfMany(contender))
  return { start: median(costs.map(({ start }) => start)), callback: median(costs.map(({ callback }) => callback)) }
}

export async function costOfMany(contender: Contender, many = MANY): Promise<Cost> {
  const waiting: Return[] = []
  const before = await contender.usage()
  for (let each = 0; each < many; each += 1) waiting.push(await startSignIn(contender.baseUrl))
  const begun = await contender.usage()
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let back = waiting.pop(); back !== undefined; back = waiting.pop()) await back.send()
    }),
  )
  return { start: costOfOne(before, begun), callback: costOfOne(begun, await contender.usage()) }
}

function costOfOne(before: Usage, after: Usage): number {
  return (after.cpu - before.cpu) / (after.requests - before.requests)
}

function figuresOf(
  { p50, cpu, start }: Readonly<Record<'p50' | 'cpu' | 'start', Rounds>>,
  calls: Readonly<Record<string, Readonly<Record<string, number>>>>,
): Figure[] {
  const peer = `express-openid-connect, ${TWO}`
  const ratio = (rounds: Rounds, a: string, b: string) => rounds.compare(of => of(a) / of(b))
  const { '/token': _token, '/userinfo': _userInfo, ...others } = calls[`hybrid, ${THREE}`] ?? {}
  const more = Object.values(others).reduce((sum, count) => sum + count, 0)
  return [
    { what: `callback p50, ${THREE}`, against: peer, goal: 0.52, value: ratio(p50, `hybrid, ${THREE}`, peer) },
    {
      what: `callback p50, ${THREE}`,
      against: 'floor',
      goal: 1.08,
      value: ratio(p50, `hybrid, ${THREE}`, `floor, ${THREE}`),
    },
    {
      what: `callback p50, ${TWO}`,
      against: 'floor',
      goal: 1.08,
      value: ratio(p50, `hybrid, ${TWO}`, `floor, ${TWO}`),
    },
    {
      what: `callback CPU, ${AT_ONCE} at once, ${TWO}`,
      against: peer,
      goal: 0.45,
      value: ratio(cpu, `hybrid, ${TWO}`, peer),
    },
    {
      what: `callback CPU, ${AT_ONCE} at once, ${THREE}`,
      against: peer,
      goal: 0.45,
      value: ratio(cpu, `hybrid, ${THREE}`, peer),
    },
    { what: 'start of a sign-in, CPU', against: peer, goal: 0.4, value: ratio(start, `hybrid, ${TWO}`, peer) },
    // No goals of ours: how far down the two above could go.
    {
      what: `callback CPU of the checked floor, ${AT_ONCE} at once, ${TWO}`,
      against: peer,
      goal: 0.45,
      value: ratio(cpu, `checked floor, ${TWO}`, peer),
    },
    {
      what: 'start of a sign-in of the checked floor, CPU',
      against: peer,
      goal: 0.4,
      value: ratio(start, `checked floor, ${TWO}`, peer),
    },
    { what: 'first callback: calls besides token and userinfo', against: '-', goal: 0, value: more },
  ]
}
