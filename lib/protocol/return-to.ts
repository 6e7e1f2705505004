/** Characters. Longer values come from attackers or mistakes. */
const MAX_LENGTH = 2048

/**
 * Control characters, which browsers delete (`/<tab>/evil.example` is `//evil.example` to them), line separators, and the
 * backslash, which browsers read as a slash.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\\]/

/**
 * Reads where to go after sign-in or sign-out: a place on this site, given as a path or as a whole URL. RFC 9700 section 4.11.
 *
 * The result is made from the URL as a browser parses it, never from the text that came in: path, query and fragment, ready
 * for a `Location` header. It must not be decoded again. Parsing it a second time changes nothing.
 *
 * @param baseUrl - of this site; decides which origin is ours
 * @returns `undefined` for everything that is not clearly a place on this site
 */
export function parseReturnTo(input: unknown, baseUrl: string): string | undefined {
  if (typeof input !== 'string' || input === '' || input.length > MAX_LENGTH) return undefined
  if (FORBIDDEN.test(input)) return undefined
  const url = parse(input, baseUrl)
  if (url === undefined || url.origin !== originOf(baseUrl)) return undefined
  const path = url.pathname + url.search + url.hash
  return isLocalPath(path) && path.length <= MAX_LENGTH ? path : undefined
}

function parse(input: string, baseUrl: string): URL | undefined {
  try {
    return new URL(input, baseUrl)
  } catch {
    return undefined
  }
}

/** The address that was asked for last, and its origin: a site has one, or few. */
let known: { readonly baseUrl: string; readonly origin: string } | undefined

function originOf(baseUrl: string): string {
  if (known?.baseUrl !== baseUrl) known = { baseUrl, origin: new URL(baseUrl).origin }
  return known.origin
}

/** `/.//evil.example` is of our origin, but its parsed path, `//evil.example`, would not be; a `blob:` URL has no path at all. */
function isLocalPath(path: string): boolean {
  return path.startsWith('/') && !path.startsWith('//')
}
