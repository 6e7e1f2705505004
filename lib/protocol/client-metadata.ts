import { isRecord } from './json.js'

/** The description of a client, with the names of OpenID Connect Dynamic Client Registration 1.0 section 2 and RFC 7591 section 2. */
export type ClientMetadata = Readonly<Record<string, unknown>>

/** Something that the provider has registered otherwise than this site has requested. */
export interface RegistrationChange {
  /** Name of the member: `redirect_uris`. */
  readonly name: string
  /** What this site has requested. */
  readonly requested: unknown
  /** What the provider says it has registered. `undefined`: it does not say. */
  readonly registered: unknown
  /** Whether sign-ins with these options fail, or are less safe than the options say. */
  readonly breaksSignIn: boolean
}

/** Members that come to nothing by themselves: a software statement stands for what is in it. */
const NOT_COMPARED = ['software_statement', 'client_id', 'client_secret']

/** Lists of which the provider has to have registered all that was requested. */
const NEEDED_LISTS = ['redirect_uris', 'response_types']

/** Demands of this site: without them the provider accepts requests of others for it. */
const DEMANDS = [
  'dpop_bound_access_tokens',
  'require_pushed_authorization_requests',
  'require_signed_request_object',
  'tls_client_certificate_bound_access_tokens',
]

/** Members of one value that the options of this site depend on. */
const NEEDED_VALUES = [
  'id_token_signed_response_alg',
  'userinfo_signed_response_alg',
  'authorization_signed_response_alg',
  'request_object_signing_alg',
  'token_endpoint_auth_signing_alg',
]

/**
 * What the provider has changed. It may replace every value, and the client has to look whether it can work with the result: RFC 7591 section 3.2.1.
 *
 * @param canAuthenticate - whether this site can prove itself by a method of the token endpoint
 */
export function findChanges(
  requested: ClientMetadata,
  registered: ClientMetadata,
  canAuthenticate: (method: string) => boolean,
): readonly RegistrationChange[] {
  return Object.entries(requested)
    .filter(([name, value]) => value !== null && !NOT_COMPARED.includes(name))
    .filter(([name, value]) => canonical(name, value) !== canonical(name, registered[name] ?? undefined))
    .map(([name, value]) => {
      const found = registered[name] ?? undefined
      return { name, requested: value, registered: found, breaksSignIn: isNeeded(name, value, found, canAuthenticate) }
    })
}

function isNeeded(
  name: string,
  requested: unknown,
  registered: unknown,
  canAuthenticate: (method: string) => boolean,
): boolean {
  if (DEMANDS.includes(name)) return requested === true
  // What the provider does not say may be as it was requested.
  if (registered === undefined) return false
  if (name === 'token_endpoint_auth_method')
    return typeof registered !== 'string' || (registered !== requested && !canAuthenticate(registered))
  if (NEEDED_VALUES.includes(name)) return true
  if (name === 'grant_types') return misses(requested, registered, value => value !== 'refresh_token')
  return NEEDED_LISTS.includes(name) && misses(requested, registered, () => true)
}

function misses(requested: unknown, registered: unknown, counts: (value: unknown) => boolean): boolean {
  const found = listOf(registered).map(sortWords)
  return listOf(requested).some(value => counts(value) && !found.includes(sortWords(value)))
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** The order of the words of a response type means nothing. OAuth 2.0 Multiple Response Type Encoding Practices section 3. */
function sortWords(value: unknown): unknown {
  return typeof value === 'string' ? value.split(' ').sort().join(' ') : value
}

/** Equal for values that mean the same: the order of lists, of the words in `scope` and of members counts for nothing. */
function canonical(name: string, value: unknown): string | undefined {
  if (name === 'scope') return JSON.stringify(sortWords(value))
  if (Array.isArray(value)) return JSON.stringify(value.map(item => canonical(name, sortWords(item))).sort())
  if (!isRecord(value)) return JSON.stringify(value)
  const names = Object.keys(value).sort()
  return JSON.stringify(names.map(key => [key, canonical(key, value[key])]))
}
