import { scriptHeader, sessionHeader } from '../http/csrf-header.js'

/** What the API gets of the fields a script sends. None of them says who is asking or from where. */
export const forwardedByDefault = [
  'accept',
  'accept-encoding',
  'accept-language',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-range',
  'content-type',
  'idempotency-key',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-event-id',
  'pragma',
  'prefer',
  'range',
  'traceparent',
  'tracestate',
  'user-agent',
  'x-requested-with',
] as const

/** RFC 9110 section 7.6.1, and their ancestors. They are about one connection, and ours to the API is another one. */
export const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Fields that this proxy sets, reads or ends itself. */
const OWNED = new Set([
  'authorization',
  'content-length',
  'cookie',
  'cookie2',
  'dpop',
  'expect',
  'host',
  'max-forwards',
  'transfer-encoding',
  scriptHeader,
  sessionHeader,
])

/** Fields by which servers behind a proxy are told who is asking, from where, for what address and by which method. */
const SAID_BY_PROXIES = [
  /^(?:x-)?forwarded(?:-|$)/,
  /^(?:x-)?(?:auth|authenticated|client-cert|remote|ssl|tls)(?:-|$)/,
  /^(?:via|from|client-ip|cf-connecting-ip|true-client-ip|fastly-client-ip|x-client-ip|x-cluster-client-ip)$/,
  /^x-(?:real-ip|original|rewrite|envoy|goog|ms|amzn|arr|host|user|accel|sendfile|http-method|method-override)(?:-|$)/,
  /^(?:x-)?http-method(?:-|$)/,
  /^(?:proxy|sec)-/,
]

/** Whether a field is never forwarded, and never named by `Connection`. */
export function isOwnedField(name: string): boolean {
  return OWNED.has(name) || name.startsWith('content-') || name.startsWith('sec-')
}

/** Whether a site may have a field forwarded. Servers that read `_` as `-` make one field of two names. */
export function isForwardable(name: string): boolean {
  const folded = name.toLowerCase().replaceAll('_', '-')
  return !OWNED.has(folded) && !hopByHop.has(folded) && !SAID_BY_PROXIES.some(pattern => pattern.test(folded))
}
