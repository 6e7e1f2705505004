import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { scriptHeader, sessionHeader } from '../http/csrf-header.js'

/** What a response has to say about being stored. */
export interface CachingHeaders {
  readonly 'cache-control': string
  readonly vary: string
}

/** A directive of `Cache-Control`, with its value. RFC 9111 section 5.2. */
const DIRECTIVE = /^([!#$%&'*+\-.^_`|~\w]+)(?:=([!#$%&'*+\-.^_`|~\w]+|"(?:[^"\\]|\\.)*"))?$/

/** Directives that are for shared caches, or say that there may be one. */
const SHARED = ['public', 's-maxage', 'private', 'proxy-revalidate']

/** Fields for caches between the browser and this site, or a lifetime that is told without saying whose cache is meant. */
const FOR_OTHER_CACHES =
  /^(?:expires|age|surrogate-.*|edge-.*|.*-?cdn-cache-control|cache-tags?|x-cache-tags?|cache-status)$/

export function isForOtherCaches(name: string): boolean {
  return FOR_OTHER_CACHES.test(name)
}

/**
 * What was fetched with a user's token is for this user's browser at most: `private` in front of what the API allows, `no-store` where it
 * allows nothing or is not understood. The response differs by cookie; and by our own fields, so that a page navigation, which does
 * not send them, does not get what a script fetched. RFC 9111 sections 3.5, 4.1 and 5.2.2.7.
 *
 * @param site - headers of the response so far
 */
export function cachingHeaders(
  { 'cache-control': control, vary = '' }: IncomingHttpHeaders,
  site: OutgoingHttpHeaders,
): CachingHeaders {
  // A response that sets one of our cookies, or that has a Cache-Control header of the site, must not be cached.
  const isStored = site['cache-control'] !== 'no-store' && site['set-cookie'] === undefined
  return {
    'cache-control': isStored ? privateControl(control) : 'no-store',
    vary: mergeVary(`${site.vary ?? ''},${vary}`),
  }
}

function privateControl(control: string | undefined): string {
  if (control === undefined) return 'no-store'
  const directives = splitList(control)
  const kept: string[] = []
  for (const directive of directives) {
    const [, name = '', value] = DIRECTIVE.exec(directive) ?? []
    const lower = name.toLowerCase()
    // With a list of fields, `no-cache` is about these only, and some caches read it as if there were none.
    if (lower === '' || lower === 'no-store') return 'no-store'
    if (SHARED.includes(lower)) continue
    kept.push(value === undefined || lower === 'no-cache' ? lower : `${lower}=${value}`)
  }
  return directives.length === 0 ? 'no-store' : ['private', ...kept].join(', ')
}

/** Commas in quoted strings part nothing. */
function splitList(list: string): string[] {
  const parts = list.match(/(?:[^,"]|"(?:[^"\\]|\\.)*"|")+/g) ?? []
  return parts.map(part => part.trim()).filter(part => part !== '')
}

function mergeVary(vary: string): string {
  const named = splitList(vary)
  if (named.includes('*')) return '*'
  const byName = new Map([...named, 'Cookie', scriptHeader, sessionHeader].map(name => [name.toLowerCase(), name]))
  return [...byName.values()].join(', ')
}
