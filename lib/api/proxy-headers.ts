import type { IncomingHttpHeaders } from 'node:http'
import { isForOtherCaches } from './proxy-caching.js'
import { hopByHop } from './proxy-fields.js'
import type { Framing, RequestFields } from './proxy-request.js'

interface Framed {
  readonly framing: Framing
  readonly method: string
  readonly authorization: string
}

/** The fields of a request as the API gets them: those that are forwarded, the framing, and the token. */
export function requestHeaders(
  fields: RequestFields,
  forwarded: ReadonlySet<string>,
  { framing, method, authorization }: Framed,
): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const name of forwarded) {
    const values = fields.get(name)
    if (values !== undefined) headers[name] = values.join(', ')
  }
  headers.authorization = authorization
  if (framing === 'chunked') headers['transfer-encoding'] = 'chunked'
  else if (framing !== 'none') headers['content-length'] = String(framing.length)
  else if (['POST', 'PUT', 'PATCH'].includes(method)) headers['content-length'] = '0'
  return headers
}

/** What an API may not say to the browser in the name of this site: it would be believed to be this site. */
const SITE_ONLY = [
  /^set-cookie2?$/,
  /^(?:clear-site-data|strict-transport-security|expect-ct|public-key-pins(?:-report-only)?)$/,
  /^(?:alt-svc|nel|report-to|reporting-endpoints|accept-ch|critical-ch|service-worker-allowed|use-as-dictionary)$/,
  /^(?:origin-agent-cluster|activate-storage-access|set-login|timing-allow-origin|refresh)$/,
  /^(?:access-control|sec|secure-session)-/,
  /^(?:www-authenticate|authentication-info|dpop-nonce)$/,
  // To the web server in front of this site: a file of this machine instead of the response, or another place in a cache.
  /^x-accel-(?!buffering$)/,
  /^(?:x-sendfile|x-send-file|x-lighttpd-send-file|x-lighttpd-send-tempfile|x-litespeed-.*|x-reproxy-.*)$/,
]

/** The fields of a response as the browser gets them, but for those about storing it. */
export function responseHeaders(headers: IncomingHttpHeaders): Record<string, string | readonly string[]> {
  const named = (headers.connection ?? '').split(',').map(name => name.trim().toLowerCase())
  const leftOut = new Set([...hopByHop, ...named])
  const kept: Record<string, string | readonly string[]> = { 'x-content-type-options': 'nosniff' }
  for (const [name, value] of Object.entries(headers)) {
    const isKept = !leftOut.has(name) && !isForOtherCaches(name) && !SITE_ONLY.some(pattern => pattern.test(name))
    if (value !== undefined && isKept) kept[name] = value
  }
  return kept
}
