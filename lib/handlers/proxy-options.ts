import { OidcError } from '../errors.js'
import { isSecureUrl } from '../protocol/url.js'
import { forwardedByDefault, isForwardable } from './proxy-fields.js'
import type { ProxyLimits } from './proxy-slots.js'

/** Where calls of the browser's scripts go, with which token, and what of them is forwarded. */
export interface ProxyOptions {
  /** Address of the API; what follows the proxy's own path is added to it. https, or http on a loopback host. */
  readonly target: string | URL
  /** A token with this scope only. */
  readonly scope?: string
  /** A token for this API. RFC 8707. */
  readonly resource?: string
  /** Milliseconds without a byte to or from the API after which it counts as away. Default 30 000. */
  readonly timeout?: number
  /** Methods that are forwarded. Default GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS; never CONNECT, TRACE or TRACK. */
  readonly methods?: readonly string[]
  /** Request headers that are forwarded besides the usual ones, such as `X-Tenant`. None that says who is asking or from where. */
  readonly headers?: readonly string[]
  /** Whether a path may have `%2F` in it. Default `false`: servers do not agree on what it means. */
  readonly encodedSlashes?: boolean
  /** How many calls may be under way at once. */
  readonly limits?: ProxyLimits
}

/** The options, checked and complete. */
export interface ProxySettings {
  readonly prefix: string
  readonly target: URL
  /** Path of the target, without a slash at its end. */
  readonly base: string
  readonly wanted: { readonly scope?: string; readonly resource?: string }
  readonly timeout: number
  readonly methods: ReadonlySet<string>
  /** Lower-case names of the request headers that are forwarded. */
  readonly forwarded: ReadonlySet<string>
  readonly encodedSlashes: boolean
  readonly limits: Required<ProxyLimits>
}

const NAMES = ['target', 'scope', 'resource', 'timeout', 'methods', 'headers', 'encodedSlashes', 'limits']
const DEFAULT_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
const DEFAULT_LIMITS: Required<ProxyLimits> = { connections: 1024, perUser: 64, wait: 5000 }
/** Longest delay of a timer. */
const LONGEST = 2 ** 31 - 1
const TOKEN = /^[!#$%&'*+\-.^_`|~\w]+$/

/** @throws {OidcError} ERR_OIDC_OPTIONS that names the option */
export function parseProxyOptions(path: string, options: ProxyOptions): ProxySettings {
  if (!isObject(options)) refuse('the second argument of oidc.proxy is an object with a "target"')
  checkNames('option of oidc.proxy', options, NAMES)
  const target = parseTarget(options.target)
  const { encodedSlashes = false, timeout = 30_000 } = options
  if (typeof encodedSlashes !== 'boolean') refuse('encodedSlashes of a proxy is true or false')
  return {
    prefix: parsePath(path),
    target,
    base: target.pathname.replace(/\/$/, ''),
    wanted: { ...parseScope(options.scope), ...parseResource(options.resource) },
    timeout: whole('timeout', timeout),
    methods: parseMethods(options.methods),
    forwarded: new Set([...forwardedByDefault, ...parseHeaders(options.headers)]),
    encodedSlashes,
    limits: parseLimits(options.limits),
  }
}

function refuse(message: string): never {
  throw new OidcError('ERR_OIDC_OPTIONS', message)
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function checkNames(kind: string, given: object, known: readonly string[]): void {
  const unknown = Object.keys(given).find(name => !known.includes(name))
  if (unknown !== undefined) refuse(`there is no ${kind} "${unknown}"; there are ${known.join(', ')}`)
}

function parsePath(path: string): string {
  // A segment of dots is not there any more when a request arrives.
  if (typeof path === 'string' && /^(?:\/(?!\.{1,2}(?:\/|$))[\w\-.~]+)+$/.test(path)) return path
  return refuse('the path of a proxy begins with a slash, like "/api", and does not end with one')
}

function parseTarget(target: string | URL): URL {
  const isAddress = (typeof target === 'string' || target instanceof URL) && URL.canParse(String(target))
  const url = isAddress ? new URL(target) : undefined
  const isPlain = url !== undefined && url.search === '' && url.hash === '' && !url.pathname.includes('//')
  if (isPlain && isSecureUrl(url)) return url
  return refuse('the target of a proxy is an https URL (http on this machine) without credentials, query and fragment')
}

/** RFC 6749 section 3.3. */
function parseScope(scope: string | undefined): { readonly scope?: string } {
  if (scope === undefined) return {}
  const isScope = typeof scope === 'string' && /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/.test(scope)
  return isScope ? { scope } : refuse('scope of a proxy is a string of words with one space between them')
}

/** RFC 8707 section 2. */
function parseResource(resource: string | undefined): { readonly resource?: string } {
  if (resource === undefined) return {}
  const isResource = typeof resource === 'string' && URL.canParse(resource) && !resource.includes('#')
  return isResource ? { resource } : refuse('resource of a proxy is an absolute URI without a fragment')
}

function parseMethods(methods: readonly string[] = DEFAULT_METHODS): ReadonlySet<string> {
  const isMethod = (method: unknown) => typeof method === 'string' && /^[A-Z][A-Z-]*$/.test(method)
  if (!Array.isArray(methods) || methods.length === 0 || !methods.every(isMethod))
    refuse('methods of a proxy is a list of methods in capital letters, like ["GET", "POST"]')
  const never = methods.find(method => ['CONNECT', 'TRACE', 'TRACK'].includes(method))
  if (never !== undefined) refuse(`a proxy does not forward ${never}`)
  return new Set(methods)
}

function parseHeaders(headers: readonly string[] = []): readonly string[] {
  const isName = (name: unknown) => typeof name === 'string' && TOKEN.test(name)
  if (!Array.isArray(headers) || !headers.every(isName))
    refuse('headers of a proxy is a list of names of request headers, like ["X-Tenant"]')
  const never = headers.find(name => !isForwardable(name))
  if (never !== undefined)
    refuse(
      `a proxy does not forward the header "${never}": it is about the connection, the proxy sets it, or an API could believe it`,
    )
  return headers.map(name => name.toLowerCase())
}

function parseLimits(limits: ProxyLimits = {}): Required<ProxyLimits> {
  if (!isObject(limits)) refuse('limits of a proxy is an object')
  checkNames('limit of a proxy', limits, Object.keys(DEFAULT_LIMITS))
  const { connections, perUser, wait } = DEFAULT_LIMITS
  return {
    connections: whole('limits.connections', limits.connections ?? connections),
    perUser: whole('limits.perUser', limits.perUser ?? Math.min(perUser, limits.connections ?? perUser)),
    wait: whole('limits.wait', limits.wait ?? wait),
  }
}

function whole(name: string, value: number): number {
  if (Number.isInteger(value) && value > 0 && value <= LONGEST) return value
  return refuse(`${name} of a proxy is a whole number above 0 and below 2^31`)
}
