import assert from 'node:assert/strict'
import { after, describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { StoreFixture, signIn as signInState } from '../store/fixtures.js'
import { type Agent, createAgent } from '../support/agent.js'
import {
  type RedisServer,
  type SentinelSetup,
  startClusterWithReplica,
  startSentinel,
  until,
} from '../support/redis.js'
import { startTokenFixture, type TokenFixture } from '../tokens/token-fixture.js'
import { scale } from './scale.js'
import { watchProcess } from './watch.js'

/** Milliseconds that a fail-over, and a client that follows it, may take on a machine with other work to do. */
const PATIENCE = 120_000

/**
 * A real primary, its replicas and three real sentinels, while people sign in, sign out and refresh. Beside each of these writes goes a
 * plain SET of a client with the same settings: what Redis loses of those is what no site can keep.
 */

const watch = watchProcess()
after(watch.check)

interface Run {
  readonly how: 'planned' | 'crash'
  readonly replicas?: number
  readonly failoverDetector?: boolean
  /** `min-replicas-to-write` of the primary: all its replicas. */
  readonly guard?: boolean
  readonly client?: typeof Redis5 | typeof Redis
}

const WORKERS = 6
const QUIET = 10
const REFRESHERS = 10
const SIGN_OUTS = 40 * Math.min(scale, 5)

/** What was acknowledged. A loss is dated by when it was asked for and when the response was there. */
interface Write<T> {
  readonly what: T
  readonly askedAt: number
  readonly acknowledgedAt: number
}

interface Traffic {
  readonly signedIn: Write<Agent>[]
  readonly signedOut: Write<string>[]
  readonly plain: Write<string>[]
  /** SET and WAIT for all replicas. */
  readonly waited: Write<string>[]
  readonly statuses: Map<number, number>
  cookiesTaken: number
  end(): Promise<void>
}

const sidOf = (agent: Agent, { site }: TokenFixture) =>
  agent.cookies(site.url).find(({ name }) => name === 'sid')?.value

async function signIn({ site, now }: TokenFixture): Promise<{ agent: Agent; status: number }> {
  const agent = createAgent({ now: () => now() * 1000 })
  const { status } = await agent.visit(`${site.url}/login?returnTo=/claims`, { from: null })
  return { agent, status }
}

async function signInMany(fixture: TokenFixture, count: number): Promise<Agent[]> {
  const agents: Agent[] = []
  while (agents.length < count) {
    const more = await Promise.all(Array.from({ length: Math.min(10, count - agents.length) }, () => signIn(fixture)))
    for (const { agent, status } of more) {
      assert.equal(status, 200)
      agents.push(agent)
    }
  }
  return agents
}

/** Whether a cookie still is a session. */
async function lives(cookie: string, { site }: TokenFixture): Promise<boolean> {
  const page = await createAgent().fetch(`${site.url}/claims`, {
    from: `${site.url}/`,
    headers: { cookie: `sid=${cookie}` },
  })
  assert.ok(page.status === 200 || page.status === 401, `${page.status}`)
  return page.status === 200
}

interface People {
  readonly quiet: readonly Agent[]
  readonly leaving: Agent[]
  readonly refreshing: readonly Agent[]
}

/** Begins to write, and goes on until it is told to end. */
function startTraffic(
  fixture: TokenFixture,
  [control, waiter]: readonly [Redis, Redis],
  people: People,
  replicas: number,
): Traffic {
  const { site } = fixture
  let goes = true
  let count = 0
  let waitCount = 0
  let round = 0
  const traffic: Traffic = {
    ...{ signedIn: [], signedOut: [], plain: [], waited: [], statuses: new Map() },
    cookiesTaken: 0,
    async end() {
      goes = false
      await Promise.all([...workers, waiting])
    },
  }
  const see = (status: number) => void traffic.statuses.set(status, (traffic.statuses.get(status) ?? 0) + 1)

  async function setPlain(): Promise<void> {
    count += 1
    const key = `control:${count}`
    const from = performance.now()
    await control.set(key, '1')
    traffic.plain.push({ what: key, askedAt: from, acknowledgedAt: performance.now() })
  }

  // Over a connection of its own: what follows a WAIT on the same connection waits with it.
  async function setAndWait(): Promise<void> {
    waitCount += 1
    const key = `control:waited:${waitCount}`
    const askedAt = performance.now()
    const replies = await waiter.pipeline().set(key, '1').call('WAIT', replicas, 100).exec()
    if (replies?.[1]?.[1] === replicas) traffic.waited.push({ what: key, askedAt, acknowledgedAt: performance.now() })
  }

  async function writeOnce(): Promise<void> {
    round += 1
    const askedAt = performance.now()
    const { agent, status } = await signIn(fixture)
    see(status)
    if (status === 200) traffic.signedIn.push({ what: agent, askedAt, acknowledgedAt: performance.now() })

    const leaver = people.leaving.pop()
    if (leaver !== undefined) {
      const cookie = sidOf(leaver, fixture) ?? ''
      const askedAt = performance.now()
      const page = await leaver.post(`${site.url}/logout?local=1`, {})
      see(page.status)
      if (page.status < 400) traffic.signedOut.push({ what: cookie, askedAt, acknowledgedAt: performance.now() })
    }
    const refresher = people.refreshing[round % people.refreshing.length] as Agent
    see((await refresher.fetch(`${site.url}/fresh?force=1`)).status)
    const looker = people.quiet[round % people.quiet.length] as Agent
    const page = await looker.fetch(`${site.url}/claims`)
    see(page.status)
    if (page.hops.some(({ setCookies }) => setCookies.some(cookie => /^sid=;/.test(cookie)))) traffic.cookiesTaken += 1
  }

  const workers = Array.from({ length: WORKERS }, async () => {
    while (goes) {
      await Promise.all([writeOnce(), setPlain().catch(() => {}), sleep(15)])
    }
  })
  const waiting = (async () => {
    while (goes) await Promise.all([setAndWait().catch(() => {}), sleep(15)])
  })()
  return traffic
}

interface Outcome {
  readonly traffic: Traffic
  readonly lost: readonly Write<unknown>[]
  readonly undone: readonly Write<unknown>[]
  readonly lostPlain: readonly Write<unknown>[]
  readonly lostWaited: readonly Write<unknown>[]
  readonly reused: number
  /** When the fail-over began, when the primary was gone (if it was killed), when the replica was seen as the primary, and when the client was seen there. */
  readonly moments: Readonly<Record<'began' | 'killed' | 'promoted' | 'arrived', number>>
}

async function failOver(setup: SentinelSetup, how: Run['how']): Promise<void> {
  if (how === 'planned') await setup.failOver()
  else await setup.primary.kill()
}

/** Where a client is, to be read when a fail-over does not come to its end. */
function describeClient({ status, stream, options }: Redis): string {
  const { remotePort = 'none', destroyed } = (stream ?? {}) as { remotePort?: number; destroyed?: boolean }
  return `${options.connectionName}: ${status}, port ${remotePort}${destroyed ? ', socket destroyed' : ''}`
}

async function describeServers({ name, sentinels, primary, replicas }: SentinelSetup): Promise<string> {
  const ask = async (port: number, ...command: string[]) => {
    const client = new Redis(port, '127.0.0.1', { retryStrategy: null, commandTimeout: 2_000 })
    client.on('error', () => {})
    const [first, ...rest] = command as [string, ...string[]]
    const reply = await client.call(first, ...rest).catch(String)
    client.disconnect()
    return JSON.stringify(reply)
  }
  const lines = [
    ...sentinels.map(
      async ({ port }) => `sentinel ${port}: ${await ask(port, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name)}`,
    ),
    ...[primary, ...replicas].map(async ({ port }) => `server ${port}: ${await ask(port, 'ROLE')}`),
  ]
  return (await Promise.all(lines)).join('\n')
}

const codeOf = (error: unknown) => (error as { code?: unknown }).code

const isPrimary = async (server: RedisServer) => String(await server.command('ROLE')).startsWith('master')

async function run(t: TestContext, { how, replicas = 1, guard, failoverDetector = true, client: Client = Redis }: Run) {
  // The traffic ends before what it goes to, also when the test has failed.
  const endings: (() => unknown)[] = []
  t.after(async () => {
    for (const end of endings.reverse()) await end()
  })
  const setup = await startSentinel({ replicas, sentinels: 3 })
  endings.push(() => setup.stop())
  const options = {
    ...{ sentinels: [...setup.sentinels], name: setup.name, failoverDetector },
    ...{ socketTimeout: 5_000, commandTimeout: 2_000, autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0 },
  }
  const connect = (connectionName: string) => new (Client as typeof Redis)({ ...options, connectionName })
  const [redis, control, waiter] = [connect('site'), connect('control'), connect('waiter')]
  const clients = [redis, control, waiter]
  for (const one of clients) one.on('error', () => {})
  const fixture = await startTokenFixture({ provider: { alg: 'ES256' }, oidc: { redis, idTokenAlgorithm: 'ES256' } })
  endings.push(async () => {
    await fixture.close()
    for (const one of clients) one.disconnect()
  })
  if (guard) await setup.primary.config('min-replicas-to-write', replicas)

  const people: People = {
    quiet: await signInMany(fixture, QUIET),
    leaving: await signInMany(fixture, SIGN_OUTS),
    refreshing: await signInMany(fixture, REFRESHERS),
  }
  const gone = people.leaving.splice(0, 10)
  const goneCookies = gone.map(agent => sidOf(agent, fixture) ?? '')
  for (const agent of gone) await agent.post(`${fixture.site.url}/logout?local=1`, {})
  await setup.primary.command('WAIT', replicas, 5_000)

  const traffic = startTraffic(fixture, [control, waiter], people, replicas)
  endings.push(() => traffic.end().catch(() => {}))
  await sleep(400)
  const began = performance.now()
  await failOver(setup, how)
  const killed = performance.now()
  let next: RedisServer | undefined
  const describeAll = async () => [...clients.map(describeClient), await describeServers(setup)].join('\n')
  const isPromoted = async () => {
    for (const server of setup.replicas) if (await isPrimary(server)) next = server
    return next !== undefined
  }
  await until('a replica is the primary', isPromoted, { patience: PATIENCE, describe: describeAll })
  const promoted = performance.now()
  const primary = next as RedisServer
  const areThere = () =>
    clients.every(
      ({ status, stream }) => status === 'ready' && (stream as { remotePort?: number }).remotePort === primary.port,
    )
  await until('the clients are there', areThere, { patience: PATIENCE, describe: describeAll })
  const arrived = performance.now()
  await sleep(300)
  await traffic.end()
  await until('the site works', async () => (await fixture.site.oidc.health()).ok)

  // Long before the fail-over is safe, whatever happened.
  for (const agent of people.quiet) assert.equal((await agent.fetch(`${fixture.site.url}/claims`)).status, 200)
  for (const cookie of goneCookies) assert.equal(await lives(cookie, fixture), false)
  assert.equal(traffic.cookiesTaken, 0)
  for (const status of traffic.statuses.keys()) {
    // A sign-in that has begun at the old primary and goes on at the new one finds its record gone, and says so.
    if (status === 400 && fixture.site.errors.some(error => codeOf(error) === 'ERR_OIDC_SIGN_IN_ENDED')) continue
    assert.ok([200, 303, 401, 503].includes(status), `${status}: ${fixture.site.errors.map(String).join('\n')}`)
  }

  async function absent(writes: readonly Write<string>[]): Promise<Write<string>[]> {
    const there = await Promise.all(writes.map(({ what }) => primary.command('EXISTS', what)))
    return writes.filter((_, at) => there[at] === 0)
  }
  const lost: Write<unknown>[] = []
  for (const write of traffic.signedIn) if (!(await lives(sidOf(write.what, fixture) ?? '', fixture))) lost.push(write)
  const undone: Write<unknown>[] = []
  for (const write of traffic.signedOut) if (await lives(write.what, fixture)) undone.push(write)
  for (const agent of people.refreshing) await agent.fetch(`${fixture.site.url}/fresh?force=1`)
  const outcome: Outcome = {
    ...{ traffic, lost, undone, reused: fixture.provider.reusedRefreshTokens.length },
    ...{ lostPlain: await absent(traffic.plain), lostWaited: await absent(traffic.waited) },
    moments: { began, killed, promoted, arrived },
  }
  report(t, outcome)
  return outcome
}

function report(t: TestContext, { traffic, lost, undone, lostPlain, lostWaited, reused, moments }: Outcome): void {
  const { began, promoted, arrived } = moments
  const share = (losses: readonly unknown[], all: readonly unknown[]) => `${losses.length} of ${all.length}`
  const statuses = [...traffic.statuses].map(([status, count]) => `${count} x ${status}`).join(', ')
  t.diagnostic(
    `sign-ins lost ${share(lost, traffic.signedIn)}, sign-outs undone ${share(undone, traffic.signedOut)}, refresh tokens ` +
      `sent twice ${reused}, cookies of earlier sessions taken ${traffic.cookiesTaken}; control: plain SETs lost ` +
      `${share(lostPlain, traffic.plain)}, SETs with WAIT lost ${share(lostWaited, traffic.waited)}; ` +
      `new primary after ${(promoted - began).toFixed(0)} ms, client there after ${(arrived - began).toFixed(0)} ms; ${statuses}`,
  )
}

/** Nothing is lost but what the old primary has acknowledged until a moment, or after the fail-over has begun. */
function assertLastMoment({ lost, undone, lostPlain, moments }: Outcome, until: number, isPlanned = true): void {
  for (const { askedAt, acknowledgedAt } of [...lost, ...undone, ...lostPlain]) {
    assert.ok(askedAt <= until, `asked ${askedAt - until} ms later`)
    if (isPlanned) assert.ok(acknowledgedAt >= moments.began, `answered ${moments.began - acknowledgedAt} ms before`)
  }
}

// One at a time: a fail-over is a matter of time-outs, and a busy machine makes more of them than there were.
describe('fail-over', () => {
  describe('by Sentinel', () => {
    for (const [version, client] of [
      ['ioredis 6', Redis],
      ...(scale > 1 ? [['ioredis 5', Redis5] as const] : []),
    ] as const) {
      test(`planned, with failoverDetector, by ${version}: nothing is lost once the client is at the new primary`, async t => {
        const outcome = await run(t, { how: 'planned', client })
        assertLastMoment(outcome, outcome.moments.arrived)
      })
    }
    if (scale === 1) return

    test('planned, with min-replicas-to-write: nothing is lost that was written after the replica was promoted', async t => {
      const outcome = await run(t, { how: 'planned', guard: true })
      assertLastMoment(outcome, outcome.moments.promoted)
    })

    test('the primary crashes: nothing is lost that was written after it', async t => {
      const outcome = await run(t, { how: 'crash' })
      assertLastMoment(outcome, outcome.moments.killed, false)
    })

    test('planned, without failoverDetector: nothing is lost once the client is at the new primary', async t => {
      const outcome = await run(t, { how: 'planned', failoverDetector: false })
      assertLastMoment(outcome, outcome.moments.arrived)
    })

    for (const guard of [false, true]) {
      test(`planned, with two replicas${guard ? ' and min-replicas-to-write' : ''}: nothing is lost once the client is there`, async t => {
        const outcome = await run(t, { how: 'planned', replicas: 2, guard })
        assertLastMoment(outcome, guard ? outcome.moments.promoted : outcome.moments.arrived)
      })
    }
  })

  describe('in a Cluster', () => {
    for (const how of scale > 1 ? (['planned', 'crash'] as const) : (['planned'] as const)) {
      test(`${how}: ${how === 'planned' ? 'nothing is lost' : 'nothing is lost that was written after it'}`, async t => {
        const fixture = new StoreFixture()
        t.after(() => fixture.close())
        const { nodes, stop } = await startClusterWithReplica()
        fixture.onClose(stop)
        const [primary, , , replica] = nodes as [RedisServer, RedisServer, RedisServer, RedisServer]
        const redis = new Cluster(
          nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
          { redisOptions: { socketTimeout: 5_000, commandTimeout: 2_000, autoResendUnfulfilledCommands: false } },
        )
        redis.on('error', () => {})
        fixture.onClose(() => redis.disconnect())
        const store = fixture.state({ redis, timeout: 800 })
        await until('the site works', () => redis.status === 'ready')
        const kept: Write<string>[] = []
        const ended: Write<string>[] = []
        const plain: Write<string>[] = []
        let goes = true
        let refused = 0
        const workers = Array.from({ length: WORKERS }, async (_, worker) => {
          for (let round = 0; goes; round += 1) {
            const askedAt = performance.now()
            const acknowledge = (list: Write<string>[]) => (what: string) =>
              void list.push({ what, askedAt, acknowledgedAt: performance.now() })
            const key = `control:${worker}:${round}`
            const set = redis.set(key, '1').then(() => acknowledge(plain)(key))
            const session = signInState(store).then(async id => {
              if (round % 2 === 0) return acknowledge(kept)(id)
              await store.end(id)
              acknowledge(ended)(id)
            })
            for (const { status } of await Promise.allSettled([set, session, sleep(5)]))
              if (status === 'rejected') refused += 1
          }
        })
        fixture.onClose(() => {
          goes = false
          return Promise.all(workers)
        })
        await sleep(500)
        if (how === 'planned') await replica.command('CLUSTER', 'FAILOVER')
        else await primary.kill()
        const gone = performance.now()
        await until('the replica is the primary', () => isPrimary(replica), { patience: PATIENCE })
        const isComplete = async () => /cluster_state:ok/.test(String(await nodes[1]?.command('CLUSTER', 'INFO')))
        await until('the cluster is complete', isComplete, { patience: PATIENCE })
        await sleep(500)
        goes = false
        await Promise.all(workers)
        const lost: Write<string>[] = []
        const undone: Write<string>[] = []
        const lostPlain: Write<string>[] = []
        for (const write of kept) if ((await store.load(write.what)) === undefined) lost.push(write)
        for (const write of ended) if ((await store.load(write.what)) !== undefined) undone.push(write)
        for (const write of plain) if ((await redis.exists(write.what)) === 0) lostPlain.push(write)
        t.diagnostic(
          `sign-ins lost ${lost.length} of ${kept.length}, sign-outs undone ${undone.length} of ${ended.length}, ` +
            `plain SETs lost ${lostPlain.length} of ${plain.length}, refused ${refused}`,
        )
        const all = [...lost, ...undone, ...lostPlain]
        if (how === 'planned') assert.deepEqual(all, [])
        for (const { askedAt } of all) assert.ok(askedAt <= gone)
      })
    }
  })
})
