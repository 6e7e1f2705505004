import { isLoopback, isSecureUrl } from '../protocol/url.js'
import { nameOf, type Place, refuse, refuseValue } from './place.js'
import type { Rule } from './rules.js'

/** Parsers take white space and backslashes out of a URL or turn them round, so that what is compared is not what was given. */
function hasOddCharacters(text: string): boolean {
  return /[\s\\\p{Cc}]/u.test(text)
}

const EXPECTED = 'an absolute URL such as "https://example.com"'

/**
 * A URL to which secrets may travel: https, or http on a loopback host. No credentials and no fragment.
 *
 * @param mayHaveQuery - whether a query is allowed
 */
export function secureUrl({ mayHaveQuery = false } = {}): Rule<URL> {
  return {
    expected: EXPECTED,
    read(value, place) {
      if (typeof value !== 'string' || value === '') return refuseValue(value, EXPECTED, place)
      if (hasOddCharacters(value)) return refuse(`${nameOf(place)} must not contain spaces, line breaks or backslashes`)
      if (!/^[a-z][a-z\d+.-]*:\/\//i.test(value) || !URL.canParse(value)) return refuseValue(value, EXPECTED, place)
      const url = new URL(value)
      checkParts(url, value, { mayHaveQuery, place })
      return url
    },
  }
}

function checkParts(
  url: URL,
  text: string,
  { mayHaveQuery, place }: { readonly mayHaveQuery: boolean; readonly place: Place },
): void {
  if (url.username !== '' || url.password !== '') refuse(`${nameOf(place)} must not have credentials (user:password@)`)
  if (text.includes('#') || (!mayHaveQuery && text.includes('?')))
    refuse(`${nameOf(place)} must not have ${mayHaveQuery ? 'a fragment' : 'a query or a fragment'}`)
  if (isSecureUrl(url)) return
  const reason = 'browsers keep no secure cookie on plain http elsewhere'
  if (url.protocol === 'http:' && !isLoopback(url))
    refuse(`${nameOf(place)} must start with https:// (http:// works for localhost only: ${reason})`)
  refuseValue(text, `an https:// URL (http:// for localhost only: ${reason})`, place)
}

/** The same, kept byte for byte. */
export function secureUrlText(options: { readonly mayHaveQuery?: boolean } = {}): Rule<string> {
  const url = secureUrl(options)
  return {
    expected: url.expected,
    read(value, place) {
      url.read(value, place)
      return String(value)
    },
  }
}
