/** The note of a renewal that failed. Whoever reads it does not try again before `retryAt`. */
export interface RenewalFailure {
  /** Code of the error. */
  readonly code: string
  /** Seconds since the epoch, with a fraction. */
  readonly retryAt: number
  /** Failures in a row. */
  readonly count: number
}

export function formatFailure({ code, retryAt, count }: RenewalFailure): string {
  return `${count}:${retryAt.toFixed(3)}:${code}`
}

/** `undefined` for anything {@link formatFailure} did not write. */
export function parseFailure(text: string): RenewalFailure | undefined {
  const match = /^(\d{1,6}):(\d{1,12}\.\d{3}):([A-Z_]{1,60})$/.exec(text)
  if (match === null) return undefined
  return { count: Number(match[1]), retryAt: Number(match[2]), code: match[3] ?? '' }
}
