import type { IncomingMessage, ServerResponse } from 'node:http'
import type {
  AuthorizationRequest,
  EndpointFault,
  EndpointResponse,
  Faults,
  Fields,
  RecordedRequest,
} from './hostile-faults.js'
import { delay, readBody } from './loopback-server.js'

export function deliver(
  request: AuthorizationRequest,
  fields: Fields,
  forced: Faults['responseMode'],
): EndpointResponse {
  const usual = request.response_type === 'code' ? 'query' : 'fragment'
  const mode = forced ?? request.response_mode?.replace('.jwt', '') ?? usual
  const target = request.redirect_uri ?? ''
  if (mode === 'form_post') return formPage(target, fields)
  const encoded = new URLSearchParams(fields as [string, string][]).toString()
  const separator = mode === 'fragment' ? '#' : target.includes('?') ? '&' : '?'
  return { status: 303, headers: { location: `${target}${separator}${encoded}` }, body: '' }
}

function formPage(action: string, fields: Fields): EndpointResponse {
  const inputs = fields.map(
    ([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}"/>`,
  )
  const form = `<form method="post" action="${escapeHtml(action)}">${inputs.join('')}</form>`
  const body = `<!doctype html><title>Signing in</title>${form}<script>document.forms[0].submit()</script>`
  return { status: 200, headers: { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }, body }
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}

export function json(status: number, body: unknown, headers: Record<string, string> = {}): EndpointResponse {
  const text = JSON.stringify(body) ?? ''
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: text }
}

export async function record(incoming: IncomingMessage): Promise<RecordedRequest> {
  const url = new URL(incoming.url ?? '/', 'http://provider')
  const body = await readBody(incoming)
  return {
    method: incoming.method ?? '',
    path: url.pathname,
    url: `${incoming.headers['x-forwarded-proto'] ?? 'http'}://${incoming.headers.host}${url.pathname}`,
    search: url.search,
    query: Object.fromEntries(url.searchParams),
    headers: incoming.headers,
    body,
    form: Object.fromEntries(new URLSearchParams(body)),
  }
}

/** Counts the requests a fault has seen, for `after` and `times`. */
export function pickFault(fault: EndpointFault | undefined, used: Map<EndpointFault, number>): EndpointFault {
  if (!fault) return {}
  const count = used.get(fault) ?? 0
  used.set(fault, count + 1)
  const from = fault.after ?? 0
  return count >= from && count < from + (fault.times ?? Number.POSITIVE_INFINITY) ? fault : {}
}

/** Waits as told; true where the request gets no response and has no effect. */
export async function endsEarly(
  fault: EndpointFault,
  request: RecordedRequest,
  response: ServerResponse,
): Promise<boolean> {
  if (fault.delay) await delay(fault.delay)
  await fault.until?.(request)
  if (fault.cut === 'before') response.destroy()
  return fault.cut === 'before' || fault.hang === 'before'
}

/** A response given without the request taking effect. */
export function replaceResponse({ status, body, redirect: location }: EndpointFault): EndpointResponse | undefined {
  if (location !== undefined) return { status: status ?? 302, headers: { location }, body: '' }
  if (status === undefined && body === undefined) return undefined
  const text = typeof body === 'string' ? body : JSON.stringify(body ?? {})
  return { status: status ?? 200, headers: { 'content-type': 'application/json' }, body: text }
}

export function adorn(response: EndpointResponse, { contentType, headers }: EndpointFault): EndpointResponse {
  const type = contentType === undefined ? {} : { 'content-type': contentType }
  return { ...response, headers: { ...response.headers, ...type, ...headers } }
}

export function write(
  response: ServerResponse,
  { status, headers, body }: EndpointResponse,
  { cut, hang }: EndpointFault,
): void {
  if (cut === 'after') {
    response.destroy()
    return
  }
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) })
  if (hang === 'headers') response.flushHeaders()
  else if (cut !== 'middle' && hang !== 'body') response.end(body)
  else response.write(body.slice(0, body.length / 2), () => cut === 'middle' && response.destroy())
}
