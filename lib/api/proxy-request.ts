import type { IncomingMessage } from 'node:http'
import { OidcError } from '../errors.js'
import { isOwnedField } from './proxy-fields.js'

/** How the body of a request is framed, in one of the three ways there are. */
export type Framing = { readonly length: number } | 'chunked' | 'none'

const TOKEN = /^[!#$%&'*+\-.^_`|~\w]+$/
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** Fields that two servers may take the one or the other value of. */
const SINGLE = new Set([
  'authorization',
  'content-length',
  'content-type',
  'expect',
  'host',
  'if-modified-since',
  'if-range',
  'if-unmodified-since',
  'range',
  'transfer-encoding',
  'upgrade',
])

/** The fields of a request as they came, by lower-case name. */
export type RequestFields = ReadonlyMap<string, readonly string[]>

/**
 * The fields, where every server would see the same ones. Node's parser refuses most of what is not allowed, unless the site has made
 * it lenient; this looks again. RFC 9112 sections 2.2, 3.2 and 5.1.
 *
 * @throws {OidcError} ERR_OIDC_API_REQUEST
 */
export function readFields({ rawHeaders, httpVersion }: IncomingMessage): RequestFields {
  if (httpVersion !== '1.1' && httpVersion !== '1.0') throw ambiguous('it is neither HTTP/1.1 nor HTTP/1.0')
  const fields = new Map<string, string[]>()
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const [name = '', value = ''] = [rawHeaders[index]?.toLowerCase(), rawHeaders[index + 1]]
    if (!TOKEN.test(name) || !VALUE.test(value))
      throw ambiguous('it has a header field with a character that is not allowed')
    const values = fields.get(name)
    if (values === undefined) fields.set(name, [value])
    else if (SINGLE.has(name)) throw ambiguous(`it has ${name} twice`)
    else values.push(value)
  }
  return fields
}

/**
 * How long the body is. RFC 9112 section 6.
 *
 * @throws {OidcError} ERR_OIDC_API_REQUEST
 */
export function readFraming(fields: RequestFields, { httpVersion, method = '' }: IncomingMessage): Framing {
  const encoding = fields.get('transfer-encoding')?.[0]
  const length = fields.get('content-length')?.[0]
  if (encoding !== undefined) {
    if (length !== undefined) throw ambiguous('it has both Content-Length and Transfer-Encoding')
    if (encoding.toLowerCase() !== 'chunked') throw ambiguous('it has a Transfer-Encoding other than chunked')
    if (httpVersion === '1.0') throw ambiguous('it is HTTP/1.0 and has a Transfer-Encoding')
  }
  if (length !== undefined && !/^(?:0|[1-9]\d{0,14})$/.test(length))
    throw ambiguous('its Content-Length is not a number')
  const framing = encoding === undefined ? (length === undefined ? 'none' : { length: Number(length) }) : 'chunked'
  if (hasBody(framing) && (method === 'GET' || method === 'HEAD')) throw ambiguous(`it is ${method} and has a body`)
  return framing
}

export function hasBody(framing: Framing): boolean {
  return framing === 'chunked' || (framing !== 'none' && framing.length > 0)
}

/**
 * `Connection` names what is about this connection. One that names a field which has to arrive would take it from the request, on this
 * side or behind us. RFC 9110 section 7.6.1.
 *
 * @param forwarded - names of the fields that are forwarded
 * @throws {OidcError} ERR_OIDC_API_REQUEST, ERR_OIDC_API_UPGRADE
 */
export function checkConnection(fields: RequestFields, forwarded: ReadonlySet<string>): void {
  if (fields.has('upgrade') || fields.has('http2-settings')) {
    throw new OidcError(
      'ERR_OIDC_API_UPGRADE',
      'the proxy does not forward WebSocket requests; use oidc.authenticate(req) for them',
    )
  }
  const named = (fields.get('connection') ?? []).flatMap(value => value.split(','))
  for (const name of named.map(value => value.trim().toLowerCase())) {
    if (name === '') continue
    if (!TOKEN.test(name)) throw ambiguous('its Connection header is invalid')
    if (forwarded.has(name) || isOwnedField(name)) throw ambiguous(`its Connection header lists ${shorten(name)}`)
  }
  const expected = fields.get('expect')?.[0]
  if (expected !== undefined && expected.toLowerCase() !== '100-continue')
    throw ambiguous('its Expect header is not 100-continue')
}

/** The name is one of those we know, so it says nothing a stranger made up; long ones are cut all the same. */
function shorten(name: string): string {
  return name.slice(0, 40)
}

function ambiguous(why: string): OidcError {
  return new OidcError('ERR_OIDC_API_REQUEST', `two servers could read this request differently: ${why}`)
}
