import { OidcError } from '../errors.js'
import type { ResponseType } from './wire.js'

/** In this canonical order the words of each type happen to be in alphabetical order, too. */
const RESPONSE_TYPES: readonly ResponseType[] = [
  'code',
  'code id_token',
  'code token',
  'code id_token token',
  'id_token',
  'id_token token',
]

/**
 * Reads a response type in any word order. RFC 6749 section 3.1.1: the order does not matter.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS
 */
export function parseResponseType(text: string): ResponseType {
  const canonical = wordsOf(text).sort().join(' ')
  const responseType = RESPONSE_TYPES.find(known => known === canonical)
  if (responseType === undefined) {
    throw new OidcError('ERR_OIDC_OPTIONS', `responseType must be one of: ${RESPONSE_TYPES.join(', ')}`)
  }
  return responseType
}

/** Whether a value is one of the response types, in the canonical word order. */
export function isResponseType(value: unknown): value is ResponseType {
  return RESPONSE_TYPES.some(known => known === value)
}

/** Whether the authorization response brings a code. */
export function returnsCode(responseType: ResponseType): boolean {
  return wordsOf(responseType).includes('code')
}

/** Whether the authorization response brings an ID Token. */
export function returnsIdToken(responseType: ResponseType): boolean {
  return wordsOf(responseType).includes('id_token')
}

/** Whether the authorization response brings an access token. */
export function returnsAccessToken(responseType: ResponseType): boolean {
  return wordsOf(responseType).includes('token')
}

/** Whether a published list holds a response type; its entries are sets of words and come in every order. */
export function hasResponseType(supported: readonly string[], responseType: ResponseType): boolean {
  return supported.some(entry => wordsOf(entry).sort().join(' ') === responseType)
}

function wordsOf(text: string): string[] {
  return text.split(' ').filter(word => word !== '')
}
