import type { ApiFetchOptions } from '../api/api-fetch.js'
import type { DpopProofOptions } from '../api/dpop-proof.js'
import type { UserInfoOptions } from '../api/user-info.js'
import type { LoginOptions } from '../sign-in/login-options.js'
import type { LogoutOptions } from '../sign-out/logout.js'
import type { AccessToken, AccessTokenOptions } from '../tokens/access-tokens.js'
import { isKnownToken } from '../tokens/bound-token.js'
import type { ClientCredentialsOptions } from '../tokens/client-tokens.js'
import type { ExchangeOptions } from '../tokens/token-exchange.js'
import { type JsonObject, jsonObject } from '../validation/json-rule.js'
import { describe, isPlain, object, type RulesFor } from '../validation/object-rule.js'
import {
  authorizationDetails,
  authorizationParams,
  maxAge,
  resource,
  scopeText,
  word,
} from '../validation/parameter-rules.js'
import { guarded, refuse, refuseValue } from '../validation/place.js'
import {
  anyString,
  boolean,
  list,
  nonEmptyString,
  oneOrSeveral,
  type Rule,
  rule,
  secret,
  string,
} from '../validation/rules.js'

// What the methods of `req.oidc` and of the middleware are given: a misspelt name, or a value of another kind, must not silently mean the
// default. Each function reads the options once and returns a copy, and throws ERR_OIDC_OPTIONS that names the method and the option.

const minValidity = rule(
  'a number of seconds, 0 or more',
  (value): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0,
)

const words = list('strings without spaces', word)

/** A parameter that is `undefined` overrides the one in the option of the same name, and is not sent. */
const params: Rule<NonNullable<LoginOptions['params']>> = {
  expected: authorizationParams.expected,
  read: (value, place) =>
    guarded(place, () => {
      const given = authorizationParams.read(value, place)
      const names = isPlain(value) ? Object.keys(value).filter(name => !Object.hasOwn(given, name)) : []
      return { ...Object.fromEntries(names.map(name => [name, undefined])), ...given }
    }),
}

/** Bytes as JSON: it travels with the sign-in. */
const MOST_DATA = 1024

const data: Rule<JsonObject> = {
  expected: `a plain object of at most ${MOST_DATA} bytes as JSON`,
  read(value, place) {
    const copy = jsonObject.read(value, place)
    return Buffer.byteLength(JSON.stringify(copy)) <= MOST_DATA ? copy : refuseValue(value, data.expected, place)
  },
}

/** What reads the options of a method. Left out: there are none. */
function reader<T>(method: string, options: Rule<T>): (given?: unknown) => T {
  return (given = {}) => options.read(given, { of: method, path: '' })
}

export const readLogin = reader(
  'req.oidc.login',
  object({
    provider: nonEmptyString,
    returnTo: anyString,
    popup: boolean,
    prompt: nonEmptyString,
    maxAge,
    acrValues: words,
    acr: list('authentication contexts', word, { least: 1 }),
    loginHint: anyString,
    uiLocales: words,
    scope: scopeText,
    resource: oneOrSeveral('such URIs', resource),
    authorizationDetails,
    data,
    params,
  } satisfies RulesFor<LoginOptions>),
)

export const readLogout = reader(
  'req.oidc.logout',
  object({ returnTo: anyString, local: boolean, uiLocales: words, params } satisfies RulesFor<LogoutOptions>),
)

export const readAccessToken = reader(
  'req.oidc.accessToken',
  object({
    minValidity,
    scope: scopeText,
    resource,
    authorizationDetails,
    forceRefresh: boolean,
  } satisfies RulesFor<AccessTokenOptions>),
)

export const readUserInfo = reader(
  'req.oidc.userInfo',
  object({ refresh: boolean } satisfies RulesFor<UserInfoOptions>),
)

export const readClientCredentials = reader(
  'oidc.clientCredentials',
  object({
    provider: nonEmptyString,
    scope: scopeText,
    resource,
    authorizationDetails,
  } satisfies RulesFor<ClientCredentialsOptions>),
)

const exchange = reader(
  'req.oidc.exchange',
  object({
    audience: nonEmptyString,
    resource,
    scope: scopeText,
    authorizationDetails,
  } satisfies RulesFor<ExchangeOptions>),
)

export function readExchange(given?: unknown): ExchangeOptions {
  const options = exchange(given)
  if (options.audience === undefined && options.resource === undefined)
    refuse('req.oidc.exchange: audience or resource is missing: name the service that the token is for')
  return options
}

const HTTP_METHOD = /^[A-Z-]{1,40}$/

/** RFC 9449 section 8.1. */
const NONCE = /^[\x21\x23-\x5b\x5d-\x7e]{1,2000}$/

const dpopProof = reader(
  'req.oidc.dpopProof',
  object({
    method: describe(string('the method of the request, such as "GET"', HTTP_METHOD), { text: '', required: true }),
    url: describe(
      rule('an absolute http or https URL', (value): value is string | URL => {
        const isText = typeof value === 'string' || value instanceof URL
        return isText && /^https?:\/\//i.test(String(value)) && URL.canParse(String(value))
      }),
      { text: '', required: true },
    ),
    // The object itself: a copy of it has no key.
    token: secret(
      rule(
        'what req.oidc.accessToken() or req.oidc.exchange() has returned',
        (value): value is AccessToken => typeof value === 'object' && value !== null && isKnownToken(value),
      ),
    ),
    nonce: string('a value of the header DPoP-Nonce', NONCE),
  } satisfies RulesFor<DpopProofOptions>),
)

export function readDpopProof(given?: unknown): DpopProofOptions {
  return dpopProof(given)
}

const fetchOptions = reader(
  'req.oidc.fetch',
  object({ minValidity, scope: scopeText, resource, authorizationDetails } satisfies RulesFor<ApiFetchOptions>),
)

/** The arguments of `fetch` itself are read by `fetch`, but for those that a look at them would fail on. */
export function readFetch(url: unknown, init: unknown, options: unknown): ApiFetchOptions {
  const of = 'req.oidc.fetch'
  if (typeof url !== 'string' && !(url instanceof URL)) refuseValue(url, 'a string or a URL', { of, path: 'url' })
  if (init !== undefined && (typeof init !== 'object' || init === null))
    refuseValue(init, 'an object, as for fetch', { of, path: 'init' })
  return fetchOptions(options)
}

/** A request of Node. That of the Fetch API has its cookies elsewhere, and would be a request of a user who is signed out. */
export function checkRawRequest(req: unknown, of: string): void {
  const place = { of, path: 'req' }
  guarded(place, () => {
    const headers: unknown = typeof req === 'object' && req !== null ? Reflect.get(req, 'headers') : undefined
    const isRequest = typeof headers === 'object' && headers !== null && !(headers instanceof Headers)
    if (!isRequest) refuseValue(req, 'a request of node:http, with its headers', place)
  })
}
