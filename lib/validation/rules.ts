import { types } from 'node:util'
import { isClass } from './describe-value.js'
import { guarded, type Place, placeOf, refuseValue } from './place.js'

/** What an option or an argument may be, and how it is read. */
export interface Rule<T> {
  /** What is allowed; completes the sentence "must be …". */
  readonly expected: string
  /**
   * The value as it is used: copied and frozen where it could change later.
   * @throws {OidcError} ERR_OIDC_OPTIONS that names the place, what is allowed, and what was found
   */
  read(value: unknown, place: Place): T
}

/** The type a rule reads. */
export type Output<R> = R extends Rule<infer T> ? T : never

/** A rule out of a test of the value as it is. */
export function rule<T>(expected: string, isAllowed: (value: unknown) => value is T): Rule<T> {
  return {
    expected,
    read: (value, place) => guarded(place, () => (isAllowed(value) ? value : refuseValue(value, expected, place))),
  }
}

/** The rule for a value that must not be shown. */
export function secret<T>(inner: Rule<T>): Rule<T> {
  return { ...inner, read: (value, place) => inner.read(value, { ...place, secret: true }) }
}

export const boolean: Rule<boolean> = rule('true or false', value => typeof value === 'boolean')

/** A string that matches, without white space at its ends: it would come from a file or a copy, and mean something else. */
export function string(expected: string, pattern: RegExp = /./): Rule<string> {
  return rule(
    expected,
    (value): value is string => typeof value === 'string' && value.trim() === value && pattern.test(value),
  )
}

/** Any string, an empty one too. */
export const anyString: Rule<string> = rule('a string', value => typeof value === 'string')

export const nonEmptyString: Rule<string> = string('a string that is not empty, without spaces at its ends')

/** @param unit - `seconds` or `milliseconds` */
export function wholeNumber(unit: string, least: number, most: number): Rule<number> {
  return rule(
    `a whole number of ${unit} from ${least} to ${most}`,
    (value): value is number => Number.isInteger(value) && Number(value) >= least && Number(value) <= most,
  )
}

export function oneOf<const T extends string>(...values: readonly T[]): Rule<T> {
  const named = values.map(value => `"${value}"`)
  const expected = [named.slice(0, -1).join(', '), named.at(-1)].filter(Boolean).join(' or ')
  return rule(expected, (value): value is T => values.some(allowed => allowed === value))
}

/** A function. What it may be given and what it returns is for its caller to check. */
export type AnyFunction = (...args: never[]) => unknown

/**
 * A function that the site calls `what` it is. A class cannot be called, so it is refused.
 * @param isSync - refuses `async` functions, whose promise would be taken for the result
 */
export function callback<F extends AnyFunction>(expected: string, { isSync = false } = {}): Rule<F> {
  return rule(
    expected,
    (value): value is F => typeof value === 'function' && !isClass(value) && !(isSync && types.isAsyncFunction(value)),
  )
}

/** A function that is called as a method of the object it was given in, so that it may use `this`. */
export function method<F extends AnyFunction>(expected: string, options: { readonly isSync?: boolean } = {}): Rule<F> {
  const plain = callback<F>(expected, options)
  return {
    expected,
    read(value, place) {
      const given = plain.read(value, place)
      const { owner } = place
      return ((...args: Parameters<F>) => Reflect.apply(given, owner, args)) as F
    },
  }
}

/** More than any site needs. A proxy object may report any length. */
const LONGEST_LIST = 1000

/** @param what - the elements, in the plural, such as `claim names` */
export function list<T>(what: string, item: Rule<T>, { least = 0 } = {}): Rule<readonly T[]> {
  const expected = `a list of ${least > 0 ? `at least ${least} ` : ''}${what}`
  return {
    expected,
    read: (value, place) =>
      guarded(place, () => {
        if (!Array.isArray(value) || value.length < least || value.length > LONGEST_LIST)
          return refuseValue(value, expected, place)
        const items: readonly unknown[] = Array.from({ length: value.length }, (_, index) => value[index])
        return Object.freeze(items.map((element, index) => item.read(element, placeOf(place, index))))
      }),
  }
}

/** One value, or a list of several. @param what - the elements, in the plural */
export function oneOrSeveral<T>(what: string, item: Rule<T>): Rule<T | readonly T[]> {
  const several = list(what, item, { least: 1 })
  return {
    expected: `${item.expected}, or ${several.expected}`,
    read: (value, place) =>
      guarded(place, () => (Array.isArray(value) ? several.read(value, place) : item.read(value, place))),
  }
}
