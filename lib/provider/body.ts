import { OidcError } from '../errors.js'

/**
 * Reads a body to its end, counting what it is after decompression.
 *
 * @param signal - stops the reading, also where the body comes from a `fetch` that does not heed it
 * @throws {OidcError} ERR_OIDC_PROVIDER_RESPONSE as soon as it is longer than `limit` bytes, or where it is no UTF-8.
 */
export async function readBody(response: Response, limit: number, signal: AbortSignal): Promise<string> {
  if (Number(response.headers.get('content-length') ?? 0) > limit) throw tooLarge()
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of chunksOf(response, signal)) {
    length += chunk.byteLength
    if (length > limit) throw tooLarge()
    chunks.push(chunk)
  }
  return decode(chunks)
}

async function* chunksOf(response: Response, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = response.body?.getReader()
  if (reader === undefined) return
  // Never waited for: the source may never answer.
  signal.addEventListener('abort', () => void reader.cancel().catch(() => undefined))
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value
}

function decode(chunks: readonly Uint8Array[]): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch {
    throw new OidcError('ERR_OIDC_PROVIDER_RESPONSE', 'the provider answered with text that is not UTF-8')
  }
}

function tooLarge(): OidcError {
  return new OidcError('ERR_OIDC_PROVIDER_RESPONSE', 'the provider answered with more than is read')
}
