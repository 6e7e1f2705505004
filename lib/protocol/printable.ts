import { isRecord } from './json.js'

/** Keeps the printable ASCII of a text a stranger chose, up to `maxLength` characters, so that it can go into a log line. */
export function printable(text: string, maxLength = 200): string {
  return text.replace(/[^\x20-\x7e]/g, '').slice(0, maxLength)
}

/** What an error's `cause` may show of a value that a stranger chose and that is no secret. */
export function sanitize(value: unknown): unknown {
  if (typeof value === 'string') return printable(value)
  if (Array.isArray(value)) return value.slice(0, 10).map(sanitizeItem)
  return isRecord(value) ? 'object' : value
}

function sanitizeItem(item: unknown): string {
  return typeof item === 'string' ? printable(item) : typeof item
}
