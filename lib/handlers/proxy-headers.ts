import type { IncomingHttpHeaders } from 'node:http'
import { scriptHeader } from './own-script.js'

/** RFC 9110 section 7.6.1, and their ancestors. They are about one connection, and ours to the API is another one. */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

/** What is between the browser and this site only. */
const BROWSER_ONLY = ['cookie', 'cookie2', 'authorization', 'origin', 'referer', 'expect', scriptHeader]

/** What an API may not say to the browser in the name of this site: it would be believed to be this site. */
const SITE_ONLY = [
  'set-cookie',
  'set-cookie2',
  'clear-site-data',
  'strict-transport-security',
  'alt-svc',
  'www-authenticate',
]

/** The headers of a browser's request as the API gets them. */
export function requestHeaders(headers: IncomingHttpHeaders): Record<string, string | readonly string[]> {
  const isLeftOut = createFilter(headers.connection, [...HOP_BY_HOP, ...BROWSER_ONLY])
  const isSentByProxies = (name: string) => name === 'forwarded' || name === 'via' || name.startsWith('x-forwarded-')
  const isFetchMetadata = (name: string) => name.startsWith('sec-')
  // A body without a length has to be announced on the next connection as well: left out, it would pass for another request.
  const framing = headers['transfer-encoding'] === undefined ? {} : { 'transfer-encoding': 'chunked' }
  return {
    ...framing,
    ...select(headers, name => !isLeftOut(name) && !isSentByProxies(name) && !isFetchMetadata(name)),
  }
}

/** The headers of an API's answer as the browser gets them. Without a word about it, nobody stores the answer. */
export function responseHeaders(headers: IncomingHttpHeaders): Record<string, string | readonly string[]> {
  const isLeftOut = createFilter(headers.connection, [...HOP_BY_HOP, ...SITE_ONLY])
  const isCors = (name: string) => name.startsWith('access-control-')
  return { 'cache-control': 'no-store', ...select(headers, name => !isLeftOut(name) && !isCors(name)) }
}

/** A connection names more headers that are about itself. */
function createFilter(connection: string | undefined, names: readonly string[]): (name: string) => boolean {
  const named = (connection ?? '').split(',').map(name => name.trim().toLowerCase())
  const leftOut = new Set([...names, ...named])
  return name => leftOut.has(name)
}

function select(
  headers: IncomingHttpHeaders,
  isWanted: (name: string) => boolean,
): Record<string, string | readonly string[]> {
  const entries = Object.entries(headers).filter(([name, value]) => value !== undefined && isWanted(name))
  return Object.fromEntries(entries) as Record<string, string | readonly string[]>
}
