import { OidcError } from '../errors.js'
import { evidenceOf, printable } from './evidence.js'
import { isJsonObject, isRecord, isStringArray } from './json.js'
import { hasResponseType, returnsCode } from './response-type.js'
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
] as const

/** Lists it looks at. */
export const LISTS = [
  'scopes_supported',
  'response_types_supported',
  'response_modes_supported',
  'token_endpoint_auth_methods_supported',
  'token_endpoint_auth_signing_alg_values_supported',
  'id_token_signing_alg_values_supported',
] as const

const FLAGS = [
  'authorization_response_iss_parameter_supported',
  'require_pushed_authorization_requests',
  'require_signed_request_object',
] as const

/** What a provider may require of every authorization request, and this package does not do. RFC 9126 section 5, RFC 9101 section 10.5. */
const REQUIREMENTS = {
  require_pushed_authorization_requests: 'pushed authorization requests (PAR, RFC 9126)',
  require_signed_request_object: 'signed request objects (JAR, RFC 9101)',
} as const

/** What this site is going to ask of the provider. */
export interface ProviderNeeds {
  readonly responseType: ResponseType
  readonly responseMode: ResponseMode
  readonly signingAlgorithm: SigningAlgorithm
}

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
  if (json.issuer !== issuer) {
    const cause = { expected: issuer, actual: evidenceOf(json.issuer) }
    throw new OidcError('ERR_OIDC_METADATA_ISSUER', describeIssuers(json.issuer, issuer), { cause })
  }
  if (json.authorization_endpoint === undefined) throw wrongMember('authorization_endpoint', undefined)
  for (const name of ENDPOINTS) checkEndpoint(name, json[name])
  if (new URL(issuer).protocol === 'https:') checkNoPlainHttp(json, chosen)
  for (const name of LISTS) checkList(name, json[name])
  for (const name of FLAGS) checkFlag(name, json[name])
  return json as ProviderMetadata
}

/**
 * Finds out before the browser leaves that the provider could not answer. A list it does not publish is not held against it.
 *
 * @throws {OidcError} ERR_OIDC_UNSUPPORTED
 */
export function checkProviderSupports(metadata: ProviderMetadata, needs: ProviderNeeds): void {
  const { response_types_supported: types, response_modes_supported: modes } = metadata
  const algorithms = metadata.id_token_signing_alg_values_supported
  for (const [name, what] of Object.entries(REQUIREMENTS)) if (metadata[name] === true) throw required(name, what)
  if (types && !hasResponseType(types, needs.responseType)) {
    throw unsupported('response type', needs.responseType, 'responseType', types)
  }
  if (modes && !modes.includes(needs.responseMode)) {
    throw unsupported('response mode', needs.responseMode, 'responseMode', modes)
  }
  if (algorithms && !algorithms.includes(needs.signingAlgorithm)) {
    throw unsupported('ID Token algorithm', needs.signingAlgorithm, 'idTokenAlgorithm', algorithms)
  }
  if (returnsCode(needs.responseType) && metadata.token_endpoint === undefined) {
    throw unsupported('endpoint', 'token_endpoint', 'endpoints.token_endpoint')
  }
  if (!needs.signingAlgorithm.startsWith('HS') && metadata.jwks_uri === undefined) {
    throw unsupported('endpoint', 'jwks_uri', 'endpoints.jwks_uri')
  }
}

/** Whether metadata was refused because the provider requires what this package does not do. */
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
  if (responseMode === 'query' || metadata.response_modes_supported !== undefined) return undefined
  return "the provider does not list response_modes_supported, which means query and fragment, and this site asks for form_post: if the callback is opened with GET (405), set responseType: 'code' and responseMode: 'query'"
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
    const message = `the provider metadata of an https issuer names plain http for ${name}, '${printable(value)}': set endpoints.${name} where that is meant`
    throw new OidcError('ERR_OIDC_METADATA', message, { cause: { member: name, actual: evidenceOf(value) } })
  }
}

function checkList(name: string, value: unknown): void {
  if (value !== undefined && !isStringArray(value)) throw wrongMember(name, value)
}

function checkFlag(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') throw wrongMember(name, value)
}

function wrongMember(name: string, value: unknown): OidcError {
  const cause = { member: name, actual: evidenceOf(value) }
  return new OidcError('ERR_OIDC_METADATA', `the provider metadata has no usable ${name}`, { cause })
}

/** @param option - the one to set @param offered - what the provider has instead */
function unsupported(what: string, value: string, option: string, offered?: readonly string[]): OidcError {
  const instead =
    offered &&
    `; it offers ${
      offered
        .slice(0, 20)
        .map(text => `"${printable(text, 60)}"`)
        .join(', ') || 'none'
    }`
  const advice = `set ${option} to one that it has`
  const message = `the provider does not offer the ${what} "${value}"${instead ?? ''}: ${advice}`
  return new OidcError('ERR_OIDC_UNSUPPORTED', message)
}

function required(name: string, what: string): OidcError {
  const message = `the provider requires ${what}, which this package does not send: switch ${name} off there, for this client at least`
  return new OidcError('ERR_OIDC_UNSUPPORTED', message, { cause: { [name]: true } })
}

/** Both values, to the letter: what differs is often a slash at the end. */
function describeIssuers(actual: unknown, expected: string): string {
  if (typeof actual !== 'string') return `the provider metadata has no issuer, and the option issuer is '${expected}'`
  const found = printable(actual)
  const message = `the provider metadata names the issuer '${found}', and the option issuer is '${expected}'`
  const withoutSlash = (text: string) => text.replace(/\/+$/, '')
  if (withoutSlash(actual) !== withoutSlash(expected)) return `${message}: they have to be the same to the letter`
  const what = actual.length > expected.length ? 'lacks a slash at the end' : 'has a slash too many at the end'
  return `${message}, which ${what}: set issuer to '${found}'`
}
