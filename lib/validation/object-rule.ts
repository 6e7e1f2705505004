import { findClosestName } from './closest-name.js'
import { kindOf } from './describe-value.js'
import { guarded, nameOf, type Place, placeOf, refuse, refuseValue } from './place.js'
import type { Output, Rule } from './rules.js'

/** What docs/options.md says about an option besides what its rule allows. */
export interface Description {
  /** One sentence, in Markdown. */
  readonly text: string
  /** The default, in Markdown. Left out: there is none. */
  readonly default?: string
  /** The environment variable that stands in for an option that is left out. */
  readonly variable?: string
  /** What a variable's text means, where it is not the value itself. */
  readonly parseVariable?: (text: string) => unknown
  /** Whether there must be a value. A string is advice for the message. */
  readonly required?: boolean | string
}

export type Rules = Readonly<Record<string, Rule<unknown> & Partial<Description>>>

/** An object whose member names are known. */
export interface ObjectRule<T> extends Rule<T> {
  readonly members: Rules
}

/** A rule for every member of an interface: leaving one out is a type error. */
export type RulesFor<T> = { readonly [K in keyof T]-?: Rule<Exclude<T[K], undefined>> }

type Required = { readonly required: true | string }

/** What is read by the rules of the members. */
export type Read<R extends Rules> = {
  readonly [K in keyof R as R[K] extends Required ? K : never]: Output<R[K]>
} & { readonly [K in keyof R as R[K] extends Required ? never : K]?: Output<R[K]> }

/** A rule with what the documentation says about it. */
export function describe<R extends Rule<unknown>, const D extends Description>(inner: R, description: D): R & D {
  return { ...inner, ...description }
}

/**
 * An object with these members and no other: a misspelt name must not silently mean the default. Members are read once, whether they
 * are the object's own or inherited (those of a class, for instance), but never from `Object.prototype`.
 */
export function object<const R extends Rules>(members: R, expected = 'an object'): ObjectRule<Read<R>> {
  return {
    expected,
    members,
    read: (value, place) =>
      guarded(place, () => {
        if (!isPlain(value)) return refuseValue(value, expected, place)
        checkNames(value, members, place)
        const entries = Object.entries(members).flatMap(([name, member]) => {
          const found = readMember(value, name, member, place)
          return found === undefined ? [] : [[name, found.read] as const]
        })
        return Object.freeze(Object.fromEntries(entries)) as Read<R>
      }),
  }
}

/** An object, or something simpler such as `false`. */
export function objectOr<A, B>(
  expected: string,
  isSimple: (value: unknown) => value is A,
  inner: ObjectRule<B>,
): ObjectRule<A | B> {
  return {
    expected,
    members: inner.members,
    read: (value, place) =>
      guarded(place, () => {
        if (isSimple(value)) return value
        return isPlain(value) ? inner.read(value, place) : refuseValue(value, expected, place)
      }),
  }
}

/** Whether a value is an object that is meant to have members: no list, no function, no built-in kind such as a Map or a Promise. */
export function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && PLAIN.includes(kindOf(value))
}

const PLAIN: readonly string[] = ['Object', 'Module']

function readMember(owner: object, name: string, member: Rules[string], place: Place): { read: unknown } | undefined {
  const at = placeOf(place, name, owner)
  const given = guarded(at, () => memberOf(owner, name))
  if (given !== undefined) return { read: member.read(given, at) }
  const text = member.variable === undefined ? undefined : place.environment?.[member.variable]
  if (text !== undefined) {
    const from = { ...at, path: `${at.path} (from the environment variable ${member.variable})` }
    return { read: member.read(member.parseVariable?.(text) ?? text, from) }
  }
  if (member.required === undefined || member.required === false) return undefined
  const source = member.variable === undefined ? '' : `: set the option or the environment variable ${member.variable}`
  return refuse(`${nameOf(at)} is missing${source}${member.required === true ? '' : `; ${member.required}`}`)
}

/** More than classes are deep. A proxy may have prototypes without end. */
const DEEPEST = 20

/** The object and what it inherits from, without the prototype that all objects have. */
function* lineageOf(value: object): Generator<object> {
  yield value
  let owner: object | null = Object.getPrototypeOf(value)
  for (let depth = 0; owner !== null && !Object.hasOwn(owner, 'isPrototypeOf') && depth < DEEPEST; depth += 1) {
    yield owner
    owner = Object.getPrototypeOf(owner)
  }
}

function memberOf(value: object, name: string): unknown {
  for (const owner of lineageOf(value)) if (Object.hasOwn(owner, name)) return Reflect.get(value, name)
  return undefined
}

function checkNames(value: object, members: Rules, place: Place): void {
  for (const owner of lineageOf(value)) {
    const unknown = Object.keys(owner).find(name => !Object.hasOwn(members, name))
    if (unknown !== undefined) refuseName(unknown, members, place)
  }
}

function refuseName(name: string, members: Rules, place: Place): never {
  const { path } = placeOf(place, name.slice(0, 60))
  const meant = findClosestName(name, Object.keys(members)) ?? findNested(name, members)
  const advice = meant === undefined ? namesIn(members, place) : `did you mean "${placeOf(place, meant).path}"?`
  return refuse(`${place.of === undefined ? '' : `${place.of}: `}there is no option "${path}"; ${advice}`)
}

const MOST_NAMED = 9

function namesIn(members: Rules, { of }: Place): string {
  const names = Object.keys(members)
  return of === undefined && names.length > MOST_NAMED
    ? 'docs/options.md has all of them'
    : `there is ${names.join(', ')}`
}

/** A name that is right, but one level too high: `idle` is `session.idle`. */
function findNested(name: string, members: Rules): string | undefined {
  for (const [parent, member] of Object.entries(members)) {
    const names = 'members' in member ? Object.keys(member.members as Rules) : []
    const found = names.find(nested => nested.toLowerCase() === name.toLowerCase())
    if (found !== undefined) return `${parent}.${found}`
  }
  return undefined
}
