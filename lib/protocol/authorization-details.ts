import { createHash } from 'node:crypto'
import { OidcError } from '../errors.js'
import { isJsonObject, isRecord } from './json.js'
import { chooseListed, type Warn } from './listed.js'
import { sanitize } from './printable.js'
import type { AuthorizationDetail, ProviderMetadata } from './wire.js'

/** Members that mean the same in every type, and are lists of strings. RFC 9396 section 2.2. */
const LISTS = ['locations', 'actions', 'datatypes', 'privileges'] as const

/** Characters of what a provider grants, as JSON: it is kept with the session. */
const LONGEST = 100_000

/** Values that are looked at while two lists are compared. Honest ones take some thousand. */
const MOST_COMPARISONS = 200_000

/** What is wrong with authorization details. */
export interface DetailsFault {
  /** Where: the index of the object, and the name of its member. */
  readonly path: readonly (number | string)[]
  readonly expected: string
  readonly value: unknown
}

/** The first thing that is wrong with authorization details, wherever they come from. RFC 9396 section 2. `undefined`: nothing is. */
export function findDetailsFault(value: unknown): DetailsFault | undefined {
  if (!Array.isArray(value)) return { path: [], expected: 'a list of objects, each with a type', value }
  for (const [index, detail] of value.entries()) {
    if (!isRecord(detail)) return { path: [index], expected: 'an object with a type', value: detail }
    const fault = findMemberFault(detail)
    if (fault !== undefined) return { ...fault, path: [index, ...fault.path] }
  }
  return undefined
}

function findMemberFault(detail: Readonly<Record<string, unknown>>): DetailsFault | undefined {
  const { type, identifier } = detail
  const expected = 'a string that is not empty'
  if (!isText(type)) return { path: ['type'], expected, value: type }
  if (identifier !== undefined && !isText(identifier)) return { path: ['identifier'], expected, value: identifier }
  const wrong = LISTS.find(name => detail[name] !== undefined && !isTextList(detail[name]))
  return wrong && { path: [wrong], expected: 'a list of strings that are not empty', value: detail[wrong] }
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

function isTextList(value: unknown): boolean {
  return Array.isArray(value) && value.every(isText)
}

/** What a site asks for: a list, or the same as JSON. `undefined`: nothing, or nothing that can be read. */
export function readAskedDetails(value: unknown): readonly AuthorizationDetail[] | undefined {
  const list = typeof value === 'string' ? parse(value) : value
  return findDetailsFault(list) === undefined ? (list as readonly AuthorizationDetail[]) : undefined
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** @throws {OidcError} ERR_OIDC_OPTIONS for a parameter of a site that a provider could not read */
export function checkAskedDetails(value: unknown): void {
  if (value === undefined || readAskedDetails(value) !== undefined) return
  const fault = findDetailsFault(typeof value === 'string' ? parse(value) : value)
  const [index, member] = fault?.path ?? []
  const where = `${index === undefined ? '' : `[${index}]`}${member === undefined ? '' : `.${member}`}`
  throw new OidcError('ERR_OIDC_OPTIONS', `the parameter "authorization_details"${where} must be ${fault?.expected}`)
}

/** The parameter of a request. RFC 9396 section 6. */
export function detailsParam(details: readonly AuthorizationDetail[] | undefined): Record<string, string> {
  return details === undefined ? {} : { authorization_details: JSON.stringify(details) }
}

/**
 * The `authorization_details` of a token response. RFC 9396 section 7.
 *
 * @param isNeeded - whether the site relies on them; otherwise what cannot be read is left out
 * @throws {OidcError} ERR_OIDC_TOKEN_RESPONSE
 */
export function parseGrantedDetails(value: unknown, isNeeded: boolean): readonly AuthorizationDetail[] | undefined {
  if (!isNeeded || value === undefined || value === null) return undefined
  if (findDetailsFault(value) !== undefined) throw wrongDetails('is not a list of objects with a type')
  if (!isJsonObject({ value }) || JSON.stringify(value).length > LONGEST) throw wrongDetails('is too long or too deep')
  return value as readonly AuthorizationDetail[]
}

/**
 * Whether what was granted is about what was asked for. A provider may say more of a detail than the request did, such as the account that the
 * user has chosen (RFC 9396 section 7.1), but not grant a type that was not requested.
 *
 * @throws {OidcError} ERR_OIDC_TOKEN_RESPONSE
 */
export function checkDetailTypesAsked(
  granted: readonly AuthorizationDetail[] | undefined,
  asked: readonly AuthorizationDetail[] | undefined,
): void {
  const types = typesOf(asked)
  const other = granted?.find(({ type }) => !types.includes(type))
  if (other === undefined) return
  throw wrongDetails('has a type that was not requested', { requested: types.join(' '), actual: sanitize(other.type) })
}

/**
 * Whether details allow nothing that others do not: each of them is one of the others, or one with fewer entries in its lists. A member that is
 * missing, and a list that is empty, may mean everything, so that both have to be as they were.
 */
export function isWithinDetails(
  details: readonly AuthorizationDetail[],
  limit: readonly AuthorizationDetail[],
): boolean {
  let left = MOST_COMPARISONS
  const isWithin = (value: unknown, other: unknown): boolean => {
    left -= 1
    if (left < 0) return false
    if (Array.isArray(value) && Array.isArray(other)) {
      if (value.length === 0) return other.length === 0
      return value.every(item => other.some(known => isWithin(item, known)))
    }
    if (!isRecord(value) || !isRecord(other)) return value === other
    const names = Object.keys(value)
    const isSame = names.length === Object.keys(other).length && names.every(name => Object.hasOwn(other, name))
    return isSame && names.every(name => isWithin(value[name], other[name]))
  }
  // Most of them are as they were: a long list takes no more than one look at each.
  const same = new Set(limit.map(known => JSON.stringify(known)))
  return details.every(detail => same.has(JSON.stringify(detail)) || limit.some(known => isWithin(detail, known)))
}

/** The types, each once. */
export function typesOf(details: readonly AuthorizationDetail[] = []): readonly string[] {
  return [...new Set(details.map(({ type }) => type))]
}

/** Tells one list from another, in few characters. */
export function fingerprintOfDetails(details: readonly AuthorizationDetail[]): string {
  return createHash('sha256').update(JSON.stringify(details)).digest('base64url')
}

/** A list of types is held against nothing: it may be incomplete, and the provider refuses what it does not know. RFC 9396 sections 5 and 10. */
export function warnOfUnlistedTypes(
  { authorization_details_types_supported: listed }: ProviderMetadata,
  details: readonly AuthorizationDetail[] | undefined,
  warn: Warn,
): void {
  const advice = 'use a type that it lists in authorization_details'
  for (const type of typesOf(details)) {
    const wish = { what: 'type of authorization_details', candidates: [type], isExplicit: true, advice }
    chooseListed(wish, listed, warn)
  }
}

function wrongDetails(problem: string, cause?: object): OidcError {
  return new OidcError('ERR_OIDC_TOKEN_RESPONSE', `token response: authorization_details ${problem}`, { cause })
}
