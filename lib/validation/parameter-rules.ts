import { findDetailsFault } from '../protocol/authorization-details.js'
import { type AuthorizationParams, RESERVED } from '../protocol/authorization-request.js'
import { isRecord } from '../protocol/json.js'
import type { AuthorizationDetail } from '../protocol/wire.js'
import { type Json, json, jsonObject } from './json-rule.js'
import { nameOf, type Place, placeOf, refuse, refuseValue } from './place.js'
import { anyString, list, type Rule, rule, wholeNumber } from './rules.js'

// What is sent to the provider as a parameter of a request.

/** RFC 6749 section 3.3. */
export const scopeText: Rule<string> = rule(
  'a string of scopes, with one space between them',
  (value): value is string =>
    typeof value === 'string' && /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/.test(value),
)

/** RFC 8707 section 2. */
export const resource: Rule<string> = rule(
  'an absolute URI without a fragment, such as "https://api.example.com"',
  (value): value is string =>
    typeof value === 'string' && /^[a-z][a-z\d+.-]*:[^\s#\p{Cc}]+$/iu.test(value) && URL.canParse(value),
)

/** A word of a list that is sent as one string, with spaces between the words. */
export const word: Rule<string> = rule(
  'a string that is not empty, without spaces',
  (value): value is string => typeof value === 'string' && /^[^\s\p{Cc}]+$/u.test(value),
)

/** Seconds since a user authenticated. */
export const maxAge: Rule<number> = wholeNumber('seconds', 0, Number.MAX_SAFE_INTEGER)

const strings = list('strings', anyString)
const objects = list('plain objects', jsonObject)

/** RFC 9396 section 2. */
export const authorizationDetails: Rule<readonly AuthorizationDetail[]> = {
  expected: 'a list of objects, each with a type',
  read(value, place) {
    const copy = json.read(value, place)
    checkDetails(copy, place)
    return copy as unknown as readonly AuthorizationDetail[]
  },
}

function checkDetails(value: unknown, place: Place): void {
  const fault = findDetailsFault(value)
  if (fault === undefined) return
  const at = fault.path.reduce<Place>((outer, name) => placeOf(outer, name), place)
  refuseValue(fault.value, fault.expected, at)
}

function checkParam(name: string, value: Json, place: Place): void {
  if (RESERVED.includes(name)) refuse(`${nameOf(place)} belongs to the protocol and cannot be replaced`)
  if (typeof value === 'boolean' || value === null)
    refuseValue(value, 'a string, a number, a list of strings, a plain object or a list of plain objects', place)
  if (Array.isArray(value)) (isRecord(value[0]) ? objects : strings).read(value, place)
  if (name === 'max_age') maxAge.read(typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value, place)
  if (name === 'authorization_details') checkDetails(typeof value === 'string' ? parseText(value) : value, place)
  if (name === 'claims' && typeof value !== 'object' && !isJsonText(value))
    refuseValue(value, 'a plain object, or a string of JSON', place)
}

function isJsonText(value: unknown): boolean {
  return typeof value === 'string' && typeof parseText(value) === 'object'
}

/** The text itself, where it is no JSON. */
function parseText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** The names of the protocol itself cannot be replaced. */
export const authorizationParams: Rule<AuthorizationParams> = {
  expected: 'a plain object',
  read(value, place) {
    const params = jsonObject.read(value, place)
    for (const [name, member] of Object.entries(params)) checkParam(name, member, placeOf(place, name))
    return params as AuthorizationParams
  },
}
