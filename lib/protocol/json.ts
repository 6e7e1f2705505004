/** Deeper nesting than any honest document has. Later code may walk a value by recursion without a thought for the stack. */
const DEEPEST = 32

/** Whether a parsed JSON text is an object (not an array, not `null`) that is nested no deeper than 32 levels. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return isRecord(value) && isWithinDepth(value, DEEPEST)
}

/** Whether a value is an object with members: not `null`, not an array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The members that have a value: `null` says as little as a member that is not there. */
export function withoutNulls(record: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return pickMembers(record, (_name, value) => value !== null)
}

/** The members that `isKept` accepts; the record itself, where that is all of them. */
export function pickMembers(
  record: Readonly<Record<string, unknown>>,
  isKept: (name: string, value: unknown) => boolean,
): Readonly<Record<string, unknown>> {
  const names = Object.keys(record)
  if (names.every(name => isKept(name, record[name]))) return record
  return Object.fromEntries(names.filter(name => isKept(name, record[name])).map(name => [name, record[name]]))
}

/** A whole number in a JSON text, or a string, so that digits inside of strings are passed over. */
const STRING_OR_INTEGER = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g

/**
 * Parses a JSON text. Whole numbers beyond 2^53, which JavaScript would round, become strings with all their digits: a large numeric id
 * must not turn into the id of another user. A `sub` at the top stays a number: it has to be a string, whatever its size.
 *
 * @throws {SyntaxError}
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text)
  if (!/\d{16}/.test(text)) return value
  // The text is valid JSON by now, so that every string in it has an end.
  const exact: unknown = JSON.parse(
    text.replace(STRING_OR_INTEGER, token => (isUnsafeInteger(token) ? `"${token}"` : token)),
  )
  return isRecord(value) && isRecord(exact) && typeof value.sub === 'number' ? { ...exact, sub: value.sub } : exact
}

function isUnsafeInteger(token: string): boolean {
  return token.length >= 16 && /^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token))
}

/** Whether a value is an array that holds nothing but strings. */
export function isStringArray(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(item => typeof item === 'string')
}

function isWithinDepth(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (levels === 0) return false
  // A loop and no closure, because every document passes here as a whole.
  for (const member of Object.values(value)) if (!isWithinDepth(member, levels - 1)) return false
  return true
}
