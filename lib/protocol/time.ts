/** The last second a JavaScript date can hold (ECMA-262 section 21.4.1.1). */
const LAST_SECOND = 8.64e12

/** Whether a value is a NumericDate (RFC 7519 section 2) that can be meant: a number, not negative, and a date to JavaScript. */
export function isNumericDate(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= LAST_SECOND
}

/** How far a time of the provider lies ahead of the clock here, or behind it, and what that says about the clocks. Both in seconds since the epoch. */
export function describeOffset(time: number, now: number): string {
  const seconds = Math.abs(Math.round(time - now))
  return time > now
    ? `${seconds} seconds ahead of the clock of this site: this clock is slow, or the provider's is fast`
    : `${seconds} seconds behind the clock of this site: this clock is fast, the provider's is slow, or the response took long to arrive`
}
