import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { signIn } from './browser.js'
import { costOfMany, WARM_UP } from './callbacks.js'
import { type Cost, type Load, putLoadOn } from './load.js'
import type { Pace } from './pages.js'
import { type Contender, startContender } from './processes.js'
import { Rounds, shuffle } from './statistics.js'

const SESSIONS = 16

/** A call of a script, as `oidc.proxy` takes it. */
const call = { connections: 16, headers: { 'X-CSRF': '1', 'Content-Type': 'application/json' } }

const loads: Readonly<Record<string, Omit<Load, 'seconds' | 'cookies'>>> = {
  'signed-in page': { path: '/page', connections: 16 },
  'proxy, GET of 1 KB': { path: '/api/x', ...call },
  'proxy, POST of 10 KB': { path: '/api/x', method: 'POST', bodySize: 10_240, ...call },
}

/**
 * Two builds of this package beside each other: what a request costs with the one, as a ratio of the other. `BENCH_BEFORE` is the
 * `dist/index.js` of the earlier one, made in a tree of its own.
 */
export async function measureBuilds(provider: { readonly issuer: string }, redisUrl: string, pace: Pace) {
  const { BENCH_BEFORE: before = '' } = process.env
  if (before === '') throw new Error('BENCH_BEFORE has to be the dist/index.js of another build')
  const api = await startApi()
  const common = { issuer: provider.issuer, redisUrl, responseType: 'code id_token', userInfo: false, api: api.url }
  const start = async (more: { readonly userInfo?: boolean }) => ({
    now: await startContender('hybrid', { ...common, ...more, build: resolve('dist/index.js') }),
    before: await startContender('hybrid', { ...common, ...more, build: before }),
  })
  const pages = await start({})
  try {
    const ofPages = await compare(pages, pace)
    const ofSignIns = await compareSignIns(() => start({ userInfo: true }), pace)
    return { figures: [], table: [...ofPages, ...ofSignIns] }
  } finally {
    await stop(pages)
    api.close()
  }
}

type Builds = Readonly<Record<'now' | 'before', Contender>>

async function stop(builds: Builds): Promise<void> {
  for (const build of Object.values(builds)) await build.stop()
}

/** Sign-ins of one build between two looks at the other: few, so that both see the same load of the machine. */
const FEW = 96
const RESTARTS = 3

/** Every restart compiles the builds anew, which makes more of a difference than most changes. */
async function compareSignIns(start: () => Promise<Builds>, { rounds }: Pace) {
  const measured = { start: new Rounds(), callback: new Rounds() }
  for (let restart = 0; restart < RESTARTS; restart += 1) {
    const builds = await start()
    for (const build of Object.values(builds)) await costOfMany(build, WARM_UP)
    for (let round = 0; round < rounds * 4; round += 1) {
      for (const each of Object.values(measured)) each.begin()
      for (const [name, build] of shuffle(Object.entries(builds))) {
        const cost = await costOfMany(build, FEW)
        measured.start.record(name, cost.start)
        measured.callback.record(name, cost.callback)
      }
    }
    await stop(builds)
  }
  const ratio = (each: Rounds) => each.compare(of => of('now') / of('before'))
  return [
    { 'now / before': 'start of a sign-in', cpu: ratio(measured.start) },
    { 'now / before': 'callback', cpu: ratio(measured.callback) },
  ]
}

async function compare(builds: Builds, pace: Pace) {
  const visits: { key: string; contender: Contender; load: Omit<Load, 'seconds'> }[] = []
  for (const [build, contender] of Object.entries(builds)) {
    const cookies: string[] = []
    for (let session = 0; session < SESSIONS; session += 1) cookies.push(await signIn(contender.baseUrl))
    for (const [what, load] of Object.entries(loads)) {
      visits.push({ key: `${build} ${what}`, contender, load: { ...load, cookies } })
    }
  }
  const measured = { cpu: new Rounds(), requestsPerSecond: new Rounds(), p50: new Rounds() }
  for (let round = -1; round < pace.rounds; round += 1) {
    if (round >= 0) for (const rounds of Object.values(measured)) rounds.begin()
    for (const { key, contender, load } of shuffle(visits)) {
      const cost = await putLoadOn(contender, { ...load, seconds: pace.seconds })
      for (const [name, rounds] of Object.entries(measured)) rounds.record(key, cost[name as keyof Cost])
    }
  }
  return Object.keys(loads).map(what => {
    const ratio = (rounds: Rounds) => rounds.compare(of => of(`now ${what}`) / of(`before ${what}`))
    return {
      'now / before': what,
      requestsPerSecond: ratio(measured.requestsPerSecond),
      p50: ratio(measured.p50),
      cpu: ratio(measured.cpu),
    }
  })
}

/** Answers 1 KB to everything. */
async function startApi(): Promise<{ readonly url: string; close(): void }> {
  const body = JSON.stringify({ text: 'x'.repeat(1011) })
  const respond = (req: IncomingMessage, res: ServerResponse) => {
    req.resume().on('end', () => {
      res.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body)
    })
  }
  const server = createServer(respond)
  await new Promise<void>(done => server.listen(0, '127.0.0.1', () => done()))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, close: () => void server.close().closeAllConnections() }
}
