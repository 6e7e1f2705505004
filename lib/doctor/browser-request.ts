import { get as getByHttp, type IncomingMessage } from 'node:http'
import { get as getByHttps } from 'node:https'

/** As much of a response as the checks look at. */
export interface BrowserResponse {
  readonly status: number
  readonly location: string | undefined
  readonly cookies: readonly string[]
  /** The beginning of the body. */
  readonly html: string
}

/** Whom TLS trusts. Default: the CAs that Node trusts. */
export interface TrustedAuthorities {
  readonly ca?: (string | Buffer)[]
}

/** Bytes of a page that are read. */
const LONGEST_PAGE = 256 * 1024

/** What a browser sends when the user opens an address. `fetch` cannot: it says that a script asks. */
const NAVIGATION = {
  accept: 'text/html,application/xhtml+xml',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
  'sec-fetch-site': 'none',
}

/**
 * Opens an address as a user would who types it, and follows no redirect.
 *
 * @param timeout - milliseconds for the whole response
 * @param tls - the CAs that are trusted
 */
export function openAsBrowser(
  url: string,
  headers: Readonly<Record<string, string>>,
  timeout: number,
  tls: TrustedAuthorities = {},
): Promise<BrowserResponse> {
  const get = url.startsWith('https:') ? getByHttps : getByHttp
  const options = { ...tls, headers: { ...NAVIGATION, ...headers }, agent: false, signal: AbortSignal.timeout(timeout) }
  return new Promise((resolve, reject) => {
    get(url, options, response => {
      readBeginning(response).then(
        html =>
          resolve({
            status: response.statusCode ?? 0,
            location: response.headers.location,
            cookies: response.headers['set-cookie'] ?? [],
            html,
          }),
        reject,
      )
    }).once('error', reject)
  })
}

async function readBeginning(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    size += chunk.length
    if (size > LONGEST_PAGE) break
  }
  return Buffer.concat(chunks).toString()
}

/** The same with the `fetch` of a site, which may be the only way out of its network. */
export async function openByFetch(
  fetch: typeof globalThis.fetch,
  url: string,
  timeout: number,
): Promise<BrowserResponse> {
  const response = await fetch(url, {
    redirect: 'manual',
    headers: { accept: NAVIGATION.accept },
    signal: AbortSignal.timeout(timeout),
  })
  return {
    status: response.status,
    location: response.headers.get('location') ?? undefined,
    cookies: response.headers.getSetCookie(),
    html: (await response.text()).slice(0, LONGEST_PAGE),
  }
}

/** The code of a network error, such as `ECONNREFUSED`. */
export function networkErrorCode(error: unknown): string {
  const { name, cause } = error instanceof Error ? error : { name: 'unknown', cause: undefined }
  for (const each of [error, cause]) {
    if (each instanceof Error && 'code' in each && typeof each.code === 'string') return each.code
  }
  return name
}
