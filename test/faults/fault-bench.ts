import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createAgent } from '../support/agent.js'
import { type HostileProvider, startHostileProvider } from '../support/hostile-provider.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { ask, CLIENT_PATIENCE, type Watch, watch } from './fault-clients.js'
import { type Front, type Instance, startFront, startInstance } from './fleet.js'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.js'

/** A site of two processes, a control of two processes, a Redis behind a wire that serves both, and a provider. */
export interface FaultFixture {
  readonly redis: RedisServer
  readonly wire: TcpProxy
  readonly provider: HostileProvider
  readonly site: Fleet
  readonly control: Fleet
  close(): Promise<void>
}

interface Fleet {
  readonly front: Front
  start(): Promise<Instance>
}

/** Something that goes wrong, for a while. */
export interface Fault {
  readonly name: string
  /** Seconds until {@link heal}. */
  readonly seconds: number
  readonly hits: 'nothing' | 'Redis' | 'provider' | 'process'
  strike(fixture: FaultFixture): Promise<unknown> | unknown
  heal(fixture: FaultFixture): Promise<unknown> | unknown
  /** Makes whatever has not come back by itself work again, before losses are counted and the next fault is measured. */
  mend?(fixture: FaultFixture): Promise<unknown> | unknown
}

/** What clients saw of a fault. Seconds between two good answers to one client, at most; `undefined`: not measured. */
export interface FaultFigures {
  readonly fault: Fault
  readonly pages: number
  readonly writes: number
  readonly tokens: number
  readonly signIns: number
  readonly lost: Losses
  /** The same requests to the control or, for a fault of the provider, token requests straight to the provider. */
  readonly control: { readonly longest: number; readonly lost: Losses }
}

export interface Losses {
  /** Users who had to sign in again. */
  readonly users: number
  /** Writes that were answered with 200 and are not there. */
  readonly writes: number
  /** Requests without a response. */
  readonly requests: number
  /** Refresh tokens that were sent twice. */
  readonly reused: number
}

export interface Scale {
  readonly users: number
  /** Seconds before the fault, and at least after it. */
  readonly calm: number
  /** Seconds after the fault until what does not work again counts as not coming back. */
  readonly patience: number
}

/** Seconds. Short, so that each user's token is refreshed every two seconds. */
const TOKEN_LIFE = 4
/** Seconds from which on a figure says only that it was longer. */
const NEVER = 60
/** Milliseconds between two requests of one client. */
const PAUSE = 100
const SIGN_IN_PAUSE = 250

export async function openFaultFixture(): Promise<FaultFixture> {
  const redis = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'everysec'] })
  const wire = await startTcpProxy(redis.port)
  const provider = await startHostileProvider({ alg: 'ES256', expiresIn: TOKEN_LIFE, refreshTokens: 'always' })
  const url = `redis://127.0.0.1:${wire.port}`
  const { issuer, clientId, clientSecret } = provider
  const siteFront = await startFront()
  const oidc = {
    ...{ issuer, clientId, clientSecret, redis: url, baseUrl: siteFront.url, secret: secret('site secret') },
    idTokenAlgorithm: 'ES256' as const,
  }
  const site = { front: siteFront, start: () => startInstance({ oidc }) }
  const settings = JSON.stringify({ redis: url, secret: secret('control secret') })
  const program = fileURLToPath(new URL('./control-process.ts', import.meta.url))
  const startControl = () => startInstance({ program, env: { CONTROL_PROCESS: settings }, oidc })
  const control = { front: await startFront(), start: startControl }
  for (const fleet of [site, control]) fleet.front.instances = [await fleet.start(), await fleet.start()]
  return {
    redis,
    wire,
    provider,
    site,
    control,
    async close() {
      for (const { front } of [site, control]) {
        await Promise.all(front.instances.map(instance => instance.kill()))
        await front.close()
      }
      await wire.close()
      await redis.stop()
      await provider.close()
    },
  }
}

/** Replaces one process of each fleet. `kill`: without a word; `end`: as docs/deployment.md says. */
async function replaceOne(fixture: FaultFixture, how: 'kill' | 'end'): Promise<void> {
  await Promise.all(
    [fixture.site, fixture.control].map(async ({ front, start }) => {
      const [old, ...others] = front.instances
      if (how === 'kill') await old?.kill()
      const fresh = await start()
      front.instances = [...others, fresh]
      if (how === 'end') await old?.drain()
    }),
  )
}

const REDIS: readonly Fault[] = [
  {
    name: 'Redis is killed, and started again with its append-only file',
    seconds: 2,
    hits: 'Redis',
    strike: ({ redis }) => redis.kill(),
    heal: ({ redis }) => redis.restart(),
  },
  {
    name: 'Redis stands still (SIGSTOP)',
    seconds: 3,
    hits: 'Redis',
    strike: ({ redis }) => redis.pause(),
    heal: ({ redis }) => redis.resume(),
  },
  {
    name: 'Redis is full (noeviction)',
    seconds: 3,
    hits: 'Redis',
    strike: ({ redis }) => redis.config('maxmemory', '1'),
    heal: ({ redis }) => redis.config('maxmemory', '0'),
  },
  { name: 'all connections to Redis are cut', seconds: 0, hits: 'Redis', strike: ({ wire }) => wire.cut(), heal() {} },
  {
    name: 'all connections to Redis lead nowhere, new ones as well',
    seconds: 3,
    hits: 'Redis',
    strike: ({ wire }) => wire.turn('black hole'),
    heal({ wire }) {
      wire.turn('fine')
    },
    async mend({ wire }) {
      wire.cut()
      await sleep(2000)
    },
  },
]

const down = (seconds: number): Fault => ({
  name: 'the provider refuses connections',
  seconds,
  hits: 'provider',
  strike: ({ provider }) => provider.stop(),
  heal: ({ provider }) => provider.start(),
})

const broken = (name: string, seconds: number, token: object): Fault => ({
  name,
  seconds,
  hits: 'provider',
  strike: ({ provider }) => provider.break({ token }),
  heal: ({ provider }) => provider.heal(),
})

const PROVIDER: readonly Fault[] = [
  down(1),
  down(10),
  broken('the token endpoint takes 3 s for each response', 10, { delay: 3000 }),
  broken('the token endpoint answers 500', 5, { status: 500, body: {} }),
  broken('the token endpoint answers 429 with `Retry-After: 2`', 5, {
    status: 429,
    headers: { 'retry-after': '2' },
    body: {},
  }),
]

const PROCESSES: readonly Fault[] = [
  {
    name: 'one of two processes is killed (SIGKILL) and replaced',
    seconds: 0,
    hits: 'process',
    strike: fixture => replaceOne(fixture, 'kill'),
    heal() {},
  },
  {
    name: 'one of two processes is replaced, and ended (SIGTERM) after the front was told',
    seconds: 0,
    hits: 'process',
    strike: fixture => replaceOne(fixture, 'end'),
    heal() {},
  },
]

const NOTHING: Fault = { name: 'none', seconds: 3, hits: 'nothing', strike() {}, heal() {} }

export const faults: readonly Fault[] = [NOTHING, ...REDIS, ...PROVIDER, ...PROCESSES]

/** One user with a session that counts what is written to it. */
interface User {
  readonly url: string
  readonly cookie: string
  /** The last write that was answered with 200. */
  written: number
  /** Writes that were answered with 200 and were not there afterwards. */
  gone: number
}

async function signIn({ site }: FaultFixture): Promise<User> {
  const agent = createAgent()
  const signal = AbortSignal.timeout(CLIENT_PATIENCE)
  const page = await agent.visit(`${site.front.url}/login?returnTo=/claims`, { from: null, signal })
  if (page.status !== 200) throw new Error(`the sign-in ended with ${page.status}`)
  const cookie = agent.cookies(site.front.url).find(({ name }) => name === 'sid')?.value
  return { url: site.front.url, cookie: `sid=${cookie}`, written: 0, gone: 0 }
}

async function createControlUser({ control }: FaultFixture): Promise<User> {
  const { setCookie } = await ask({ url: `${control.front.url}/session?n=0`, method: 'POST' })
  return { url: control.front.url, cookie: setCookie[0]?.split(';')[0] ?? '', written: 0, gone: 0 }
}

const get = async ({ url, cookie }: User, path: string) => (await ask({ url: url + path, headers: { cookie } })).status

/** What the session holds is compared with what was written to it. */
async function compareWrites(user: User): Promise<void> {
  const { status, body } = await ask({ url: `${user.url}/session`, headers: { cookie: user.cookie } })
  if (status !== 200) return
  const kept = Number((JSON.parse(body) as { n?: string }).n ?? 0)
  user.gone += Math.max(0, user.written - kept)
  user.written = kept
}

async function write(user: User): Promise<number> {
  await compareWrites(user)
  const n = user.written + 1
  const origin = new URL(user.url).origin
  const headers = { cookie: user.cookie, origin, 'sec-fetch-site': 'same-origin' }
  const { status } = await ask({ url: `${user.url}/session?n=${n}`, method: 'POST', headers })
  if (status === 200) user.written = n
  return status
}

/** A token request without this package. */
async function askProvider({ provider }: FaultFixture): Promise<number> {
  const authorization = `Basic ${Buffer.from(`${provider.clientId}:${provider.clientSecret}`).toString('base64')}`
  const headers = { authorization, 'content-type': 'application/x-www-form-urlencoded' }
  const body = 'grant_type=client_credentials'
  return (await ask({ url: `${provider.issuer}/token`, method: 'POST', headers, body })).status
}

export async function measureFault(
  fixture: FaultFixture,
  fault: Fault,
  { users, calm, patience }: Scale,
): Promise<FaultFigures> {
  const people = await Promise.all(Array.from({ length: users }, () => signIn(fixture)))
  const others = await Promise.all(Array.from({ length: users }, () => createControlUser(fixture)))
  const reusedBefore = fixture.provider.reusedRefreshTokens.length
  const each = (some: readonly User[], attempt: (user: User) => Promise<number>) =>
    some.map(user => watch(() => attempt(user), PAUSE))
  const site = {
    pages: each(people, user => get(user, '/claims')),
    writes: each(people, write),
    tokens: each(people, user => get(user, '/token')),
    signIns: [watch(() => signIn(fixture).then(() => 200), SIGN_IN_PAUSE)],
  }
  const control =
    fault.hits === 'provider'
      ? [watch(() => askProvider(fixture), PAUSE)]
      : [...each(others, user => get(user, '/session')), ...each(others, write)]
  const all = [...Object.values(site).flat(), ...control]

  await sleep(calm * 1000)
  await fault.strike(fixture)
  await sleep(fault.seconds * 1000)
  await fault.heal(fixture)
  await recovered(all, patience)
  await sleep(calm * 1000)
  await Promise.all([...all.map(one => one.stop()), fault.mend?.(fixture)])

  const longestOf = (watches: readonly Watch[]) => Math.max(...watches.map(({ longest }) => longest))
  const reused = fixture.provider.reusedRefreshTokens.length - reusedBefore
  // The browser itself finds a provider that is away: a sign-in without a response is not counted.
  const asked = [...site.pages, ...site.writes, ...site.tokens]
  const lost = await lossesOf(people, asked, '/claims', reused)
  return {
    fault,
    pages: longestOf(site.pages),
    writes: longestOf(site.writes),
    tokens: longestOf(site.tokens),
    signIns: longestOf(site.signIns),
    lost,
    control: { longest: longestOf(control), lost: await lossesOf(others, control, '/session', 0) },
  }
}

/** Every client has had a good answer since now, or `patience` seconds have passed. */
async function recovered(watches: readonly Watch[], patience: number): Promise<void> {
  const since = performance.now()
  while (watches.some(({ lastGood }) => lastGood < since)) {
    if (performance.now() - since > patience * 1000) return
    await sleep(PAUSE)
  }
}

async function lossesOf(
  people: readonly User[],
  watches: readonly Watch[],
  page: string,
  reused: number,
): Promise<Losses> {
  const areThere = await Promise.all(people.map(async user => (await get(user, page)) === 200))
  const users = areThere.filter(isThere => !isThere).length
  await Promise.all(people.filter((_, index) => areThere[index]).map(compareWrites))
  const writes = people.reduce((sum, { gone }) => sum + gone, 0)
  const requests = watches.reduce((sum, { statuses }) => sum + (statuses.get(0) ?? 0), 0)
  return { users, writes, requests, reused }
}

/** Markdown. */
export function formatFaults(figures: readonly FaultFigures[]): string {
  const names = ['fault', 'for', 'pages', 'writes', 'tokens', 'sign-ins', 'lost', 'control', 'lost by the control']
  const seconds = (value: number) => (value > NEVER ? `more than ${NEVER} s` : `${value.toFixed(1)} s`)
  const rows = figures.map(({ fault, pages, writes, tokens, signIns, lost, control }) => [
    ...[fault.name, fault.seconds === 0 ? '' : `${fault.seconds} s`],
    ...[pages, writes, tokens, signIns].map(seconds),
    ...[formatLosses(lost), seconds(control.longest), formatLosses(control.lost)],
  ])
  return [names, names.map(() => '---'), ...rows].map(line => `| ${line.join(' | ')} |`).join('\n')
}

function formatLosses({ users, writes, requests, reused }: Losses): string {
  const parts = [
    [users, 'signed out'],
    [writes, 'writes'],
    [requests, 'requests without a response'],
    [reused, 'refresh tokens sent twice'],
  ] as const
  const said = parts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`)
  return said.length === 0 ? 'nothing' : said.join(', ')
}
