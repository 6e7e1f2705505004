import { hash } from 'node:crypto'

/** The note of a refresh that failed. A process that reads it does not try again before `retryAt`. */
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

/** Notes of one session that are kept, at most. */
const MOST_FAILURES = 10

/** Stands for the purpose of a token in a note: the note is not sealed. */
export function failureKey(purpose: string): string {
  return hash('sha256', purpose).slice(0, 16)
}

/** The notes with this one in place of an earlier one about the same token. */
export function addFailure(notes: readonly RefreshFailure[], note: RefreshFailure): readonly RefreshFailure[] {
  return [note, ...withoutFailure(notes, note.token)].slice(0, MOST_FAILURES)
}

/** The notes without the one about this token. */
export function withoutFailure(notes: readonly RefreshFailure[], token: string | undefined): readonly RefreshFailure[] {
  return notes.filter(note => note.token !== token)
}

export function formatFailures(notes: readonly RefreshFailure[]): string {
  return notes.map(formatFailure).join(';')
}

function formatFailure({ code, retryAt, pause, count, token }: RefreshFailure): string {
  return `${count}:${retryAt.toFixed(3)}:${pause.toFixed(3)}:${code}${token === undefined ? '' : `:${token}`}`
}

/** Anything {@link formatFailures} did not write is left out. */
export function parseFailures(text: string): readonly RefreshFailure[] {
  return text
    .split(';')
    .map(parseFailure)
    .filter(note => note !== undefined)
}

function parseFailure(text: string): RefreshFailure | undefined {
  const match = /^(\d{1,6}):(\d{1,12}\.\d{3}):(\d{1,3}\.\d{3}):([A-Z_0-9]{1,60})(?::([0-9a-f]{16}))?$/.exec(text)
  if (match === null) return undefined
  const [, count, retryAt, pause, code = '', token] = match
  const numbers = { count: Number(count), retryAt: Number(retryAt), pause: Number(pause) }
  return { ...numbers, code, ...(token !== undefined && { token }) }
}
