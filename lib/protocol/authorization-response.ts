import { OidcError, type ProviderError } from '../errors.js'
import { sanitize } from './printable.js'
import { parseProviderError } from './provider-error.js'
import { returnsAccessToken, returnsCode, returnsIdToken } from './response-type.js'
import type { ResponseType } from './wire.js'

/** OpenID Connect Core 1.0 section 3.3.2.5. Nothing in it has been compared with anything yet. */
export interface AuthorizationSuccess {
  readonly kind: 'success'
  readonly state: string
  readonly iss?: string
  readonly code?: string
  readonly id_token?: string
  readonly access_token?: string
  readonly token_type?: string
  /** Seconds. A hint of the browser, as `scope` is. */
  readonly expires_in?: string
  readonly session_state?: string
  /** What was granted, where the provider says so here. The browser carries it: it may narrow what else is known, and never widen it. */
  readonly scope?: string
  /** Parameters that are none of the protocol. Nothing vouches for them: the browser carries them, and no signature covers them. */
  readonly unverified?: Readonly<Record<string, string>>
}

/** OpenID Connect Core 1.0 section 3.1.2.6. */
export interface AuthorizationFailure {
  readonly kind: 'error'
  readonly state: string
  readonly iss?: string
  /** Chosen by the sender of the response, and sanitized for the log. */
  readonly providerError: ProviderError
}

export type AuthorizationResponse = AuthorizationSuccess | AuthorizationFailure

/** The parts the response type promises: all of them, and none besides. */
export interface CheckedAuthorizationResponse {
  readonly state: string
  readonly code?: string
  readonly id_token?: string
  readonly access_token?: string
  readonly expires_in?: string
  readonly session_state?: string
  readonly scope?: string
  readonly unverified?: Readonly<Record<string, string>>
}

export interface ResponseIssuerExpectations {
  readonly issuer: string
  /** Whether the provider announces that every response has an `iss`. */
  readonly issRequired: boolean
}

export interface AuthorizationResponseExpectations extends ResponseIssuerExpectations {
  readonly responseType: ResponseType
}

/** Parameters that are used. How long the others may be follows from the limits of the body and of the head of a request. */
const USED: readonly string[] = ['state', 'iss', 'code', 'id_token', 'access_token', 'token_type', 'session_state']

/** Parameters that are shown or ignored, but never trusted. A repeated one still makes a response ambiguous. */
const UNTRUSTED: ReadonlySet<string> = new Set(['error', 'error_description', 'error_uri', 'expires_in', 'scope'])

/** Characters of what is compared, and opened, before anything is known of who sent it. */
const MAX_LENGTHS: Readonly<Record<string, number>> = { state: 2048, iss: 2048 }

/** Characters. */
const MAX_SCOPE_LENGTH = 4096

/** Parameters that are none of the protocol, and characters of each: more is left out. */
const MAX_UNKNOWN = 16
const MAX_UNKNOWN_LENGTH = 4096
/** Without what JavaScript knows an object by. */
const UNKNOWN_NAME = /^(?!constructor$|prototype$)[a-z][\w.-]{0,63}$/i

const GRANTED = ['code', 'id_token', 'access_token'] as const

/**
 * Reads the fields of a form or query into a success or a failure. OAuth 2.0 Form Post Response Mode 1.0 section 2,
 * RFC 6749 sections 4.1.2, 4.1.2.1 and appendix A. Unknown parameters are ignored; one without a value is absent (RFC 6749 section 3.1).
 *
 * @throws {OidcError} ERR_OIDC_REQUEST_MALFORMED
 */
export function parseAuthorizationResponse(fields: Iterable<readonly [string, string]>): AuthorizationResponse {
  const all = [...fields]
  const found = collectKnown(all)
  // It is kept with the session, and only a page that watches the provider's session needs it. OpenID Connect Session Management 1.0 section 2.
  if (!/^[\x20-\x7e]{1,1024}$/.test(found.get('session_state') ?? '')) found.delete('session_state')
  for (const name of USED) checkValue(name, found.get(name))
  const state = found.get('state')
  if (state === undefined) throw malformed('state is missing')
  const error = found.get('error')
  if (error === undefined) {
    const scope = readScope(found.get('scope'))
    const picked = pick(found, ['iss', ...GRANTED, 'token_type', 'session_state'])
    const lifetime = found.get('expires_in') ?? ''
    const expiry = /^\d{1,10}$/.test(lifetime) ? { expires_in: lifetime } : {}
    const unverified = collectUnknown(all)
    return {
      kind: 'success',
      state,
      ...picked,
      ...expiry,
      ...(scope !== undefined && { scope }),
      ...(unverified && { unverified }),
    }
  }
  const providerError = parseProviderError(Object.fromEntries(found))
  if (providerError === undefined) throw malformed('error is not a valid code')
  if (GRANTED.some(name => found.has(name))) throw malformed('the response is an error and a success at once')
  return { kind: 'error', state, providerError, ...pick(found, ['iss']) }
}

/**
 * Compares the `iss` of a response, success or error, with the issuer of the provider. RFC 9207 section 2.4.
 *
 * @throws {OidcError} ERR_OIDC_RESPONSE_ISSUER
 */
export function checkResponseIssuer(response: { readonly iss?: string }, expected: ResponseIssuerExpectations): void {
  if (response.iss === undefined && !expected.issRequired) return
  if (response.iss === expected.issuer) return
  const cause = { expected: expected.issuer, actual: sanitize(response.iss) }
  throw new OidcError('ERR_OIDC_RESPONSE_ISSUER', 'iss is missing, or is not the issuer of the provider', { cause })
}

/**
 * Checks that a successful response has every part of the response type, and drops all other parts.
 * OpenID Connect Core 1.0 section 3.3.2.8, RFC 9207 section 2.4.
 *
 * @throws {OidcError} ERR_OIDC_RESPONSE_ISSUER, ERR_OIDC_REQUEST_MALFORMED
 */
export function checkAuthorizationResponse(
  response: AuthorizationSuccess,
  expected: AuthorizationResponseExpectations,
): CheckedAuthorizationResponse {
  checkResponseIssuer(response, expected)
  const { responseType } = expected
  const { state, session_state, scope, expires_in, unverified } = response
  return {
    state,
    ...(returnsCode(responseType) && { code: promised(response, 'code') }),
    ...(returnsIdToken(responseType) && { id_token: promised(response, 'id_token') }),
    ...(returnsAccessToken(responseType) && { access_token: promisedBearer(response) }),
    ...(returnsAccessToken(responseType) && expires_in !== undefined && { expires_in }),
    ...(session_state !== undefined && { session_state }),
    ...(scope !== undefined && { scope }),
    ...(unverified !== undefined && { unverified }),
  }
}

function collectKnown(fields: Iterable<readonly [string, string]>): Map<string, string> {
  const found = new Map<string, string>()
  for (const [field, value] of fields) {
    const name = field.replace(/\[.*/s, '') // `code[]` and `code[a]` are a second `code` to many form parsers
    if (!USED.includes(name) && !UNTRUSTED.has(name)) continue
    if (field !== name || found.has(name)) throw malformed(`${name} occurs more than once`)
    found.set(name, value)
  }
  return new Map([...found].filter(([, value]) => value !== ''))
}

/** What a site may find useful all the same, such as the name that Apple posts once. What came twice could be read in two ways. */
function collectUnknown(fields: readonly (readonly [string, string])[]): Readonly<Record<string, string>> | undefined {
  const unknown = fields.filter(
    ([name, value]) =>
      UNKNOWN_NAME.test(name) &&
      !USED.includes(name) &&
      !UNTRUSTED.has(name) &&
      value !== '' &&
      value.length <= MAX_UNKNOWN_LENGTH,
  )
  const names = fields.map(([name]) => name)
  const single = unknown.filter(([name]) => names.indexOf(name) === names.lastIndexOf(name))
  return single.length === 0 ? undefined : Object.freeze(Object.fromEntries(single.slice(0, MAX_UNKNOWN)))
}

function checkValue(name: string, value = ' '): void {
  if (value.length > (MAX_LENGTHS[name] ?? value.length)) throw malformed(`${name} is too long`)
  if (!/^[\x20-\x7e]+$/.test(value)) throw malformed(`${name} has characters that are not allowed`)
}

/** Not needed, so nothing in it decides about a sign-in. RFC 6749 section 3.3. */
function readScope(value: string | undefined): string | undefined {
  const isScope = value !== undefined && value.length <= MAX_SCOPE_LENGTH && /^[\x20-\x7e]*$/.test(value)
  return isScope && value.trim() !== '' ? value.trim() : undefined
}

function promised(response: AuthorizationSuccess, name: (typeof GRANTED)[number]): string {
  const value = response[name]
  if (value === undefined) throw malformed(`${name} is missing`)
  return value
}

/** RFC 6749 section 7.1: a client does not use a token of a type it does not understand; the names are case-insensitive. */
function promisedBearer(response: AuthorizationSuccess): string {
  if (response.token_type?.toLowerCase() !== 'bearer') throw malformed('token_type is not Bearer')
  return promised(response, 'access_token')
}

function pick<Name extends string>(
  found: ReadonlyMap<string, string>,
  names: readonly Name[],
): Partial<Record<Name, string>> {
  const picked = [...found].filter(([name]) => names.some(wanted => wanted === name))
  return Object.fromEntries(picked) as Partial<Record<Name, string>>
}

function malformed(message: string): OidcError {
  return new OidcError('ERR_OIDC_REQUEST_MALFORMED', `authorization response: ${message}`)
}
