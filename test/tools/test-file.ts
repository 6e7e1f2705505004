import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What event-reporter.mjs writes per test. */
export interface Outcome {
  readonly name: string
  readonly isSuite: boolean
  readonly passed: boolean
  readonly skipped: boolean
  readonly todo: boolean
  readonly cancelled: boolean
  readonly becauseOfSubtests: boolean
  readonly milliseconds: number
  readonly error?: string
}

export interface FileResult {
  readonly file: string
  readonly outcomes: readonly Outcome[]
  /** What tests said by `t.diagnostic`. */
  readonly notes: readonly string[]
  /** Everything the process, and what it started with inherited streams, wrote. */
  readonly output: string
  /** Why the file as a whole failed, apart from its tests. */
  readonly problem?: string
  readonly milliseconds: number
}

const reporter = new URL('./event-reporter.mjs', import.meta.url).href
const loader = import.meta.resolve('tsx')
const repository = fileURLToPath(new URL('../..', import.meta.url))

interface RunSettings {
  readonly folder: string
  readonly index: number
  readonly timeout: number
  readonly env: NodeJS.ProcessEnv
}

/** Runs one test file in a process (and process group) of its own and waits until all of it is gone. */
export async function runTestFile(file: string, { folder, index, timeout, env }: RunSettings): Promise<FileResult> {
  const events = join(folder, `${index}.jsonl`)
  const begin = performance.now()
  const args = ['--import', loader, `--test-reporter=${reporter}`, `--test-reporter-destination=${events}`, file]
  const child = spawn(process.execPath, args, {
    cwd: repository,
    env: withoutRunner(env),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  running.add(child)
  const output = collect(child)
  const end = await waitFor(child, timeout)
  running.delete(child)
  const { outcomes, notes } = readEvents(events)
  const problem = describeEnd(end, outcomes, timeout)
  return {
    file,
    outcomes,
    notes,
    output: output(),
    ...(problem && { problem }),
    milliseconds: Math.round(performance.now() - begin),
  }
}

/** A runner started from within a test would otherwise believe it is a test file itself. */
function withoutRunner(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { NODE_TEST_CONTEXT: _, ...rest } = env
  return rest
}

function collect(child: ChildProcess): () => string {
  const streams = [child.stdout, child.stderr].map(stream => {
    const chunks: Buffer[] = []
    stream?.on('data', (chunk: Buffer) => chunks.push(chunk))
    return chunks
  })
  return () => streams.map(chunks => Buffer.concat(chunks).toString()).join('')
}

interface End {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly timedOut: boolean
}

function waitFor(child: ChildProcess, timeout: number): Promise<End> {
  return new Promise(resolve => {
    let timedOut = false
    let exit: Omit<End, 'timedOut'> = { code: null, signal: null }
    const timer = setTimeout(() => {
      timedOut = true
      killGroup(child)
    }, timeout)
    child.on('error', () => undefined)
    child.on('exit', (code, signal) => {
      exit = { code, signal }
      // A server the file left behind would hold the streams open, and 'close' would never come.
      killGroup(child)
    })
    child.on('close', () => {
      clearTimeout(timer)
      resolve({ ...exit, timedOut })
    })
  })
}

const running = new Set<ChildProcess>()

/** Ends everything that is under way. */
export function killTestFiles(): void {
  for (const child of running) killGroup(child)
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // Already gone.
  }
}

function readEvents(path: string): Pick<FileResult, 'outcomes' | 'notes'> {
  if (!existsSync(path)) return { outcomes: [], notes: [] }
  // The last line is cut short where the process was.
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter(line => line.endsWith('}'))
  const events = lines.map(line => JSON.parse(line) as Outcome | { note: string })
  return {
    outcomes: events.filter((event): event is Outcome => !('note' in event)),
    notes: events.flatMap(event => ('note' in event ? [event.note] : [])),
  }
}

function describeEnd({ code, signal, timedOut }: End, outcomes: readonly Outcome[], timeout: number) {
  const failed = outcomes.some(outcome => !outcome.passed)
  if (timedOut) return `did not end within ${timeout / 1000} s (a test hangs, or something is left open)`
  if (signal) return `was ended by ${signal}`
  if (code !== 0 && !failed) return `ended with exit code ${code}`
  if (!outcomes.some(outcome => !outcome.isSuite)) return 'holds no test'
  return undefined
}
