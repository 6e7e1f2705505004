import type { IncomingMessage } from 'node:http'
import { OidcError } from '../errors.js'
import { readBody, requireMediaType } from './text-body.js'

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
  requireMediaType(req, 'application/x-www-form-urlencoded')
  const body = await readBody(req)
  const fields = typeof body === 'string' ? parseText(body) : parsedFields(body)
  if (fields.length > maxFields) throw new OidcError('ERR_OIDC_REQUEST_SIZE', `more than ${maxFields} form fields`)
  return fields
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
