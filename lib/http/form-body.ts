import type { IncomingMessage } from 'node:http'
import rawBody from 'raw-body'
import { OidcError } from '../errors.js'

/** Bytes. An ID Token with hundreds of groups stays well below. */
const maxFormBytes = 128 * 1024

/** Limit of form fields: no provider sends more, and each one costs work. */
const maxFields = 64

/** Name and value of one form field. */
export type FormField = readonly [name: string, value: string]

/**
 * Reads the fields of an `application/x-www-form-urlencoded` request, whether or not a body parser ran before. A field that
 * came twice is there twice, so that the caller can refuse it; what a parser made of `a[]=` or `a[b]=` is no string and refused here.
 *
 * @throws {OidcError} ERR_OIDC_REQUEST_TYPE, ERR_OIDC_REQUEST_SIZE, ERR_OIDC_REQUEST_MALFORMED
 */
export async function readFormFields(req: IncomingMessage & { body?: unknown }): Promise<FormField[]> {
  const type = req.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
  if (type !== 'application/x-www-form-urlencoded' || (req.headers['content-encoding'] ?? 'identity') !== 'identity') {
    throw new OidcError('ERR_OIDC_REQUEST_TYPE', 'the body is not plain application/x-www-form-urlencoded')
  }
  const body = isParsed(req) ? req.body : await readText(req)
  const fields = typeof body === 'string' || Buffer.isBuffer(body) ? parseText(String(body)) : parsedFields(body)
  if (fields.length > maxFields) throw new OidcError('ERR_OIDC_REQUEST_SIZE', `more than ${maxFields} form fields`)
  return fields
}

/** A parser that ran has consumed the stream, even when it left an empty object behind. */
function isParsed(req: IncomingMessage & { body?: unknown }): boolean {
  return req.body !== undefined && req.readableEnded
}

async function readText(req: IncomingMessage): Promise<string> {
  try {
    const length = req.headers['content-length']
    return await rawBody(req, { limit: maxFormBytes, encoding: 'utf-8', ...(length !== undefined && { length }) })
  } catch (cause) {
    const tooLarge = (cause as { type?: string }).type === 'entity.too.large'
    const code = tooLarge ? 'ERR_OIDC_REQUEST_SIZE' : 'ERR_OIDC_REQUEST_MALFORMED'
    throw new OidcError(code, tooLarge ? `the body is larger than ${maxFormBytes} bytes` : 'the body could not be read')
  }
}

/** Counts before it splits: a hundred thousand empty fields must not become a hundred thousand arrays. */
function parseText(text: string): FormField[] {
  if (text.split('&', maxFields + 1).length > maxFields) {
    throw new OidcError('ERR_OIDC_REQUEST_SIZE', `more than ${maxFields} form fields`)
  }
  return [...new URLSearchParams(text)]
}

function parsedFields(body: unknown): FormField[] {
  if (typeof body !== 'object' || body === null) return []
  return Object.entries(body).flatMap(([name, value]: [string, unknown]) => {
    if (typeof value === 'string') return [[name, value] as const]
    if (Array.isArray(value) && value.every(item => typeof item === 'string')) {
      return value.map((item: string) => [name, item] as const)
    }
    throw new OidcError('ERR_OIDC_REQUEST_MALFORMED', 'a form field is not a plain string')
  })
}
