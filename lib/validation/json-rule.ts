import { isPlain } from './object-rule.js'
import { guarded, type Place, placeOf, refuseValue } from './place.js'
import type { Rule } from './rules.js'

/** What JSON can say. */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject
/** An object of it. */
export interface JsonObject {
  readonly [name: string]: Json
}

const EXPECTED = 'what JSON can say (strings, finite numbers, true, false, null, lists and plain objects)'
const DEEPEST = 20

/** Names that mean something to JavaScript itself when they are written to an object. */
const UNSAFE: readonly string[] = ['__proto__', 'constructor', 'prototype']

/** A value that can be written as JSON, copied and frozen in all its depth. Members that are `undefined` are left out. */
export const json: Rule<Json> = {
  expected: EXPECTED,
  read: (value, place) => copy(value, place, 0),
}

/** An object of such values. */
export const jsonObject: Rule<JsonObject> = {
  expected: 'a plain object',
  read: (value, place) =>
    guarded(place, () => (isPlain(value) ? copyObject(value, place, 0) : refuseValue(value, 'a plain object', place))),
}

function copy(value: unknown, place: Place, depth: number): Json {
  return guarded(place, () => {
    if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value
    if (typeof value === 'number' && Number.isFinite(value)) return value
    if (depth >= DEEPEST) return refuseValue(value, `nested no deeper than ${DEEPEST} levels`, place)
    if (Array.isArray(value) && value.length <= 10_000) {
      const items = Array.from({ length: value.length }, (_, index): unknown => value[index])
      return Object.freeze(items.map((item, index) => copy(item, placeOf(place, index), depth + 1)))
    }
    return isPlain(value) ? copyObject(value, place, depth) : refuseValue(value, EXPECTED, place)
  })
}

function copyObject(value: object, place: Place, depth: number): JsonObject {
  const members = Object.keys(value).flatMap(name => {
    const at = placeOf(place, name.slice(0, 60))
    const member: unknown = guarded(at, () => Reflect.get(value, name))
    if (member === undefined) return []
    if (UNSAFE.includes(name)) return refuseValue(member, 'left out', at)
    return [[name, copy(member, at, depth + 1)] as const]
  })
  return Object.freeze(Object.fromEntries(members))
}
