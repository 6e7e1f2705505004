import { types } from 'node:util'
import type { Log } from '../diagnostics/log.js'

/** A method of a {@link Logger}. */
export type LogMethod = (...args: never[]) => unknown

/**
 * A logger: pino, winston, bunyan, `console`, or an object of the site with these methods. Each gets the line, and an object of fields: `code`, `correlationId`,
 * `method`, `path`, `status` and others, as far as there are any. pino and bunyan, which are known by their `bindings` or `fields`, get the object first.
 */
export interface Logger {
  /** Takes failures of the site, its store or the provider. */
  readonly error: LogMethod
  /** Takes what was refused, and set-ups that look wrong. */
  readonly warn: LogMethod
  /** Takes what is worth knowing. Default: {@link warn}. */
  readonly info?: LogMethod
}

type GivenLog = ((line: string) => unknown) | Logger

/** What is tried for each level; the levels of syslog have another name for a warning. */
const METHODS: Readonly<Record<string, readonly string[]>> = {
  info: ['info', 'warn', 'warning', 'error'],
  warn: ['warn', 'warning', 'error'],
  error: ['error', 'warn', 'warning'],
}

/** The log. One that fails, at once or later, must not fail what it reports on: the line goes to standard error then. */
export function createLog(given: GivenLog | undefined): Log {
  const standard = (line: string) => console.error(`express-hybrid-oidc: ${line}`)
  if (given === undefined) return standard
  // A function gets the line and nothing else: `console.error` would print whatever came with it.
  const write: Log = typeof given === 'function' ? line => given(line) : writerOf(given)
  return (line, fields) => {
    try {
      const result: unknown = write(line, fields)
      if (types.isPromise(result)) result.catch(() => standard(line))
    } catch {
      standard(line)
    }
  }
}

/** A method is looked up for each line: pino replaces its methods when its level changes. */
function writerOf(logger: Logger): Log {
  const methods = logger as unknown as Readonly<Record<string, unknown>>
  return (line, { level = 'warn', ...said } = {}) => {
    const name = METHODS[level]?.find(each => typeof methods[each] === 'function')
    const method = methods[name ?? 'warn'] as (...args: unknown[]) => unknown
    const fields = Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined))
    if (typeof methods.bindings === 'function' || typeof methods.fields === 'object')
      return method.call(logger, { component: 'express-hybrid-oidc', ...fields }, line)
    const text = `express-hybrid-oidc: ${line}`
    return Object.keys(fields).length === 0 ? method.call(logger, text) : method.call(logger, text, fields)
  }
}
