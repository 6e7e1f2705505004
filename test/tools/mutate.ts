import { spawn } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import ts from 'typescript'
import { type Coverage, comesBy, firstDifference, readCoverage } from './coverage.js'
import { applyMutant, findMutants, type Mutant, sample } from './mutants.js'
import { readSourceFiles, type SourceFile } from './source-file.js'

/**
 * `npm run test:mutation [-- --sample 60] [-- part of a path …]`: changes lib/protocol and the rooms that serve requests in small ways, one at a time, in
 * copies of the tree, and runs the tests that come by the changed place, quickest first. A change no test notices is a survivor. Ends
 * badly when the share of noticed changes falls below the gate.
 */
const repository = fileURLToPath(new URL('../..', import.meta.url))
/** Percent of the changes that have to be noticed. */
const gates: readonly { readonly name: string; readonly files: RegExp; readonly gate: number }[] = [
  { name: 'lib/protocol', files: /^protocol\//, gate: 90 },
  {
    name: 'the rooms that serve requests',
    files: /^(middleware|sign-in|sign-out|session|tokens|api|http)\//,
    gate: 60,
  },
]
const timeout = 1000 * Number(process.env.MUTANT_TIMEOUT ?? 60)
const workers = Number(process.env.TEST_CONCURRENCY ?? 2)
const seed = 20_260_817

/** Tests with a browser, a second provider, several processes or many trials: too slow to be run hundreds of times. */
const SLOW =
  /browser|cluster|processes|races|real-provider|sentinel|storm|restored-tabs|after-a-night|lost-response|logout-token-kinds|pauses/

/** Milliseconds of tests for one change. */
const patience = 1000 * Number(process.env.MUTANT_PATIENCE ?? 60)

interface Job {
  readonly file: string
  readonly text: string
  readonly mutant: Mutant
  readonly tests: readonly string[]
}

type Verdict = 'noticed' | 'hung' | 'survived'

/** Survivors that change nothing observable, with the reason. */
interface Accepted {
  readonly file: string
  readonly kind: string
  readonly original: string
  readonly reason: string
}

const accepted = JSON.parse(readFileSync(new URL('./accepted-mutants.json', import.meta.url), 'utf8')) as Accepted[]

function collectJobs(filters: readonly string[]): Job[] {
  const sources = readSourceFiles(join(repository, 'lib'))
  return sources
    .filter(({ name }) => gates.some(({ files }) => files.test(name)))
    .filter(({ name }) => filters.length === 0 || filters.some(filter => `lib/${name}`.includes(filter)))
    .flatMap(({ name, text }) => {
      const tests = testsOf(name, sources)
      return findMutants(name, text)
        .filter(mutant => !isAccepted(name, mutant))
        .map(mutant => ({ file: name, text, mutant, tests }))
    })
}

/** The rooms that are tested as a site. */
function servesRequests(name: string): boolean {
  return gates[1]?.files.test(name) === true
}

function isAccepted(name: string, { kind, original }: Mutant): boolean {
  return accepted.some(entry => entry.file === name && entry.kind === kind && entry.original === original)
}

/** Its own test, or, where there is none, those of the files that use it. Handlers are tested as a site. */
function testsOf(name: string, sources: readonly SourceFile[]): readonly string[] {
  const own = testOf(name)
  if (servesRequests(name)) {
    const folders = [
      'middleware',
      'sign-in',
      'http',
      'attacks',
      'sign-out',
      'tokens',
      'api',
      'conformance',
      'session',
      'diagnostics',
    ].flatMap(testsIn)
    return [...new Set([...[own].filter(exists), ...likely(name), ...folders])]
  }
  if (exists(own)) return [own]
  let users = [name]
  for (let distance = 0; distance < 3; distance += 1) {
    users = sources.filter(({ imports }) => imports.some(file => users.includes(file))).map(source => source.name)
    const tests = users.map(testOf).filter(exists)
    if (tests.length > 0) return tests
  }
  return testsIn('protocol')
}

function testOf(name: string): string {
  return `test/${name.replace(/\.ts$/, '.test.ts')}`
}

/** Tests most likely to notice come first: it is the first failure that ends the run of a mutant. */
function likely(name: string): string[] {
  return testsIn(name.split('/')[0] ?? '')
}

function exists(file: string): boolean {
  return existsSync(join(repository, file))
}

/** Those that are quick enough. */
function testsIn(folder: string): string[] {
  const path = join(repository, 'test', folder)
  if (!existsSync(path)) return []
  return readdirSync(path)
    .filter(name => name.endsWith('.test.ts') && !SLOW.test(name))
    .map(name => `test/${folder}/${name}`)
}

function copyTree(): string {
  const folder = mkdtempSync(join(tmpdir(), 'oidc-mutants-'))
  for (const name of ['lib', 'test', 'docs', 'sample-app', 'package.json', 'tsconfig.json', 'README.md']) {
    if (existsSync(join(repository, name))) cpSync(join(repository, name), join(folder, name), { recursive: true })
  }
  symlinkSync(realpathSync(join(repository, 'node_modules')), join(folder, 'node_modules'))
  for (const name of ['lib', 'test', 'sample-app']) {
    for (const file of readdirSync(join(folder, name), { recursive: true, encoding: 'utf8' })) {
      if (/(?<!\.d)\.ts$/.test(file)) compile(join(folder, name, file), readFileSync(join(folder, name, file), 'utf8'))
    }
  }
  return folder
}

/** Beside its source, so that no process has to do it again: a thousand of them are started. */
function compile(path: string, text: string): void {
  writeFileSync(path.replace(/\.ts$/, '.js'), transpile(text))
}

function transpile(text: string): string {
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023, verbatimModuleSyntax: true }
  return ts.transpileModule(text, { compilerOptions }).outputText
}

/** Whether all of them pass. Stops at the first that does not. */
async function pass(folder: string, tests: readonly string[]): Promise<Outcome> {
  for (const file of tests) {
    const outcome = await passOne(folder, file)
    if (outcome !== 'passed') return outcome
  }
  return 'passed'
}

type Outcome = 'passed' | 'failed' | 'hung'

function passOne(folder: string, file: string, more: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  return new Promise(resolve => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const child = spawn(process.execPath, [file.replace(/\.ts$/, '.js')], {
      cwd: folder,
      env: { ...env, ...more },
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    })
    let hung = false
    const end = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      } catch {
        // Already gone.
      }
    }
    const timer = setTimeout(() => {
      hung = true
      end()
    }, timeout)
    let failed = false
    child.stdout.on('data', chunk => {
      // The first failure is enough; the rest of the file would only take time.
      if (!/^\s*not ok /m.test(String(chunk))) return
      failed = true
      end()
    })
    child.on('exit', end)
    child.on('close', code => {
      clearTimeout(timer)
      resolve(hung ? 'hung' : failed || code !== 0 ? 'failed' : 'passed')
    })
  })
}

async function judge(folder: string, { file, text, mutant, tests }: Job): Promise<Verdict> {
  const path = join(folder, 'lib', file)
  compile(path, applyMutant(text, mutant))
  try {
    const outcome = await pass(folder, tests)
    return outcome === 'passed' ? 'survived' : outcome === 'failed' ? 'noticed' : 'hung'
  } finally {
    compile(path, text)
  }
}

async function run(jobs: readonly Job[]): Promise<Map<Job, Verdict>> {
  const verdicts = new Map<Job, Verdict>()
  const folders = Array.from({ length: workers }, copyTree)
  try {
    await inParallel(jobs, async (job, worker) => {
      const verdict = await judge(folders[worker] as string, job)
      verdicts.set(job, verdict)
      if (verdicts.size % 100 === 0) print(`  ${verdicts.size} of ${jobs.length}`)
      if (verdict !== 'noticed') printSurvivor(job, verdict)
    })
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  }
  return verdicts
}

function printSurvivor({ file, mutant: { line, kind, original }, tests }: Job, verdict: Verdict): void {
  const mark = verdict === 'hung' ? '⧗' : '✖'
  print(`  ${mark} lib/${file}:${line} ${kind}: ${original}${tests.length === 0 ? ' (no test comes by)' : ''}`)
}

/** As many at a time as there are workers, in order. */
async function inParallel<T>(items: readonly T[], work: (item: T, worker: number) => Promise<void>): Promise<void> {
  const queue = [...items]
  const worker = async (_: unknown, number: number) => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item, number)
  }
  await Promise.all(Array.from({ length: workers }, worker))
}

/**
 * Runs every test once with nothing changed, to see which places it comes by and how long it takes. One that fails would notice
 * everything, and has no say.
 */
async function chooseTests(jobs: readonly Job[]): Promise<Job[]> {
  const folder = copyTree()
  try {
    const runs = new Map<string, Run>()
    const files = [...new Set(jobs.flatMap(({ tests }) => tests))]
    await inParallel(files, async file => {
      const run = await observeRun(folder, file)
      if (run === undefined) print(`✖ ${file} fails as it is, and has no say`)
      else runs.set(file, run)
    })
    return jobs.flatMap(job => {
      const original = transpile(job.text)
      const place = firstDifference(original, transpile(applyMutant(job.text, job.mutant)))
      // What only the compiler sees is its business.
      return place < original.length ? [{ ...job, tests: testsAt(job, place, runs) }] : []
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Those that come by the place, as far as patience reaches: those of its own layer first, as they look closest, and the quickest first. */
function testsAt({ file, tests }: Job, place: number, runs: ReadonlyMap<string, Run>): readonly string[] {
  const name = file.replace(/\.ts$/, '.js')
  const chosen: string[] = []
  let left = patience
  const isNear = (test: string) => test.startsWith(`test/${dirname(file)}/`)
  const rank = (test: string) => (runs.get(test)?.took ?? 0) + (isNear(test) ? 0 : 1000 * patience)
  for (const test of tests.toSorted((a, b) => rank(a) - rank(b))) {
    const run = runs.get(test)
    if (run === undefined || !comesBy(run.coverage.get(name), place)) continue
    if (chosen.length > 0 && run.took > left) break
    chosen.push(test)
    left -= run.took
  }
  return chosen
}

/** What one run of a test file came by. */
interface Run {
  /** Milliseconds. */
  readonly took: number
  readonly coverage: Coverage
}

async function observeRun(folder: string, file: string): Promise<Run | undefined> {
  const output = mkdtempSync(join(tmpdir(), 'oidc-coverage-'))
  try {
    const begin = performance.now()
    const outcome = await passOne(folder, file, { NODE_V8_COVERAGE: output })
    if (outcome !== 'passed') return undefined
    return { took: performance.now() - begin, coverage: readCoverage(output, pathToFileURL(join(folder, 'lib/')).href) }
  } finally {
    rmSync(output, { recursive: true, force: true })
  }
}

function report(verdicts: ReadonlyMap<Job, Verdict>): boolean {
  let good = true
  for (const { name, files, gate } of gates) {
    const here = [...verdicts].filter(([{ file }]) => files.test(file)).map(([, verdict]) => verdict)
    if (here.length === 0) continue
    const survived = here.filter(verdict => verdict === 'survived').length
    const hung = here.filter(verdict => verdict === 'hung').length
    const score = (100 * (here.length - survived)) / here.length
    const passes = score >= gate
    good &&= passes
    print(
      `${passes ? '✔' : '✖'} ${name}: ${here.length} changes, ${survived} unnoticed, ${hung} hung: ${score.toFixed(1)} % noticed, gate ${gate} %`,
    )
  }
  return good
}

function print(text: string): void {
  console.log(text)
}

const args = process.argv.slice(2)
const at = args.indexOf('--sample')
const size = at === -1 ? Number.POSITIVE_INFINITY : Number(args.splice(at, 2)[1])
const all = collectJobs(args)
const jobs = size < all.length ? sample(all, size, seed) : all
print(`${jobs.length} of ${all.length} changes; ${accepted.length} accepted`)
process.exitCode = report(await run(await chooseTests(jobs))) ? 0 : 1
