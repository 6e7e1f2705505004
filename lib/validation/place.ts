import { OidcError } from '../errors.js'
import { describeValue } from './describe-value.js'

/** Where a value was given, for the message of the error. */
export interface Place {
  /** The function that was given it, such as `req.oidc.login`. Left out: `openIdConnect`. */
  readonly of?: string | undefined
  /** Full path of the option or argument, such as `timeouts.provider`. */
  readonly path: string
  /** Whether the value must not be shown. */
  readonly secret?: boolean | undefined
  /** The object that has the value as a member. Functions that use `this` are called on it. */
  readonly owner?: object | undefined
  /** What options that are left out are read from. */
  readonly environment?: Environment | undefined
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Every mistake in options and arguments is the same error with a different sentence. */
export function refuse(message: string, options?: ErrorOptions): never {
  throw new OidcError('ERR_OIDC_OPTIONS', message, options)
}

/** Refuses a value: names the place, what is allowed there, and what was found. A secret's value is never in the message. */
export function refuseValue(value: unknown, expected: string, place: Place): never {
  return refuse(`${nameOf(place)} must be ${expected}, but it is ${describeValue(value, place.secret)}`)
}

/** How a message calls a place. */
export function nameOf({ of, path }: Place): string {
  const name = path === '' ? 'the options' : path
  return of === undefined ? name : `${of}: ${name}`
}

/** Runs code that reads a value made by the site: a getter or a proxy of it may throw anything. */
export function guarded<T>(place: Place, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof OidcError) throw error
    return refuse(`${nameOf(place)} cannot be read: reading it throws an error`, { cause: error })
  }
}

/** The place of a member, or of an element of a list. */
export function placeOf(parent: Place, name: string | number, owner?: object): Place {
  const { path, of, secret } = parent
  const child = typeof name === 'number' ? `${path}[${name}]` : path === '' ? name : `${path}.${name}`
  return { path: child, of, secret, owner }
}
