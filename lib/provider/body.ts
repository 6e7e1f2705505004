import { isUtf8 } from 'node:buffer'
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate } from 'node:zlib'
import { OidcError } from '../errors.js'

const BYTE_ORDER_MARK = 0xfeff

/** @throws {OidcError} ERR_OIDC_PROVIDER_RESPONSE where it is no UTF-8 */
export function decodeText(bytes: Buffer): string {
  if (!isUtf8(bytes))
    throw new OidcError('ERR_OIDC_PROVIDER_RESPONSE', 'the provider responded with text that is not UTF-8')
  const text = bytes.toString()
  return text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text
}

const decompress = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
} as const

/**
 * Undoes a compression that was not asked for.
 *
 * @throws {OidcError} ERR_OIDC_PROVIDER_RESPONSE where there are more than `limit` bytes, or it cannot be undone
 */
export async function unpack(bytes: Buffer, encoding: string, limit: number): Promise<Buffer> {
  if (encoding === 'identity') return bytes
  if (!Object.hasOwn(decompress, encoding)) throw damaged()
  try {
    return await decompress[encoding as keyof typeof decompress](bytes, { maxOutputLength: limit })
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? tooLarge() : damaged()
  }
}

export function tooLarge(): OidcError {
  return new OidcError('ERR_OIDC_PROVIDER_RESPONSE', 'the response of the provider is too large')
}

function damaged(): OidcError {
  return new OidcError('ERR_OIDC_PROVIDER_RESPONSE', 'the response of the provider cannot be decompressed')
}
