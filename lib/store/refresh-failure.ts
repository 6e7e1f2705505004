import { hash } from 'node:crypto'

/** A refresh that failed. A process that reads it does not try again before `retryAt`. */
export interface RefreshFailure {
  /** Code of the error. */
  readonly code: string
  /** Seconds since the epoch, with a fraction. */
  readonly retryAt: number
  /** Seconds between the failure and `retryAt`, with a fraction. */
  readonly pause: number
  /** Failures in a row. */
  readonly count: number
  /** The only token it is about, see {@link failureKey}; left out: all tokens of the session. */
  readonly token?: string
}

/** Failures of one session that are kept, at most. */
const MOST_FAILURES = 10

/** Stands for the purpose of a token in a failure, which is not sealed. */
export function failureKey(purpose: string): string {
  return hash('sha256', purpose).slice(0, 16)
}

/** The failures with this one in place of an earlier one about the same token. */
export function addFailure(failures: readonly RefreshFailure[], failure: RefreshFailure): readonly RefreshFailure[] {
  return [failure, ...withoutFailure(failures, failure.token)].slice(0, MOST_FAILURES)
}

/** The failures without the one about this token. */
export function withoutFailure(
  failures: readonly RefreshFailure[],
  token: string | undefined,
): readonly RefreshFailure[] {
  return failures.filter(failure => failure.token !== token)
}

export function formatFailures(failures: readonly RefreshFailure[]): string {
  return failures.map(formatFailure).join(';')
}

function formatFailure({ code, retryAt, pause, count, token }: RefreshFailure): string {
  return `${count}:${retryAt.toFixed(3)}:${pause.toFixed(3)}:${code}${token === undefined ? '' : `:${token}`}`
}

/** Anything {@link formatFailures} did not write is left out. */
export function parseFailures(text: string): readonly RefreshFailure[] {
  return text
    .split(';')
    .map(parseFailure)
    .filter(failure => failure !== undefined)
}

function parseFailure(text: string): RefreshFailure | undefined {
  const match = /^(\d{1,6}):(\d{1,12}\.\d{3}):(\d{1,3}\.\d{3}):([A-Z_0-9]{1,60})(?::([0-9a-f]{16}))?$/.exec(text)
  if (match === null) return undefined
  const [, count, retryAt, pause, code = '', token] = match
  const numbers = { count: Number(count), retryAt: Number(retryAt), pause: Number(pause) }
  return { ...numbers, code, ...(token !== undefined && { token }) }
}
