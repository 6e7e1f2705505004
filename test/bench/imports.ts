import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Figure } from './figures.js'
import { Rounds, shuffle } from './statistics.js'

const ROOT = process.cwd()
const PEER = 'express-openid-connect'
/** As it is published, so `npm run build` comes first. */
const OURS = join(ROOT, 'dist/index.js')

/** How long it takes to import a package into a site that has loaded Express, and what it brings along. */
export function measureImports(rounds: number) {
  const measured = new Rounds()
  for (let round = 0; round < rounds; round += 1) {
    measured.begin()
    for (const name of shuffle([OURS, PEER])) measured.record(name, timeImport(name))
  }
  const sizes = { ours: closureOf(ROOT), theirs: closureOf(join(ROOT, 'node_modules', PEER)) }
  const figures: Figure[] = [
    { what: 'import, Express loaded', against: PEER, goal: 0.5, value: measured.compare(of => of(OURS) / of(PEER)) },
    { what: 'packages installed', against: PEER, goal: 0.99, value: sizes.ours.packages / sizes.theirs.packages },
    { what: 'bytes installed', against: PEER, goal: 0.99, value: sizes.ours.bytes / sizes.theirs.bytes },
  ]
  return {
    figures,
    table: [
      { package: 'ours', milliseconds: measured.median(OURS), ...sizes.ours },
      { package: PEER, milliseconds: measured.median(PEER), ...sizes.theirs },
    ],
  }
}

function timeImport(name: string): number {
  const specifier = name === OURS ? pathToFileURL(OURS).href : name
  const program = `await import('express'); const begin = performance.now(); await import('${specifier}'); console.log(performance.now() - begin)`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
  if (stdout === '') throw new Error(stderr)
  return Number(stdout)
}

/** The package and everything it depends on, without what a site has to bring along itself. */
function closureOf(folder: string): { packages: number; bytes: number } {
  const found = new Set<string>()
  const visit = (at: string) => {
    if (found.has(at)) return
    found.add(at)
    const { dependencies = {} } = JSON.parse(readFileSync(join(at, 'package.json'), 'utf8')) as {
      dependencies?: Readonly<Record<string, string>>
    }
    for (const name of Object.keys(dependencies)) visit(locate(name, at))
  }
  visit(folder)
  const bytes = [...found].map(at => (at === ROOT ? sizeOf(join(at, 'dist')) : sizeOf(at)))
  return { packages: found.size, bytes: bytes.reduce((sum, size) => sum + size, 0) }
}

function locate(name: string, from: string): string {
  for (let at = from; at.startsWith(ROOT); at = join(at, '..')) {
    const candidate = join(at, 'node_modules', name)
    if (existsSync(join(candidate, 'package.json'))) return candidate
  }
  throw new Error(`${name} is not installed`)
}

/** Without the packages inside it, which are counted by themselves. */
function sizeOf(folder: string): number {
  let bytes = 0
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) bytes += entry.name === 'node_modules' ? 0 : sizeOf(path)
    else bytes += statSync(path).size
  }
  return bytes
}
