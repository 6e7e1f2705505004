import { OidcError } from '../errors.js'

/** Which spellings of a path are forwarded. */
export interface PathRules {
  /** Path of the proxy: what is in front of the path to the API. */
  readonly prefix: string
  /** Path of the target, without a slash at its end. */
  readonly base: string
  /** Whether `%2F` may stand for a slash that does not part two segments. */
  readonly encodedSlashes: boolean
}

/** RFC 3986 section 3.3, without `;`, and with the characters that browsers leave as they are. */
const SEGMENTS = /^(?:\/(?:[\w\-.~!$&'()*+,=:@|[\]^]|%[\da-f]{2})*)*$/i

/** RFC 3986 section 3.4, and the characters that browsers leave as they are. */
const QUERY = /^[\x21\x22\x24-\x7e]*$/

/** Encodings of unreserved characters, which are needless, and double encodings. */
const NEEDLESS = /%(?:2d|2e|3[0-9]|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9ae])/i
const TWICE = /%25[\da-f]{2}/i
const ENCODED_SLASH = /%2f/i
/** Controls and the backslash. */
const NEVER = /%(?:[01][\da-f]|7f|5c)/i

/**
 * The path and query for the API: what follows the path of the proxy, below the target, byte for byte. Servers do not agree on dots,
 * empty segments, backslashes, parameters, needless and double encodings; a site that guards a part of the path would then guard another
 * path than the API serves. A path that can be read in two ways is therefore refused. RFC 3986 section 6.2.2.
 *
 * @throws {OidcError} ERR_OIDC_API_REQUEST
 */
export function pathForApi(target: string, { prefix, base, encodedSlashes }: PathRules): string {
  const mark = target.indexOf('?')
  const path = mark === -1 ? target : target.slice(0, mark)
  const query = mark === -1 ? '' : target.slice(mark + 1)
  const rest = path.slice(prefix.length)
  if (!path.startsWith(prefix) || !SEGMENTS.test(rest)) throw ambiguous('a character that is not allowed in a path')
  if (!QUERY.test(query)) throw ambiguous('a character that is not allowed in a query')
  if (NEVER.test(rest)) throw ambiguous('an encoded control character or backslash')
  if (NEEDLESS.test(rest) || TWICE.test(rest)) throw ambiguous('a needless or double encoding')
  if (!encodedSlashes && ENCODED_SLASH.test(rest)) throw ambiguous('an encoded slash (see the option encodedSlashes)')
  checkSegments(rest)
  return `${base + rest || '/'}${mark === -1 ? '' : `?${query}`}`
}

/** A target that is no path at all: `http://host/path`, `*`. */
export function checkTargetForm(target: string): void {
  if (!target.startsWith('/')) throw ambiguous('a form other than a path')
  if (target.includes('#')) throw ambiguous('a fragment')
}

function checkSegments(path: string): void {
  let text: string
  try {
    // Also what some servers make of other characters: a full-width dot is a dot to them.
    text = decodeURIComponent(path).normalize('NFKC')
  } catch {
    throw ambiguous('an encoding that is not UTF-8')
  }
  const [, ...segments] = text.split(/[/\\]/)
  segments.forEach((segment, index) => {
    const isLast = index === segments.length - 1
    if (segment === '' && !isLast) throw ambiguous('an empty segment')
    if (/^\s*\.+\s*(?:;|$)/.test(segment)) throw ambiguous('a dot segment')
  })
}

function ambiguous(what: string): OidcError {
  return new OidcError('ERR_OIDC_API_REQUEST', `the address of the request has ${what}`)
}
