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

/** Whether a value is an array that holds nothing but strings. */
export function isStringArray(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(item => typeof item === 'string')
}

function isWithinDepth(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  return levels > 0 && Object.values(value).every(member => isWithinDepth(member, levels - 1))
}
