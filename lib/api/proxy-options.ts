import { isSecureUrl } from '../protocol/url.js'
import type { AuthorizationDetail } from '../protocol/wire.js'
import { object, type Rules, type RulesFor } from '../validation/object-rule.js'
import { authorizationDetails, resource, scopeText } from '../validation/parameter-rules.js'
import { guarded, nameOf, refuse, refuseValue } from '../validation/place.js'
import { boolean, list, type Rule, rule, wholeNumber } from '../validation/rules.js'
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
  /** A token with these permissions only. RFC 9396 section 6. */
  readonly authorizationDetails?: readonly AuthorizationDetail[]
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
  readonly wanted: Pick<ProxyOptions, 'scope' | 'resource' | 'authorizationDetails'>
  readonly timeout: number
  readonly methods: ReadonlySet<string>
  /** Lower-case names of the request headers that are forwarded. */
  readonly forwarded: ReadonlySet<string>
  readonly encodedSlashes: boolean
  readonly limits: Required<ProxyLimits>
}

const DEFAULT_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
const DEFAULT_LIMITS: Required<ProxyLimits> = { connections: 1024, perUser: 64, wait: 5000 }
/** Longest delay of a timer. */
const LONGEST = 2 ** 31 - 1
const TOKEN = /^[!#$%&'*+\-.^_`|~\w]+$/

/** A segment of dots is not there any more when a request arrives. */
const prefix = rule(
  'a path that begins with a slash and does not end with one, such as "/api"',
  (value): value is string => typeof value === 'string' && /^(?:\/(?!\.{1,2}(?:\/|$))[\w\-.~]+)+$/.test(value),
)

const address: Rule<URL> = {
  expected: 'an https URL (http on this machine) without credentials, query and fragment',
  read: (value, place) =>
    guarded(place, () => {
      const isAddress = (typeof value === 'string' || value instanceof URL) && URL.canParse(String(value))
      const url = isAddress ? new URL(String(value)) : undefined
      const isPlain = url !== undefined && url.search === '' && url.hash === '' && !url.pathname.includes('//')
      return isPlain && isSecureUrl(url) ? url : refuseValue(value, address.expected, place)
    }),
}

const methodName = rule(
  'a method in capital letters, such as "GET"',
  (value): value is string => typeof value === 'string' && /^[A-Z][A-Z-]*$/.test(value),
)

const method: Rule<string> = {
  expected: methodName.expected,
  read(value, place) {
    const name = methodName.read(value, place)
    return ['CONNECT', 'TRACE', 'TRACK'].includes(name)
      ? refuse(`${nameOf(place)}: a proxy does not forward ${name}`)
      : name
  },
}

const fieldName = rule(
  'the name of a request header, such as "X-Tenant"',
  (value): value is string => typeof value === 'string' && TOKEN.test(value),
)

const field: Rule<string> = {
  expected: fieldName.expected,
  read(value, place) {
    const name = fieldName.read(value, place)
    if (isForwardable(name)) return name.toLowerCase()
    const reason = 'it belongs to the connection, the proxy sets it, or an API might trust it'
    return refuse(`${nameOf(place)}: a proxy does not forward the header "${name}": ${reason}`)
  },
}

const number = (unit: string) => wholeNumber(unit, 1, LONGEST)

const settings = object({
  target: { ...address, required: true },
  scope: scopeText,
  resource,
  authorizationDetails,
  timeout: number('milliseconds'),
  methods: list('methods in capital letters', method, { least: 1 }),
  headers: list('names of request headers', field),
  encodedSlashes: boolean,
  limits: object({
    connections: number('connections'),
    perUser: number('connections'),
    wait: number('milliseconds'),
  } satisfies RulesFor<ProxyLimits>),
} satisfies Record<keyof ProxyOptions, Rules[string]>)

/** @throws {OidcError} ERR_OIDC_OPTIONS that names the option */
export function parseProxyOptions(path: unknown, options: unknown): ProxySettings {
  const of = 'oidc.proxy'
  const read = settings.read(options, { of, path: '' })
  const { target, scope, resource: api, authorizationDetails: details, limits = {} } = read
  return {
    prefix: prefix.read(path, { of, path: 'path' }),
    target,
    base: target.pathname.replace(/\/$/, ''),
    wanted: {
      ...(scope !== undefined && { scope }),
      ...(api !== undefined && { resource: api }),
      ...(details !== undefined && { authorizationDetails: details }),
    },
    timeout: read.timeout ?? 30_000,
    methods: new Set(read.methods ?? DEFAULT_METHODS),
    forwarded: new Set([...forwardedByDefault, ...(read.headers ?? [])]),
    encodedSlashes: read.encodedSlashes ?? false,
    limits: {
      ...DEFAULT_LIMITS,
      perUser: Math.min(DEFAULT_LIMITS.perUser, limits.connections ?? DEFAULT_LIMITS.perUser),
      ...limits,
    },
  }
}
