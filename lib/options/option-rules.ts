import { scopeWords } from '../protocol/granted-scope.js'
import { ENDPOINTS, LISTS } from '../protocol/metadata.js'
import type { PushedAuthorization } from '../protocol/pushed-request.js'
import { parseResponseType } from '../protocol/response-type.js'
import { ASYMMETRIC, isMlDsa, ML_DSA } from '../protocol/signing-algorithms.js'
import type { ResponseType, SigningAlgorithm } from '../protocol/wire.js'
import { type ClientSecret, SECRET_CHARACTERS } from '../provider/client-secret.js'
import { isOfNodeRedis, type NodeRedisClient } from '../store/backend/node-redis-client.js'
import type { RedisClient } from '../store/backend/redis-client.js'
import { type JsonObject, jsonObject } from '../validation/json-rule.js'
import { guarded, nameOf, type Place, placeOf, refuse, refuseValue } from '../validation/place.js'
import {
  anyString,
  callback,
  list,
  nonEmptyString,
  oneOf,
  type Rule,
  rule,
  secret,
  string,
} from '../validation/rules.js'
import { secureUrl, secureUrlText } from '../validation/url-rule.js'
import { hasMlDsa } from './environment-checks.js'
import type { Logger } from './log.js'

const knownAlgorithm = oneOf(...ASYMMETRIC, 'HS256', 'HS384', 'HS512', ...ML_DSA)

export const signingAlgorithm: Rule<SigningAlgorithm> = {
  expected: knownAlgorithm.expected,
  read(value, place) {
    const algorithm = knownAlgorithm.read(value, place)
    if (!isMlDsa(algorithm) || hasMlDsa()) return algorithm
    return refuse(`${nameOf(place)} "${algorithm}" needs Node 24.7 or newer; this is Node ${process.versions.node}`)
  },
}

export const profile: Rule<'fapi2' | 'fapi2-message-signing'> = oneOf('fapi2', 'fapi2-message-signing')

export const pushedAuthorization: Rule<PushedAuthorization> = rule(
  '"auto", true or false',
  value => value === 'auto' || typeof value === 'boolean',
)

export const deviceBound: Rule<false | 'when-possible' | 'required'> = rule(
  '"when-possible", "required" or false',
  value => value === 'when-possible' || value === 'required' || value === false,
)

const responseTypeText = string('a response type such as "code id_token"')
export const responseType: Rule<ResponseType> = {
  expected: responseTypeText.expected,
  read: (value, place) => parseResponseType(responseTypeText.read(value, place)),
}

/** RFC 6749 section 3.3. `openid` comes first. */
export const scope: Rule<string> = {
  expected: 'a string of scopes, separated by spaces',
  read(value, place) {
    const { expected } = scope
    if (guarded(place, () => Array.isArray(value)))
      return refuse(`${nameOf(place)} must be ${expected}, but it is an array: write "openid profile"`)
    if (typeof value !== 'string') return refuseValue(value, expected, place)
    const words = scopeWords(`openid ${value}`)
    if (words.some(word => !/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(word)))
      refuse(`${nameOf(place)} has a character that RFC 6749 does not allow`)
    return words.join(' ')
  },
}

/** RFC 6749 appendix A.2, and any other printable character. */
const clientSecretText = string(
  'a string that is not empty, without line breaks and without spaces at its ends',
  SECRET_CHARACTERS,
)
const clientSecretSource = callback<() => string | Promise<string>>('a function that returns the client secret')

export const clientSecret: Rule<ClientSecret> = secret({
  expected: `${clientSecretText.expected}, or a function that returns one`,
  read: (value, place) =>
    typeof value === 'function' ? clientSecretSource.read(value, place) : clientSecretText.read(value, place),
})

export const secretAdvice = `make one with: node -e "console.log(require('crypto').randomBytes(32).toString('base64url'))"`

const sealingSecret: Rule<string> = {
  expected: 'a string of at least 32 characters',
  read(value, place) {
    if (typeof value !== 'string') return refuseValue(value, sealingSecret.expected, place)
    if (value.length < 32)
      return refuse(`${nameOf(place)} needs at least 32 characters, but it has ${value.length}; ${secretAdvice}`)
    if (value.trim() !== value) return refuse(`${nameOf(place)} must not begin or end with white space; remove it`)
    if (new Set(value).size < 8)
      return refuse(`${nameOf(place)} has so few different characters that it can be guessed; ${secretAdvice}`)
    return value
  },
}

const secretList = list('secrets', sealingSecret, { least: 1 })

/** One secret or several; always read as a list. */
export const secrets: Rule<readonly string[]> = secret({
  expected: 'a string of at least 32 characters, or a list of such strings',
  read: (value, place) =>
    guarded(place, () =>
      Array.isArray(value)
        ? secretList.read(value, place)
        : typeof value === 'string'
          ? Object.freeze([sealingSecret.read(value, place)])
          : refuseValue(value, secrets.expected, place),
    ),
})

const redisUrl: Rule<string> = {
  expected: 'a redis:// or rediss:// URL, or a client of ioredis or node-redis',
  read(value, place) {
    const text = typeof value === 'string' ? value : ''
    const isRedis = !/[\s\p{Cc}]/u.test(text) && URL.canParse(text) && /^rediss?:$/.test(new URL(text).protocol)
    return isRedis ? text : refuseValue(value, redisUrl.expected, place)
  },
}

const COMMANDS = [
  'connect',
  'on',
  'off',
  'hmgetBuffer',
  'evalsha',
  'evalshaBuffer',
  'eval',
  'get',
  'set',
  'ping',
] as const

function isRedisClient(value: unknown): value is RedisClient | NodeRedisClient {
  if (isOfNodeRedis(value)) return true
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof Reflect.get(value, 'status') === 'string' &&
    COMMANDS.every(name => typeof Reflect.get(value, name) === 'function')
  )
}

const redisClient = rule(redisUrl.expected, isRedisClient)

/** A client is used as it is. Neither the URL, which may hold a password, nor the client is ever shown. */
export const redis: Rule<string | RedisClient | NodeRedisClient> = secret({
  expected: redisUrl.expected,
  read: (value, place) => (typeof value === 'string' ? redisUrl : redisClient).read(value, place),
})

/** `false` leaves a route out. The start page of the site, `/`, cannot be one of ours. */
export const path: Rule<string> = {
  expected: 'a plain path that begins with a slash, such as "/login"',
  read(value, place) {
    if (typeof value !== 'string' || !/^(\/[\w\-.~]+)+\/?$/.test(value) || /\/\.{1,2}(\/|$)/.test(value)) {
      const isStartPage = value === '/'
      return isStartPage
        ? refuse(
            `${nameOf(place)} must not be "/": it would replace the start page of the site; use "/auth" for example`,
          )
        : refuseValue(value, path.expected, place)
    }
    return value
  },
}

export const optionalPath: Rule<string | false> = {
  expected: `${path.expected}, or false`,
  read(value, place) {
    if (value === false || typeof value === 'string') return value === false ? value : path.read(value, place)
    return refuseValue(value, optionalPath.expected, place)
  },
}

/** The prefixes belong to the browser: on https `__Host-` is added, and without https a browser refuses such a cookie. */
export const cookieName: Rule<string> = string(
  'a name of letters, digits, ".", "_" and "-" (at most 64) that does not begin with "__"; the __Host- prefix is added where it belongs',
  /^(?!__)[\w.-]{1,64}$/,
)

/** What express-session and JavaScript have at the top of every session or object. */
const RESERVED_KEYS: readonly string[] = ['cookie', '__proto__', 'constructor', 'prototype']

export const sessionKey: Rule<string> = {
  expected: 'the name of a key',
  read(value, place) {
    const key = nonEmptyString.read(value, place)
    if (RESERVED_KEYS.includes(key))
      refuse(`${nameOf(place)} must not be "${key}", which belongs to express-session or to every object`)
    return key
  },
}

/** SCAN takes some characters for a pattern. */
export const redisPrefix: Rule<string> = string(
  'a string of 1 to 64 visible ASCII characters, without * ? [ ] and \\',
  /^[!-)+->@-Z^-~]{1,64}$/,
)

const logFunction = callback<(line: string) => void>(
  'a function that takes a line, or a logger with the methods warn and error',
)

/** A logger is used as it is. */
export const log: Rule<((line: string) => void) | Logger> = {
  expected: logFunction.expected,
  read: (value, place) => guarded(place, () => (isLogger(value) ? value : logFunction.read(value, place))),
}

function isLogger(value: unknown): value is Logger {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['warn', 'warning', 'error'].some(name => typeof Reflect.get(value, name) === 'function')
  )
}

/** Without a path, so that there is no doubt about what a path in it would mean. */
export const origin: Rule<string> = {
  expected: 'an origin such as "https://api.example.com"',
  read(value, place) {
    const url = secureUrl().read(value, place)
    return url.href === `${url.origin}/` ? url.origin : refuse(`${nameOf(place)} must be an origin, without a path`)
  },
}

/** OpenID Connect Discovery 1.0 section 3. What this package does not use may be anything. */
export const metadata: Rule<JsonObject> = {
  expected: 'a plain object',
  read(value, place) {
    const members = jsonObject.read(value, place)
    for (const name of ENDPOINTS) checkMember(members, name, secureUrlText({ mayHaveQuery: true }), place)
    for (const name of LISTS) checkMember(members, name, list('strings', anyString), place)
    return members
  },
}

function checkMember(members: JsonObject, name: string, member: Rule<unknown>, place: Place): void {
  const value = Object.hasOwn(members, name) ? members[name] : undefined
  // Without a value it says nothing, as in a document that was discovered.
  if (value !== undefined && value !== null && value !== '') member.read(value, placeOf(place, name))
}
