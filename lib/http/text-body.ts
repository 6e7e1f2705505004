import type { IncomingMessage } from 'node:http'
import rawBody from 'raw-body'
import { OidcError } from '../errors.js'

/** Bytes. An ID Token with hundreds of groups stays well below. */
export const maxBodyBytes = 128 * 1024

type Request = IncomingMessage & { readonly body?: unknown }

/** The media type of a body, without parameters, in lower case. */
export function mediaTypeOf({ headers }: Pick<IncomingMessage, 'headers'>): string | undefined {
  return headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
}

/** @throws {OidcError} ERR_OIDC_REQUEST_TYPE for another type, or for a body that is compressed */
export function requireMediaType(req: IncomingMessage, type: string): void {
  if (mediaTypeOf(req) === type && (req.headers['content-encoding'] ?? 'identity') === 'identity') return
  throw new OidcError('ERR_OIDC_REQUEST_TYPE', `the body is not plain ${type}`)
}

/** A parser that ran has consumed the stream, even when it left an empty object behind. */
export function isParsed(req: Request): boolean {
  return req.body !== undefined && req.readableEnded
}

/**
 * The body as text, whether or not a body parser that keeps text or bytes ran before.
 *
 * @returns what another parser made of it, as it is
 * @throws {OidcError} ERR_OIDC_REQUEST_SIZE, ERR_OIDC_REQUEST_MALFORMED
 */
export async function readBody(req: Request): Promise<unknown> {
  const body = isParsed(req) ? req.body : await readText(req)
  return Buffer.isBuffer(body) ? String(body) : body
}

async function readText(req: IncomingMessage): Promise<string> {
  try {
    const length = req.headers['content-length']
    return await rawBody(req, { limit: maxBodyBytes, encoding: 'utf-8', ...(length !== undefined && { length }) })
  } catch (cause) {
    const tooLarge = (cause as { type?: string }).type === 'entity.too.large'
    const code = tooLarge ? 'ERR_OIDC_REQUEST_SIZE' : 'ERR_OIDC_REQUEST_MALFORMED'
    throw new OidcError(code, tooLarge ? `the body is larger than ${maxBodyBytes} bytes` : 'the body could not be read')
  }
}
