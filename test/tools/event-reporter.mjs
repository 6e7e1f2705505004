// Writes what happened in one test file as one JSON line per test or note, for run-tests.ts.
import { inspect } from 'node:util'

// Node asks for a default export here.
export default async function* eventReporter(source) {
  const names = []
  for await (const { type, data } of source) {
    if (type === 'test:start') {
      names.length = data.nesting
      names[data.nesting] = data.name
    }
    if (type === 'test:diagnostic' && !isSummary(data.message)) yield `${JSON.stringify({ note: data.message })}\n`
    if (type === 'test:pass' || type === 'test:fail') yield `${JSON.stringify(outcome(type, data, names))}\n`
  }
}

/** Node reports its own totals as diagnostics too. */
function isSummary(message) {
  return /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/.test(message)
}

function outcome(type, data, names) {
  const error = data.details?.error
  return {
    name: [...names.slice(0, data.nesting), data.name].join(' > '),
    isSuite: data.details?.type === 'suite',
    passed: type === 'test:pass',
    skipped: data.skip !== undefined && data.skip !== false,
    todo: data.todo !== undefined && data.todo !== false,
    cancelled: error?.failureType === 'cancelledByParent',
    becauseOfSubtests: error?.failureType === 'subtestsFailed',
    milliseconds: Math.round(data.details?.duration_ms ?? 0),
    error: error && describeError(error.cause ?? error),
  }
}

/** Without the frames of the runner itself. */
function describeError(error) {
  const text = inspect(error, { depth: 6, breakLength: 120 })
  const isNoise = line => /^\s*at .*node:internal\//.test(line)
  return text
    .split('\n')
    .filter(line => !isNoise(line))
    .join('\n')
}
