import { mkdirSync, writeFileSync } from 'node:fs'
import { startRedis } from '../support/redis.js'
import { measureBuilds } from './builds.js'
import { measureCallbacks } from './callbacks.js'
import type { Figure } from './figures.js'
import { measureGrowth } from './growth.js'
import { measureImports } from './imports.js'
import { measureMemory } from './memory.js'
import { measurePages } from './pages.js'
import { leaveSiteCore, startContender, startStubProvider } from './processes.js'
import { measureProofs } from './proofs.js'
import { describeMachine, describeServer, drawBars, formatFigures, formatRelease, formatTable } from './report.js'
import { measureSealing } from './sealing.js'

/**
 * `npm run bench`, or `npm run bench -- quick`; names of parts measure only those (`builds` is measured only then); BENCH_ROUNDS says how often (9). Results go to the console, to
 * `.tmp/bench/result.json`, and with `chart` to docs/images/performance.svg.
 */
const CONTENDERS = [
  'express',
  'express-session',
  'express-openid-connect',
  'express-openid-connect, cookie',
  'passport',
  'hybrid',
  'floor',
]

const words = new Set(process.argv.slice(2))
const pace = words.has('quick')
  ? { rounds: 2, seconds: 1 }
  : { rounds: Number(process.env.BENCH_ROUNDS ?? 9), seconds: 2 }
const results: Record<string, unknown> = {}
const figures: Figure[] = []

leaveSiteCore()
const redis = await startRedis()
const provider = await startStubProvider()
const server = describeServer(String(await redis.command('INFO', 'server')))
const machine = describeMachine(server)

const parts: Readonly<Record<string, () => Promise<Part> | Part>> = {
  pages: measureAllPages,
  callbacks: () => measureCallbacks(provider, redis.url, pace),
  growth: () => measureGrowth(provider, pace),
  memory: () => measureMemory(provider, redis.url, words.has('quick') ? 200 : 2000),
  imports: () => measureImports(words.has('quick') ? 5 : 21),
  proofs: () => measureProofs(provider, redis.url, { rounds: pace.rounds, requests: words.has('quick') ? 400 : 2000 }),
  sealing: () => ({ figures: [], table: measureSealing() }),
  builds: () => measureBuilds(provider, redis.url, pace),
}

interface Part {
  readonly figures: readonly Figure[]
  readonly table: readonly object[]
}

const asked = Object.keys(parts).filter(name => words.has(name))
const usual = Object.keys(parts).filter(name => name !== 'builds')
for (const name of asked.length > 0 ? asked : usual) {
  const part = await parts[name]?.()
  if (part === undefined) continue
  figures.push(...part.figures)
  results[name] = part.table
  console.log(`\n## ${name}\n\n${formatTable(part.table)}`)
}
await provider.stop()
await redis.stop()

const after = describeMachine(server).load
console.log(`\n## release\n\n${formatRelease(figures, machine)}`)
console.log(`\n## figures\n\n${formatFigures(figures)}\n\n${JSON.stringify({ ...machine, loadAfter: after })}`)
mkdirSync('.tmp/bench', { recursive: true })
writeFileSync('.tmp/bench/result.json', `${JSON.stringify({ machine, loadAfter: after, figures, results }, null, 2)}\n`)
if (words.has('chart')) writeFileSync('docs/images/performance.svg', chart())

async function measureAllPages(): Promise<Part> {
  const settings = { issuer: provider.issuer, redisUrl: redis.url, responseType: 'code id_token', userInfo: false }
  const contenders = []
  for (const name of CONTENDERS) contenders.push(await startContender(name, settings))
  const measured = await measurePages(contenders, redis, pace)
  for (const contender of contenders) await contender.stop()
  return measured
}

function chart(): string {
  const rows = (results.pages ?? []) as { contender: string; path: string; connections: number; cpu: number }[]
  const pages = rows.filter(({ path, connections }) => path === '/page' && connections === 16)
  const bars = pages
    .map(({ contender, cpu }) => ({
      name: contender === 'hybrid' ? 'express-hybrid-oidc' : contender,
      value: cpu,
      isOurs: contender === 'hybrid',
    }))
    .sort((a, b) => a.value - b.value)
  return drawBars('CPU of the site for one authenticated request, 16 connections', 'us', bars)
}
