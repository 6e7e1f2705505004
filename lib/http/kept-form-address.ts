import type { UnsentFormPageContent } from '../options/pages.js'
import { isRecord } from '../protocol/json.js'
import { type HttpRequest, onlyParameter, queryOf } from './node-http.js'

/** In the address that a kept form is sent to: which one it is. */
const PARAMETER = 'oidc_form'

/** Where a kept form is sent, in place of `address`. */
export function addressToSendTo(address: string, handle: string): string {
  return `${address}${address.includes('?') ? '&' : '?'}${PARAMETER}=${handle}`
}

/** Which kept form a request says that it is. `undefined`: it says nothing, so that it is none. */
export function namedForm(req: Pick<HttpRequest, 'url'>): string | undefined {
  const query = queryOf(req)
  return query.has(PARAMETER) ? (onlyParameter(query, PARAMETER) ?? '') : undefined
}

/** The address that a form was made for: without what {@link addressToSendTo} has added. */
export function withoutForm(address: string): string {
  const [path = '', ...rest] = address.split('?')
  const parts = rest.join('?').split('&')
  const others = parts.filter(part => !part.startsWith(`${PARAMETER}=`))
  if (others.length === parts.length) return address
  return others.length === 0 ? path : `${path}?${others.join('&')}`
}

/** What the site sees of the request from now on is the form as the user had sent it. */
export function hideForm(req: HttpRequest & { query?: Record<string, unknown> }): void {
  req.url = withoutForm(req.url)
  if (req.originalUrl !== undefined) req.originalUrl = withoutForm(req.originalUrl)
  // Express 4 has parsed it already.
  if (Object.hasOwn(req, 'query')) delete req.query?.[PARAMETER]
}

/** What became of a form that could not be kept, and the page that it was on. */
export interface Unsent {
  readonly reason: Exclude<UnsentFormPageContent['reason'], 'gone'>
  readonly page: string
}

const REASONS: readonly unknown[] = ['size', 'files', 'lost'] satisfies readonly Unsent['reason'][]

export function parseUnsent(json: Buffer | undefined): Unsent | undefined {
  const value: unknown = json && JSON.parse(json.toString())
  return isRecord(value) && REASONS.includes(value.reason) && typeof value.page === 'string'
    ? (value as unknown as Unsent)
    : undefined
}
