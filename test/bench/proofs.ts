import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { get, signIn } from './browser.js'
import type { Figure } from './figures.js'
import { type Contender, type StubProvider, startContender } from './processes.js'
import { Rounds, shuffle } from './statistics.js'

const SESSIONS = 16
const AT_ONCE = 8

/** Pages, and calls of an API, of users whose tokens are bound to a key (DPoP), against those whose tokens are not. */
export async function measureProofs(
  provider: StubProvider,
  redisUrl: string,
  { rounds, requests }: { readonly rounds: number; readonly requests: number },
) {
  const settings = { issuer: provider.issuer, redisUrl, responseType: 'code id_token', userInfo: false }
  const contenders = {
    bearer: await startContender('hybrid', settings),
    bound: await startContender('hybrid', { ...settings, dpop: true }),
  }
  const loads: { readonly key: string; readonly run: () => Promise<number> }[] = []
  for (const [kind, contender] of Object.entries(contenders)) {
    const cookies: string[] = []
    for (let session = 0; session < SESSIONS; session += 1) cookies.push(await signIn(contender.baseUrl))
    for (const path of ['/page', '/call'])
      loads.push({ key: `${kind} ${path}`, run: () => cpuOf(contender, { path, cookies, requests }) })
  }
  const cpu = new Rounds()
  for (let round = -1; round < rounds; round += 1) {
    if (round >= 0) cpu.begin()
    for (const { key, run } of shuffle(loads)) cpu.record(key, await run())
  }
  for (const contender of Object.values(contenders)) await contender.stop()
  const start = measureStart(rounds)
  const ratio = (path: string) => cpu.compare(of => of(`bound ${path}`) / of(`bearer ${path}`))
  const against = 'without dpop'
  const figures: Figure[] = [
    { what: 'CPU of a page, tokens bound by DPoP', against, goal: 1.05, value: ratio('/page') },
    { what: 'CPU of a page that calls req.oidc.fetch, one proof', against, goal: 1.5, value: ratio('/call') },
    {
      what: 'import and start, tokens bound by DPoP',
      against,
      goal: 1.05,
      value: start.compare(of => of('bound') / of('bearer')),
    },
  ]
  const table = [
    ...loads.map(({ key }) => ({ what: key, cpu: cpu.median(key) })),
    ...['bearer', 'bound'].map(kind => ({ what: `${kind}, import and start, ms`, cpu: start.median(kind) })),
  ]
  return { figures, table }
}

interface Load {
  readonly path: string
  readonly cookies: readonly string[]
  readonly requests: number
}

/** Microseconds of CPU of the contender for one request. */
async function cpuOf({ baseUrl, usage }: Contender, { path, cookies, requests }: Load): Promise<number> {
  const before = await usage()
  let sent = 0
  const ask = async () => {
    while (sent < requests) {
      sent += 1
      await get(baseUrl + path, cookies[sent % cookies.length] ?? '')
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, ask))
  const after = await usage()
  return (after.cpu - before.cpu) / (after.requests - before.requests)
}

/** As it is published, so `npm run build` comes first. What only `dpop` needs is loaded at the first sign-in. */
function measureStart(rounds: number): Rounds {
  const measured = new Rounds()
  for (let round = 0; round < rounds; round += 1) {
    measured.begin()
    for (const kind of shuffle(['bearer', 'bound'])) measured.record(kind, timeStart(kind === 'bound'))
  }
  return measured
}

function timeStart(dpop: boolean): number {
  const issuer = 'https://op.example'
  const metadata = {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
  }
  const options = {
    ...{ issuer, clientId: 'bench', clientSecret: 'a client secret', baseUrl: 'https://rp.example', dpop, metadata },
    secret: 'The quick brown fox jumps over the lazy dog 0123456789',
  }
  const ours = pathToFileURL(join(process.cwd(), 'dist/index.js')).href
  const program = `await import('express'); const begin = performance.now(); const { openIdConnect } = await import('${ours}'); openIdConnect({ ...${JSON.stringify(options)}, log: () => {} }); console.log(performance.now() - begin); process.exit()`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
  if (stdout === '') throw new Error(stderr)
  return Number(stdout)
}
