import { type Return, startSignIn } from './browser.js'
import type { Figure } from './figures.js'
import type { Pace } from './pages.js'
import { type Contender, type StubProvider, startContender } from './processes.js'
import { median, Rounds, shuffle } from './statistics.js'

const DELAY = 20
const AT_ONCE = 16
/** Until then most of what a callback runs through is not compiled. */
const WARM_UP = 800
const THREE = 'code id_token token'
const TWO = 'code id_token'

interface Candidate {
  readonly key: string
  readonly contender: Contender
}

/** Callbacks with userinfo: how long one takes with a provider that is some way off, and what it costs with many at once. */
export async function measureCallbacks(provider: StubProvider, redisUrl: string, { rounds }: Pace) {
  const candidates: Candidate[] = []
  const calls: Record<string, Readonly<Record<string, number>>> = {}
  for (const [name, responseType] of [
    ['hybrid', THREE],
    ['hybrid', TWO],
    ['express-openid-connect', TWO],
    ['express-session', TWO],
    ['floor', THREE],
    ['floor', TWO],
  ] as const) {
    const key = `${name}, ${responseType}`
    const contender = await startContender(name, { issuer: provider.issuer, redisUrl, responseType, userInfo: true })
    calls[key] = await countFirstCalls(provider, contender)
    for (let done = 0; done < WARM_UP; done += AT_ONCE * 8) await costOfMany(contender)
    candidates.push({ key, contender })
  }
  const measured = { p50: new Rounds(), cpu: new Rounds() }
  for (let round = -1; round < rounds; round += 1) {
    if (round >= 0) for (const each of Object.values(measured)) each.begin()
    for (const { key, contender } of shuffle(candidates)) {
      await provider.command({ delay: DELAY })
      measured.p50.record(key, await timeOneByOne(contender))
      await provider.command({ delay: 0 })
      measured.cpu.record(key, await costOfMany(contender))
    }
  }
  for (const { contender } of candidates) await contender.stop()
  const table = candidates.map(({ key }) => ({
    contender: key,
    p50: measured.p50.median(key),
    cpu: measured.cpu.median(key),
    firstCallback: calls[key],
  }))
  return { figures: figuresOf(measured, calls), table }
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

/** Microseconds of CPU for one. */
async function costOfMany(contender: Contender): Promise<number> {
  const waiting: Return[] = []
  for (let each = 0; each < AT_ONCE * 8; each += 1) waiting.push(await startSignIn(contender.baseUrl))
  const before = await contender.usage()
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let back = waiting.pop(); back !== undefined; back = waiting.pop()) await back.send()
    }),
  )
  const after = await contender.usage()
  return (after.cpu - before.cpu) / (after.requests - before.requests)
}

function figuresOf(
  { p50, cpu }: { readonly p50: Rounds; readonly cpu: Rounds },
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
    { what: 'first callback: calls besides token and userinfo', against: '-', goal: 0, value: more },
  ]
}
