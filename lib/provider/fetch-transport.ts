import { decodeText, tooLarge } from './body.js'
import { isRedirectStatus, type ProviderRequest, type ProviderResponse, type Transport } from './transport.js'

/** The `fetch` a site gives: for a proxy, a client certificate, instrumentation or a test. It may ignore what it is asked to heed. */
export function createFetchTransport(fetch: typeof globalThis.fetch): Transport {
  async function send(
    { url, limit, isRepeat: _, ...request }: ProviderRequest,
    signal: AbortSignal,
  ): Promise<ProviderResponse> {
    const response = await fetch(url.href, { ...request, redirect: 'manual', signal })
    const { status, type, redirected } = response
    const isRedirect = redirected || type === 'opaqueredirect' || isRedirectStatus(status)
    const text = isRedirect ? '' : await readBody(response, limit, signal)
    return { status, isRedirect, headers: response.headers, text }
  }

  return outgoing => {
    const controller = new AbortController()
    return { response: send(outgoing, controller.signal), cancel: () => controller.abort() }
  }
}

async function readBody(response: Response, limit: number, signal: AbortSignal): Promise<string> {
  if (Number(response.headers.get('content-length') ?? 0) > limit) throw tooLarge()
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of chunksOf(response, signal)) {
    length += chunk.byteLength
    if (length > limit) throw tooLarge()
    chunks.push(chunk)
  }
  return decodeText(Buffer.concat(chunks))
}

async function* chunksOf(response: Response, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = response.body?.getReader()
  if (reader === undefined) return
  // Not awaited: the source may never respond.
  signal.addEventListener('abort', () => void reader.cancel().catch(() => undefined))
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value
}
