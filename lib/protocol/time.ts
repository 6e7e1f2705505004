/** The last second a JavaScript date can hold (ECMA-262 section 21.4.1.1). */
const LAST_SECOND = 8.64e12

/** Whether a value is a NumericDate (RFC 7519 section 2) that can be meant: a number, not negative, and a date to JavaScript. */
export function isNumericDate(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= LAST_SECOND
}
