import type { IncomingMessage } from 'node:http'
import rawBody from 'raw-body'
import { fieldsOfParsed, parseUrlEncoded } from '../protocol/form-fields.js'
import { boundaryOf, type KeptField, type ParsedForm, parseMultipart } from '../protocol/multipart.js'
import type { HttpRequest } from './node-http.js'
import { isParsed, mediaTypeOf } from './text-body.js'

/** Bytes of the largest form. */
export const LARGEST_FORM = 64 * 1024

export type FormEncoding = 'application/x-www-form-urlencoded' | 'multipart/form-data'

/** A form as the browser has posted it. */
export interface PostedForm {
  readonly encoding: FormEncoding
  readonly fields: readonly KeptField[]
}

/**
 * Why a form is not kept. `type`: it is of another type. `consumed`: a body parser of the site came first, and left nothing that could be sent again.
 */
export type UnreadableForm = 'type' | 'size' | 'files' | 'malformed' | 'consumed'

const URL_ENCODED = 'application/x-www-form-urlencoded'
const MULTIPART = 'multipart/form-data'

/** Reads a posted form, whether or not a body parser ran before. Never rejects, and never reads more than {@link LARGEST_FORM}. */
export async function readPostedForm(req: HttpRequest): Promise<PostedForm | UnreadableForm> {
  const encoding = encodingOf(req)
  if (encoding === undefined) return 'type'
  const { body } = req
  const parsed = isParsed(req) ? await parseParsed(encoding, body) : await parseStream(req, encoding)
  if (typeof parsed === 'string') return parsed
  return sizeOf(parsed) > LARGEST_FORM ? 'size' : { encoding, fields: parsed }
}

function encodingOf(req: IncomingMessage): FormEncoding | undefined {
  if ((req.headers['content-encoding'] ?? 'identity') !== 'identity') return undefined
  const contentType = req.headers['content-type']
  if (mediaTypeOf(req) === URL_ENCODED)
    return /^[^;]*(; *charset="?utf-8"?)?$/i.test(contentType ?? '') ? URL_ENCODED : undefined
  return boundaryOf(contentType) === undefined ? undefined : MULTIPART
}

/** Parsers of files keep them elsewhere, so that what they leave here does not say whether there were any. */
async function parseParsed(encoding: FormEncoding, body: unknown): Promise<ParsedForm | UnreadableForm> {
  if (encoding === MULTIPART) return 'consumed'
  if (typeof body === 'string') return parseUrlEncoded(Buffer.from(body))
  return Buffer.isBuffer(body) ? parseUrlEncoded(body) : fieldsOfParsed(body)
}

async function parseStream(req: IncomingMessage, encoding: FormEncoding): Promise<ParsedForm | UnreadableForm> {
  const contentType = req.headers['content-type']
  if (req.readableDidRead) return 'consumed'
  if (Number(req.headers['content-length'] ?? 0) > LARGEST_FORM) return 'size'
  try {
    const body = await rawBody(req, { limit: LARGEST_FORM })
    return encoding === MULTIPART ? parseMultipart(body, boundaryOf(contentType) ?? '') : parseUrlEncoded(body)
  } catch (error) {
    // What is left is read and dropped, as Node does with a body that was not asked for: the browser waits until all of it has gone.
    req.resume()
    return (error as { type?: string }).type === 'entity.too.large' ? 'size' : 'malformed'
  }
}

function sizeOf(fields: readonly KeptField[]): number {
  return fields.flat().reduce((size, text) => size + Buffer.byteLength(text ?? ''), 0)
}
