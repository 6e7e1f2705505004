import { readFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { type Figure, isReached } from './figures.js'

const PACKAGES = [
  'express',
  'express-session',
  'connect-redis',
  'ioredis',
  'express-openid-connect',
  'openid-client',
  'passport-openidconnect',
  'jose',
]

/** @param info what the server says to `INFO server`. Valkey also says which Redis it is like. */
export function describeServer(info: string): string {
  const of = (name: string) => new RegExp(`${name}_version:(\\S+)`).exec(info)?.[1]
  const valkey = of('valkey')
  return valkey === undefined ? `Redis ${of('redis')}` : `Valkey ${valkey}`
}

/** What was measured where. */
export function describeMachine(server: string) {
  return {
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    load: loadavg().map(value => Number(value.toFixed(1))),
    node: process.version,
    server,
    packages: Object.fromEntries(PACKAGES.map(name => [name, versionOf(name)])),
  }
}

function versionOf(name: string): string {
  return (JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')) as { version: string }).version
}

export function formatFigures(figures: readonly Figure[]): string {
  const rows = figures.map(figure => {
    const { what, against, goal, atLeast, value } = figure
    return `| ${what} | ${against} | ${atLeast ? '>=' : '<='} ${goal} | ${round(value)} | ${isReached(figure) ? 'yes' : 'no'} |`
  })
  return ['| what | against | goal | measured | reached |', '|---|---|---|---|---|', ...rows].join('\n')
}

export function formatTable(rows: readonly object[]): string {
  const names = [...new Set(rows.flatMap(row => Object.keys(row)))]
  const cells = rows.map(row => names.map(name => show((row as Readonly<Record<string, unknown>>)[name])))
  return [names, names.map(() => '---'), ...cells].map(line => `| ${line.join(' | ')} |`).join('\n')
}

/** The figures that docs/performance.md keeps of each release, by the words of their columns. */
const KEPT: Readonly<Record<string, readonly [what: string, against: string]>> = {
  'page / express-session': ['CPU above bare Express, page that reads req.oidc', 'express-session'],
  'page / express-openid-connect': ['CPU above bare Express, page that reads req.oidc', 'express-openid-connect'],
  'page with req.session / express-session': ['the same, and the page reads req.session', 'express-session'],
  'start / express-openid-connect': ['start of a sign-in, CPU', 'express-openid-connect, code id_token'],
  'callback / express-openid-connect': [
    'callback CPU, 16 at once, code id_token',
    'express-openid-connect, code id_token',
  ],
  'callback p50 / floor': ['callback p50, code id_token token', 'floor'],
  'import / express-openid-connect': ['import, Express loaded', 'express-openid-connect'],
}

/** A row of the table in docs/performance.md that compares the releases, with its head. */
export function formatRelease(
  figures: readonly Figure[],
  { node, server, cpu }: ReturnType<typeof describeMachine>,
): string {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
  const measured = ([what, against]: readonly [string, string]) =>
    figures.find(figure => figure.what === what && figure.against === against)?.value
  const kept = Object.fromEntries(Object.entries(KEPT).map(([column, figure]) => [column, measured(figure)]))
  return formatTable([{ release: version, Node: node.slice(1), server, CPU: cpu, ...kept }])
}

function show(value: unknown): string {
  if (typeof value === 'number') return String(round(value))
  return value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value)
}

function round(value: number): number {
  return Number(value.toPrecision(value >= 1000 ? 4 : 3))
}

export interface Bar {
  readonly name: string
  readonly value: number
  readonly isOurs: boolean
}

/** A bar for every contender, ours in colour. */
export function drawBars(title: string, unit: string, bars: readonly Bar[]): string {
  const longest = Math.max(...bars.map(({ value }) => value))
  const lines = bars.map(({ name, value, isOurs }, at) => {
    const y = 44 + at * 26
    const width = Math.max(1, Math.round((value / longest) * 380))
    return `  <text x="214" y="${y + 13}" text-anchor="end">${name}</text>
  <rect x="222" y="${y}" width="${width}" height="18" rx="2" fill="${isOurs ? '#1a7f5a' : '#9aa7b2'}"/>
  <text x="${228 + width}" y="${y + 13}">${Math.round(value)} ${unit}</text>`
  })
  const height = 58 + bars.length * 26
  return `<svg xmlns="http://www.w3.org/2000/svg" width="700" height="${height}" viewBox="0 0 700 ${height}" font-family="sans-serif" font-size="12">
  <title>${title}</title>
  <rect width="700" height="${height}" fill="#ffffff"/>
  <text x="16" y="24" font-size="14" font-weight="bold">${title}</text>
${lines.join('\n')}
</svg>
`
}
