import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Contender } from './processes.js'

/** What a contender took for one request. */
export interface Cost {
  /** Microseconds of CPU. */
  readonly cpu: number
  readonly requestsPerSecond: number
  /** Microseconds. */
  readonly p50: number
  /** Microseconds. */
  readonly p99: number
}

export interface Load {
  readonly path: string
  /** Cookie headers, which go round. */
  readonly cookies: readonly string[]
  readonly connections: number
  /** Default: GET. */
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Bytes of the body. Default: none. */
  readonly bodySize?: number
  readonly seconds: number
}

const SCRIPT = `
local requests, at = {}, 0
function init(args)
  for cookie in io.lines(args[1]) do
    local headers = {}
    for at = 4, #args, 2 do headers[args[at]] = args[at + 1] end
    if cookie ~= '' then headers.Cookie = cookie end
    local size = tonumber(args[3])
    requests[#requests + 1] = wrk.format(args[2], nil, headers, size > 0 and string.rep('x', size) or nil)
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\\n{"requests":%d,"duration":%d,"p50":%d,"p99":%d,"errors":%d}\\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99), e.status + e.connect + e.read + e.write + e.timeout))
end
`

interface Summary {
  readonly requests: number
  readonly duration: number
  readonly p50: number
  readonly p99: number
  readonly errors: number
}

const run = promisify(execFile)

/** Lets wrk ask a contender, and asks the contender what it cost. */
export async function putLoadOn(contender: Contender, load: Load): Promise<Cost> {
  const { path, cookies, connections, seconds, method = 'GET', headers = {}, bodySize = 0 } = load
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  try {
    const script = join(folder, 'load.lua')
    const list = join(folder, 'cookies')
    writeFileSync(script, SCRIPT)
    writeFileSync(list, `${cookies.join('\n')}\n`)
    const before = await contender.usage()
    const { stdout } = await run('wrk', [
      ...['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '--timeout', '10s'],
      ...['-s', script, contender.baseUrl + path, '--', list],
      ...[method, String(bodySize), ...Object.entries(headers).flat()],
    ])
    const after = await contender.usage()
    const summary = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Summary
    if (summary.errors > 0) throw new Error(`${summary.errors} errors of ${contender.name} at ${path}`)
    const { requests, duration, p50, p99 } = summary
    return {
      cpu: (after.cpu - before.cpu) / (after.requests - before.requests),
      requestsPerSecond: (requests / duration) * 1e6,
      p50,
      p99,
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
