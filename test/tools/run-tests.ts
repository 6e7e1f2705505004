import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findSecrets, parseSecretsFile, SECRETS_FILE_VARIABLE } from '../support/secrets.js'
import { countByGroup } from './groups.js'
import { type FileResult, killTestFiles, type Outcome, runTestFile } from './test-file.js'

/**
 * `npm test [-- part of a path …]`: runs every test file, two at a time, each in its own process, and then searches
 * everything they wrote for secrets. Ends with the summary lines Node's own reporter prints.
 */
const repository = fileURLToPath(new URL('../..', import.meta.url))
const testFolder = resolve(repository, process.env.TEST_FOLDER ?? 'test')
const fileTimeout = 1000 * Number(process.env.TEST_FILE_TIMEOUT ?? 300)
const concurrency = Number(process.env.TEST_CONCURRENCY ?? 2)

function collectFiles(folder: string, filters: readonly string[]): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.test.ts') && !name.includes('node_modules'))
    .map(name => relative(repository, join(folder, name)))
    .sort()
  if (filters.length === 0) return files
  return files.filter(file => filters.some(filter => file.includes(filter.replace(/^\.\//, ''))))
}

async function runAll(files: readonly string[], folder: string, env: NodeJS.ProcessEnv): Promise<FileResult[]> {
  const results: FileResult[] = []
  const queue = [...files.entries()]
  const work = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const [index, file] = next
      const result = await runTestFile(file, { folder, index, timeout: fileTimeout, env })
      results.push(result)
      print(describeFile(result))
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work))
  return results
}

function print(text: string): void {
  console.log(text)
}

function isFailure({ passed, becauseOfSubtests }: Outcome): boolean {
  return !passed && !becauseOfSubtests
}

function describeFile({ file, outcomes, notes, output, problem, milliseconds }: FileResult): string {
  const tests = outcomes.filter(outcome => !outcome.isSuite)
  const failures = outcomes.filter(isFailure)
  const good = failures.length === 0 && !problem
  const lines = [`${good ? '✔' : '✖'} ${file} (${tests.length} tests, ${milliseconds} ms)`]
  for (const note of notes) lines.push(`  ℹ ${note}`)
  for (const { name, error } of failures) lines.push(`  ✖ ${name}`, indent(error ?? 'failed'))
  if (problem) lines.push(`  ✖ the file ${problem}`)
  if (!good && output !== '') lines.push('  written by the file:', indent(output.trimEnd()))
  return lines.join('\n')
}

function indent(text: string): string {
  return text.replace(/^/gm, '      ')
}

function everythingSaidBy({ output, notes, outcomes }: FileResult): string {
  return [output, ...notes, ...outcomes.flatMap(({ name, error }) => [name, error ?? ''])].join('\n')
}

/** Labels and places only: a report about a leak must not leak. */
function searchForSecrets(results: readonly FileResult[], secretsFile: string): string[] {
  const secrets = parseSecretsFile(readFileSync(secretsFile, 'utf8'))
  const texts = results.map(result => [result.file, everythingSaidBy(result)] as const)
  const complaints = texts.flatMap(([file, text]) => {
    const leaks = findSecrets(text, secrets)
    return leaks.map(({ label, form, line }) => `${file} wrote the secret "${label}" (${form}), line ${line}`)
  })
  const total = texts.reduce((sum, [, text]) => sum + text.length, 0)
  print(`${complaints.length === 0 ? '✔' : '✖'} ${secrets.size} secrets searched for in ${total} characters of output`)
  for (const complaint of complaints) print(`  ✖ ${complaint}`)
  return complaints
}

function printCounts(results: readonly FileResult[]): void {
  print(`ℹ tests by group: ${[...countByGroup(results)].map(([group, count]) => `${group} ${count}`).join(', ')}`)
}

function summarise(results: readonly FileResult[], complaints: number, milliseconds: number): boolean {
  const outcomes = results.flatMap(result => result.outcomes)
  const tests = outcomes.filter(outcome => !outcome.isSuite)
  const problems = results.filter(result => result.problem).length
  const brokenSuites = outcomes.filter(outcome => outcome.isSuite && isFailure(outcome)).length
  const skipped = tests.filter(outcome => outcome.skipped).length
  const todo = tests.filter(outcome => outcome.todo).length
  const cancelled = tests.filter(outcome => outcome.cancelled).length
  const failed = tests.filter(({ passed, cancelled: isCancelled }) => !passed && !isCancelled).length
  const fail = failed + problems + brokenSuites + complaints
  const passed = tests.filter(outcome => outcome.passed && !outcome.skipped && !outcome.todo).length
  if (tests.length === 0) print('✖ no test ran')
  if (skipped + todo > 0) print('✖ a test that is skipped proves nothing: make it run, or delete it')
  print(`# tests ${tests.length + problems + brokenSuites + complaints}`)
  print(`# suites ${outcomes.length - tests.length}`)
  print(`# pass ${passed}`)
  print(`# fail ${fail}`)
  print(`# cancelled ${cancelled}`)
  print(`# skipped ${skipped}`)
  print(`# todo ${todo}`)
  print(`# duration_ms ${Math.round(milliseconds)}`)
  return tests.length > 0 && fail + cancelled + skipped + todo === 0
}

async function runTests(filters: readonly string[]): Promise<boolean> {
  const begin = performance.now()
  const files = collectFiles(testFolder, filters)
  for (const filter of filters) {
    if (collectFiles(testFolder, [filter]).length === 0) print(`✖ no test file has "${filter}" in its path`)
  }
  const folder = mkdtempSync(join(tmpdir(), 'oidc-tests-'))
  const secretsFile = join(folder, 'secrets.jsonl')
  writeFileSync(secretsFile, '', { mode: 0o600 })
  try {
    const results = await runAll(files, folder, { ...process.env, [SECRETS_FILE_VARIABLE]: secretsFile })
    const leaks = searchForSecrets(results, secretsFile)
    printCounts(results)
    return summarise(results, leaks.length, performance.now() - begin)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

// The files run in process groups of their own, which Ctrl-C does not reach.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    killTestFiles()
    process.exit(1)
  })
}

process.exitCode = (await runTests(process.argv.slice(2))) ? 0 : 1
