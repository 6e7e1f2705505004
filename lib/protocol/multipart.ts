/** Name and value of one field of a form. `null`: a file input in which the user has chosen no file. */
export type KeptField = readonly [name: string, value: string | null]

/** What a body has: its fields, or why they cannot be had. `files`: a file is among them. `malformed`: no browser has written it. */
export type ParsedForm = readonly KeptField[] | 'files' | 'malformed' | 'size'

/** Fields of one form. Each of them costs a line of a page. */
export const MOST_FIELDS = 500

/** As a browser writes it. RFC 2046 section 5.1.1. */
const BOUNDARY = /^multipart\/form-data; *boundary=(?:"([\w'()+,./:=? -]{0,69}[\w'()+,./:=?-])"|([\w'+.-]{1,70}))$/i

/** As a browser writes it: a quotation mark and a line break of a name are `%22`, `%0D` and `%0A`. HTML section 4.10.21.8. */
const DISPOSITION = /^content-disposition: form-data; name="([^"]*)"(; filename="([^"]*)")?$/i

const TYPE_OF_FILE = /^content-type: [^\r\n]*$/i

/** The boundary of a Content-Type; `undefined` for another type, and for one without a boundary. */
export function boundaryOf(contentType: string | undefined): string | undefined {
  const [, quoted, bare] = BOUNDARY.exec(contentType?.trim() ?? '') ?? []
  return quoted ?? bare
}

/**
 * Reads the text fields of a `multipart/form-data` body, as browsers write it and no other way: no preamble, no further headers, no other encoding
 * than UTF-8. Names stay as they are written, so that a browser writes them the same way again. RFC 7578.
 */
export function parseMultipart(body: Buffer, boundary: string): ParsedForm {
  // One character for each byte: what is between two boundaries may be anything.
  const parts = `\r\n${body.toString('latin1')}`.split(`\r\n--${boundary}`, MOST_FIELDS + 3)
  if (parts.length > MOST_FIELDS + 2) return 'size'
  const first = parts.shift()
  const last = parts.pop()
  if (first !== '' || (last !== '--' && last !== '--\r\n')) return 'malformed'
  const fields: KeptField[] = []
  let hasFiles = false
  for (const part of parts) {
    const field = parsePart(part)
    if (field === 'malformed') return field
    if (field === 'files') hasFiles = true
    else fields.push(field)
  }
  return hasFiles ? 'files' : fields
}

function parsePart(part: string): KeptField | 'files' | 'malformed' {
  const end = part.indexOf('\r\n\r\n')
  const [before, disposition = '', ...others] = end === -1 ? [] : part.slice(0, end).split('\r\n')
  const [match, rawName = '', file, filename] = DISPOSITION.exec(disposition) ?? []
  if (before !== '' || match === undefined) return 'malformed'
  if (file !== undefined) return parseFile(rawName, filename, others, part.slice(end + 4))
  const name = decodeText(rawName)
  const value = decodeText(part.slice(end + 4))
  return name === undefined || value === undefined || others.length > 0 ? 'malformed' : [name, value]
}

/** A file input without a file: a part with an empty name and nothing in it. */
function parseFile(
  rawName: string,
  filename: string | undefined,
  headers: readonly string[],
  content: string,
): KeptField | 'files' | 'malformed' {
  const name = decodeText(rawName)
  if (name === undefined || headers.length !== 1 || !TYPE_OF_FILE.test(headers[0] ?? '')) return 'malformed'
  return filename === '' && content === '' ? [name, null] : 'files'
}

/** `undefined` for what is no UTF-8, and for what a page cannot repeat: HTML has no way to write NUL. */
export function decodeText(bytes: string): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(bytes, 'latin1'))
    return text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}
