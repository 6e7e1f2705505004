import { printable } from '../protocol/printable.js'
import type { BrowserResponse } from './browser-request.js'

/** A response that was made for a browser. */
export interface PageResponse {
  readonly status: number
  /** Where it sends the browser, if it does. */
  readonly location: URL | undefined
  /** Origin and path of that, by which two responses are compared. */
  readonly path: string | undefined
  /** The beginning of what a user would read, printable characters only. */
  readonly text: string
  /** Whether the address or the page speaks of an error. */
  readonly looksLikeError: boolean
  readonly html: string
  readonly cookies: readonly string[]
}

/** Characters of a page that are shown. */
const LONGEST_EXCERPT = 160

/** What a response says to a browser at `url`. */
export function readPage({ status, location: target, cookies, html }: BrowserResponse, url: string): PageResponse {
  const location = target !== undefined && URL.canParse(target, url) ? new URL(target, url) : undefined
  const text = textOf(html)
  return {
    status,
    location,
    path: location && location.origin + location.pathname,
    text,
    looksLikeError: location === undefined ? /\berror\b|invalid_|mismatch/i.test(text) : /error/i.test(location.href),
    html,
    cookies,
  }
}

/**
 * The authorization response that a page sends to `redirectUri`, whichever response mode it takes: query, fragment or form_post. OAuth 2.0
 * Multiple Response Type Encoding Practices and Form Post Response Mode 1.0. `undefined`: the page is something else.
 */
export function readAuthorizationResponse(
  { location, html }: Pick<PageResponse, 'location' | 'html'>,
  redirectUri: string,
): ReadonlyMap<string, string> | undefined {
  if (location !== undefined) {
    const { search, hash, href } = location
    if (!href.startsWith(redirectUri) || href.slice(redirectUri.length).search(/[?#]/) > 0) return undefined
    const entries = [...new URLSearchParams(search), ...new URLSearchParams(hash.slice(1))]
    return readable(entries)
  }
  const form = /<form\b[^>]*>/i.exec(html)
  if (form === null || attribute(form[0], 'action') !== redirectUri) return undefined
  const inputs = html.match(/<input\b[^>]*>/gi) ?? []
  return readable(inputs.map(input => [attribute(input, 'name') ?? '', attribute(input, 'value') ?? '']))
}

function readable(entries: readonly (readonly string[])[]): ReadonlyMap<string, string> {
  // A signed response (JARM) is needed as a whole.
  const isJwt = (name: string, value: string) => name === 'response' && /^[\w.-]+$/.test(value)
  return new Map(entries.map(([name = '', value = '']) => [name, isJwt(name, value) ? value : printable(value)]))
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
  '&#x27;': "'",
  '&#x2F;': '/',
  '&#x3A;': ':',
}

function attribute(tag: string, name: string): string | undefined {
  const [, double, single, bare] =
    new RegExp(`\\s${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)'|([^\\s>]+))`, 'i').exec(tag) ?? []
  const value = double ?? single ?? bare
  return value?.replace(/&[#\w]+;/g, entity => ENTITIES[entity] ?? entity)
}

/** What a user would read: no markup, no scripts, no styles. */
function textOf(html: string): string {
  const text = html
    .replace(/<(script|style|head)\b[\s\S]*?<\/\1\s*>/gi, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
  return printable(text, LONGEST_EXCERPT)
}
