import type { Log, LogFields } from './log.js'

/** Writes log lines that any client can cause: lines of one kind are counted, not repeated. */
export type RareLog = (kind: string, line: string, fields?: LogFields) => void

/** Milliseconds after which a kind that has not occurred again is forgotten. */
const period = 60_000
/** Kinds that are counted at a time; more cannot be told apart. */
const mostKinds = 100

/** Lines of one kind that are written as they are. */
const inFull = 3

interface Counter {
  count: number
  reported: number
}

/**
 * The first three lines of a kind are written at once; after that one line when ten, a hundred, a thousand, ... of it have come within a minute,
 * and one with the number at the end of the minute. So a flood of requests that are refused writes a few lines, and none is unknown.
 */
export function createRareLog(log: Log): RareLog {
  const counters = new Map<string, Counter>()

  function report(kind: string, counter: Counter): void {
    counter.reported = counter.count
    log(`${kind}: ${counter.count} times within a minute`, { kind, count: counter.count })
  }

  function startCounting(kind: string): Counter {
    const counter: Counter = { count: 0, reported: inFull }
    counters.set(kind, counter)
    setTimeout(() => {
      counters.delete(kind)
      if (counter.count > counter.reported) report(kind, counter)
    }, period).unref()
    return counter
  }

  return function logRarely(wanted, line, fields) {
    const kind = counters.has(wanted) || counters.size < mostKinds ? wanted : 'other refusals'
    const counter = counters.get(kind) ?? startCounting(kind)
    counter.count += 1
    if (counter.count <= inFull) log(line, fields)
    else if (/^10+$/.test(String(counter.count))) report(kind, counter)
  }
}
