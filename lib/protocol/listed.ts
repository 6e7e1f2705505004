import { OidcError } from '../errors.js'
import { printable } from './printable.js'

/** Something that this site asks of the provider, and that a list of the metadata says whether it is offered. */
export interface Wish<T extends string> {
  /** In words: `response type`. */
  readonly what: string
  /** What would do, the best first. */
  readonly candidates: readonly T[]
  /** Whether the site has set an option to the one candidate. Otherwise it is a default. */
  readonly isExplicit: boolean
  /** What an operator can do where the provider really does not offer it. */
  readonly advice: string
  /** Whether a list has a candidate. Default: it is one of its values. */
  readonly isListed?: (listed: readonly string[], candidate: T) => boolean
}

/** Takes a sentence for the log. */
export type Warn = (warning: string) => void

const ignore: Warn = () => undefined

/** Values and characters of them in a message. */
const MOST_VALUES = 20
const LONGEST_VALUE = 60

/**
 * The first candidate that the provider lists. Many lists are incomplete, so that an option of the site counts for more than a list: what
 * it names is asked for all the same, and the log says so. A list that is not published is not held against anything. OpenID Connect
 * Discovery 1.0 section 3.
 *
 * @param warn - told where an option goes against the list
 * @throws {OidcError} ERR_OIDC_UNSUPPORTED where no candidate is listed, and none was chosen by an option
 */
export function chooseListed<T extends string>(
  wish: Wish<T>,
  listed: readonly string[] | undefined,
  warn: Warn = ignore,
): T {
  const { what, candidates, isExplicit, advice, isListed = (values, value) => values.includes(value) } = wish
  const [first] = candidates
  if (first === undefined) throw new TypeError(`no candidate for ${what}`)
  if (listed === undefined || listed.length === 0) return first
  const found = candidates.find(candidate => isListed(listed, candidate))
  if (found !== undefined) return found
  const names = candidates.map(quote).join(' or ')
  const offered = listed.slice(0, MOST_VALUES).map(quote).join(', ')
  if (!isExplicit) {
    throw new OidcError(
      'ERR_OIDC_UNSUPPORTED',
      `the provider does not offer the ${what} ${names}; it offers ${offered}: ${advice}`,
    )
  }
  warn(
    `the provider does not list the ${what} ${names}; it lists ${offered}. It is used anyway, because an option sets it; if the provider refuses it, ${advice}`,
  )
  return first
}

function quote(text: string): string {
  return `"${printable(text, LONGEST_VALUE)}"`
}
