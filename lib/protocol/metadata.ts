import { OidcError } from '../errors.js'
import { isJsonObject, isRecord } from './json.js'
import { chooseListed, type Warn } from './listed.js'
import { printable, sanitize } from './printable.js'
import { isPushed, type PushedAuthorization } from './pushed-request.js'
import { isPosted } from './response-mode.js'
import { hasResponseType, returnsCode } from './response-type.js'
import { ASYMMETRIC } from './signing-algorithms.js'
import { isSecureUrl } from './url.js'
import type { ProviderMetadata, ResponseMode, ResponseType, SigningAlgorithm } from './wire.js'

/** Endpoints this package uses, by their metadata names. */
export const ENDPOINTS = [
  'authorization_endpoint',
  'token_endpoint',
  'userinfo_endpoint',
  'jwks_uri',
  'end_session_endpoint',
  'revocation_endpoint',
  'check_session_iframe',
  'pushed_authorization_request_endpoint',
] as const

/** Lists it looks at. */
export const LISTS = [
  'response_types_supported',
  'response_modes_supported',
  'token_endpoint_auth_methods_supported',
  'token_endpoint_auth_signing_alg_values_supported',
  'id_token_signing_alg_values_supported',
  'authorization_signing_alg_values_supported',
  'dpop_signing_alg_values_supported',
  'request_object_signing_alg_values_supported',
  'request_object_encryption_alg_values_supported',
  'request_object_encryption_enc_values_supported',
  'authorization_details_types_supported',
] as const

const FLAGS = [
  'authorization_response_iss_parameter_supported',
  'require_pushed_authorization_requests',
  'require_signed_request_object',
] as const

/** What a provider may require of every authorization request, and the option it takes here. RFC 9126 section 5, RFC 9101 section 10.5. */
const REQUIREMENTS = {
  require_pushed_authorization_requests: 'pushed authorization requests (PAR, RFC 9126)',
  require_signed_request_object: 'signed request objects (JAR, RFC 9101)',
} as const

/** What this site is going to ask of the provider. */
export interface ProviderNeeds {
  readonly responseType: ResponseType
  readonly responseMode: ResponseMode
  readonly signingAlgorithm: SigningAlgorithm
  /** Whether authorization requests are pushed. Default `auto`. */
  readonly pushedAuthorization?: PushedAuthorization | undefined
  /** Whether authorization requests are signed. Default `false`. */
  readonly signsRequests?: boolean | undefined
  /** Which of these an option of the site has named. The others are defaults. */
  readonly explicit?: readonly ExplicitNeed[] | undefined
}

/** Options that count for more than a list of the metadata. */
export const EXPLICIT_NEEDS = ['responseType', 'responseMode', 'idTokenAlgorithm'] as const

export type ExplicitNeed = (typeof EXPLICIT_NEEDS)[number]

/**
 * Checks a discovery document. OpenID Connect Discovery 1.0 sections 3 and 4.3.
 *
 * Members this package does not use are handed on unseen. The endpoints of an https issuer are https: plain http on a loopback host would
 * let its metadata send codes, tokens and users to any program on that machine.
 *
 * @param issuer - the configured issuer; the document's has to be the same, byte by byte
 * @param chosen - names of the endpoints that the site has set itself: these may be http on a loopback host
 * @throws {OidcError} ERR_OIDC_METADATA, ERR_OIDC_METADATA_ISSUER
 */
export function parseProviderMetadata(json: unknown, issuer: string, chosen: readonly string[] = []): ProviderMetadata {
  if (!isJsonObject(json)) throw new OidcError('ERR_OIDC_METADATA', 'the provider metadata is not a JSON object')
  const metadata = withoutEmpty(withReadableMembers(json))
  checkMembers(metadata, issuer, chosen)
  return metadata as ProviderMetadata
}

function checkMembers(json: Readonly<Record<string, unknown>>, issuer: string, chosen: readonly string[]): void {
  if (json.issuer !== issuer) {
    const cause = { expected: issuer, actual: sanitize(json.issuer) }
    throw new OidcError('ERR_OIDC_METADATA_ISSUER', describeIssuers(json.issuer, issuer), { cause })
  }
  if (json.authorization_endpoint === undefined) throw wrongMember('authorization_endpoint', undefined)
  for (const name of ENDPOINTS) checkEndpoint(name, json[name])
  if (new URL(issuer).protocol === 'https:') checkNoPlainHttp(json, chosen)
  for (const name of FLAGS) checkFlag(name, json[name])
}

/** A member without a value says as little as one that is not there. OpenID Connect Discovery 1.0 section 4.2. */
function withoutEmpty(json: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const isEmpty = (name: string, value: unknown) =>
    value === null ||
    (value === '' && isOneOf(ENDPOINTS, name)) ||
    (Array.isArray(value) && value.length === 0 && isOneOf(LISTS, name))
  return Object.fromEntries(Object.entries(json).filter(([name, value]) => !isEmpty(name, value)))
}

/** Lists are not needed, so what is no text in them counts for nothing; some providers write one value alone, and flags as text. */
function withReadableMembers(json: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const read = (name: string, value: unknown) => {
    if (isOneOf(LISTS, name)) return [value].flat().filter(item => typeof item === 'string' && item !== '')
    return isOneOf(FLAGS, name) && (value === 'true' || value === 'false') ? value === 'true' : value
  }
  return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, read(name, value)]))
}

function isOneOf(names: readonly string[], name: string): boolean {
  return names.includes(name)
}

/**
 * Checks, before the browser is sent away, that the provider supports the request. A list that it does not publish is not checked, and an
 * option of the site counts for more than a list.
 *
 * @param warn - told where an option goes against a list
 * @throws {OidcError} ERR_OIDC_UNSUPPORTED
 */
export function checkProviderSupports(metadata: ProviderMetadata, needs: ProviderNeeds, warn?: Warn): void {
  checkRequirements(metadata, needs)
  const wish = (what: string, value: string, option: ExplicitNeed, advice = `set ${option} to one that it has`) => ({
    what,
    candidates: [value],
    isExplicit: needs.explicit?.includes(option) ?? false,
    advice,
  })
  const { response_types_supported: types, response_modes_supported: modes } = metadata
  const forCode = types?.includes('code') === true ? "set responseType to 'code'" : undefined
  const responseType = wish('response type', needs.responseType, 'responseType', forCode)
  chooseListed({ ...responseType, isListed: listed => hasResponseType(listed, needs.responseType) }, types, warn)
  const forQuery =
    modes?.includes('query') === true ? "set responseMode to 'query' and responseType to 'code'" : undefined
  chooseListed(wish('response mode', needs.responseMode, 'responseMode', forQuery), modes, warn)
  const algorithms = metadata.id_token_signing_alg_values_supported
  const algorithm = wish('ID Token algorithm', needs.signingAlgorithm, 'idTokenAlgorithm')
  // Without the option, whatever only a published key can verify will do.
  const candidates = algorithm.isExplicit ? algorithm.candidates : [needs.signingAlgorithm, ...ASYMMETRIC]
  if (!candidates.some(name => algorithms?.includes(name))) chooseListed(algorithm, algorithms, warn)
  if (returnsCode(needs.responseType) && metadata.token_endpoint === undefined) throw missing('token_endpoint')
  if (!needs.signingAlgorithm.startsWith('HS') && metadata.jwks_uri === undefined) throw missing('jwks_uri')
}

function checkRequirements(metadata: ProviderMetadata, { pushedAuthorization, signsRequests }: ProviderNeeds): void {
  if (metadata.require_signed_request_object === true && signsRequests !== true)
    throw required('require_signed_request_object', 'set requestObject: true, or ')
  if (isPushed(metadata, pushedAuthorization)) {
    const { require_pushed_authorization_requests: isRequired, pushed_authorization_request_endpoint: endpoint } =
      metadata
    if (endpoint === undefined)
      throw missing(
        'pushed_authorization_request_endpoint',
        isRequired === true ? { require_pushed_authorization_requests: true } : undefined,
      )
  } else if (metadata.require_pushed_authorization_requests === true) {
    throw required('require_pushed_authorization_requests', 'set pushedAuthorization: true, or ')
  }
}

/** Whether metadata was refused because the provider requires what this site does not do. */
export function isUnmetRequirement(error: unknown): boolean {
  const cause = error instanceof OidcError ? error.cause : undefined
  return isRecord(cause) && Object.keys(REQUIREMENTS).some(name => cause[name] === true)
}

/**
 * What may go wrong at the first sign-in because the provider says nothing about it. Without a list of response modes, Discovery 1.0
 * section 3 has it that there are `query` and `fragment`.
 */
export function findDoubt(
  metadata: ProviderMetadata,
  { responseMode }: Pick<ProviderNeeds, 'responseMode'>,
): string | undefined {
  if (!isPosted(responseMode) || metadata.response_modes_supported !== undefined) return undefined
  return `the provider does not list response_modes_supported, which means query and fragment, but this site uses ${responseMode}: if the callback is opened with GET (405), set responseType: 'code' and responseMode: 'query'`
}

function checkEndpoint(name: string, value: unknown): void {
  if (value === undefined) return
  if (typeof value !== 'string' || !URL.canParse(value)) throw wrongMember(name, value)
  const url = new URL(value)
  // RFC 6749 sections 3.1 and 3.2: an endpoint has no fragment.
  if (!isSecureUrl(url) || url.hash !== '') throw wrongMember(name, value)
}

/** @param endpoints - after {@link checkEndpoint} */
function checkNoPlainHttp(endpoints: Readonly<Record<string, unknown>>, chosen: readonly string[]): void {
  for (const name of ENDPOINTS) {
    const value = endpoints[name]
    if (typeof value !== 'string' || chosen.includes(name) || new URL(value).protocol === 'https:') continue
    const message = `the provider metadata of an https issuer has a plain http URL for ${name}, '${printable(value)}': set endpoints.${name} if that is intended`
    throw new OidcError('ERR_OIDC_METADATA', message, { cause: { member: name, actual: sanitize(value) } })
  }
}

function checkFlag(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') throw wrongMember(name, value)
}

function wrongMember(name: string, value: unknown): OidcError {
  const cause = { member: name, actual: sanitize(value) }
  return new OidcError('ERR_OIDC_METADATA', `the provider metadata has no usable ${name}`, { cause })
}

function missing(endpoint: string, cause?: object): OidcError {
  const message = `the provider does not offer the endpoint "${endpoint}": set endpoints.${endpoint} to one that it has`
  return new OidcError('ERR_OIDC_UNSUPPORTED', message, { cause })
}

function required(name: keyof typeof REQUIREMENTS, advice = ''): OidcError {
  const what = REQUIREMENTS[name]
  const message = `the provider requires ${what}, which this site does not send: ${advice}switch ${name} off there, for this client at least`
  return new OidcError('ERR_OIDC_UNSUPPORTED', message, { cause: { [name]: true } })
}

/** Both values, to the letter: what differs is often a slash at the end. */
function describeIssuers(actual: unknown, expected: string): string {
  if (typeof actual !== 'string') return `the provider metadata has no issuer, but the option issuer is '${expected}'`
  const found = printable(actual)
  const message = `the provider metadata has the issuer '${found}', but the option issuer is '${expected}'`
  if (actual.includes('{tenantid}'))
    return `${message}: it is that of many tenants; set issuer to that of one, or to the address of all (common, organizations) together with tenants`
  const withoutSlash = (text: string) => text.replace(/\/+$/, '')
  if (withoutSlash(actual) !== withoutSlash(expected)) return `${message}: they must be identical`
  const what = actual.length > expected.length ? 'has no slash at the end' : 'has an extra slash at the end'
  return `${message}, which ${what}: set issuer to '${found}'`
}
