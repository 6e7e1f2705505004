import { OidcError } from '../errors.js'
import { evidenceOf } from './evidence.js'
import { isJsonObject, isStringArray } from './json.js'
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

/** What this site is going to ask of the provider. */
export interface ProviderNeeds {
  readonly responseType: ResponseType
  readonly responseMode: ResponseMode
  readonly signingAlgorithm: SigningAlgorithm
}

/**
 * Checks a discovery document. OpenID Connect Discovery 1.0 sections 3 and 4.3.
 *
 * Members this package does not use are handed on unseen.
 *
 * @param issuer - the configured issuer; the document's has to be the same, byte by byte
 * @throws {OidcError} ERR_OIDC_METADATA, ERR_OIDC_METADATA_ISSUER
 */
export function parseProviderMetadata(json: unknown, issuer: string): ProviderMetadata {
  if (!isJsonObject(json)) throw new OidcError('ERR_OIDC_METADATA', 'the provider metadata is not a JSON object')
  if (json.issuer !== issuer) {
    const cause = { expected: issuer, actual: evidenceOf(json.issuer) }
    throw new OidcError('ERR_OIDC_METADATA_ISSUER', 'the provider metadata names another issuer', { cause })
  }
  if (json.authorization_endpoint === undefined) throw wrongMember('authorization_endpoint', undefined)
  for (const name of ENDPOINTS) checkEndpoint(name, json[name])
  for (const name of LISTS) checkList(name, json[name])
  checkFlag('authorization_response_iss_parameter_supported', json.authorization_response_iss_parameter_supported)
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
  if (types && !hasResponseType(types, needs.responseType)) throw unsupported('response type', needs.responseType)
  if (modes && !modes.includes(needs.responseMode)) throw unsupported('response mode', needs.responseMode)
  if (algorithms && !algorithms.includes(needs.signingAlgorithm)) {
    throw unsupported('ID Token algorithm', needs.signingAlgorithm)
  }
  if (returnsCode(needs.responseType) && metadata.token_endpoint === undefined) {
    throw unsupported('endpoint', 'token_endpoint')
  }
  if (!needs.signingAlgorithm.startsWith('HS') && metadata.jwks_uri === undefined) {
    throw unsupported('endpoint', 'jwks_uri')
  }
}

function checkEndpoint(name: string, value: unknown): void {
  if (value === undefined) return
  if (typeof value !== 'string' || !URL.canParse(value)) throw wrongMember(name, value)
  const url = new URL(value)
  // RFC 6749 sections 3.1 and 3.2: an endpoint has no fragment.
  if (!isSecureUrl(url) || url.hash !== '') throw wrongMember(name, value)
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

function unsupported(what: string, value: string): OidcError {
  return new OidcError('ERR_OIDC_UNSUPPORTED', `the provider does not offer the ${what} "${value}"`)
}
