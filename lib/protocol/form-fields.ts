import { isRecord } from './json.js'
import { type KeptField, MOST_FIELDS, type ParsedForm } from './multipart.js'

/** How deep the objects are that parsers make of `a[b][c]`. */
const MOST_LEVELS = 5

/**
 * Reads an `application/x-www-form-urlencoded` body as browsers write it, and no other way: what is no UTF-8 would not be sent again as it was. URL
 * Standard section 5.
 */
export function parseUrlEncoded(body: Buffer): ParsedForm {
  const pairs = body.toString('latin1').split('&', MOST_FIELDS + 1)
  if (pairs.length > MOST_FIELDS) return 'size'
  if (pairs.length === 1 && pairs[0] === '') return []
  try {
    const fields = pairs.map(pair => {
      const [name = '', ...value] = pair.split('=')
      return [decode(name), decode(value.join('='))] as const
    })
    return fields.flat().some(text => text.includes('\0')) ? 'malformed' : fields
  } catch {
    return 'malformed'
  }
}

/** @throws {URIError} */
function decode(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a browser encodes everything that is not ASCII
  if (!/^[\x00-\x7f]*$/.test(text)) throw new URIError('not encoded')
  return decodeURIComponent(text.replaceAll('+', ' '))
}

/**
 * The fields that a body parser has read, written so that the same parser makes the same of them: `a[b]` for the member of an object, `a[]` for a list of
 * one.
 */
export function fieldsOfParsed(body: unknown): ParsedForm {
  if (!isRecord(body)) return 'malformed'
  const fields: KeptField[] = []
  for (const [name, value] of Object.entries(body)) {
    const found = fieldsOf(name, value, 0)
    if (found === undefined) return 'malformed'
    if (fields.length + found.length > MOST_FIELDS) return 'size'
    fields.push(...found)
  }
  return fields.some(field => field.some(text => text?.includes('\0'))) ? 'malformed' : fields
}

function fieldsOf(name: string, value: unknown, level: number): readonly KeptField[] | undefined {
  if (typeof value === 'string') return [[name, value]]
  if (level === MOST_LEVELS || typeof value !== 'object' || value === null) return undefined
  const isTexts = Array.isArray(value) && value.every(item => typeof item === 'string')
  if (isTexts && value.length > 1) return value.map((item: string) => [name, item] as const)
  if (isTexts) return value.map((item: string) => [`${name}[]`, item] as const)
  const found = Object.entries(value).map(([key, item]) =>
    /[[\]]/.test(key) ? undefined : fieldsOf(`${name}[${key}]`, item, level + 1),
  )
  return found.some(fields => fields === undefined) ? undefined : found.flatMap(fields => fields ?? [])
}
