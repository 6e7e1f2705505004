import type { IncomingMessage } from 'node:http'
import { OidcError } from '../errors.js'

/**
 * The header that a script of this site sends along, with any value. Another site's script cannot without a CORS preflight, which is
 * never granted; a form, a link or an image cannot at all.
 */
export const scriptHeader = 'x-csrf'

/**
 * The header in which a script may say for which session its page was made: the value of `req.oidc.handle` at that time. The session of
 * the browser may be another user's by now.
 */
export const sessionHeader = 'x-session-handle'

/** The form field in which a page may say the same. */
export const sessionField = 'sessionHandle'

/** What a script has to send. */
export interface CsrfRules {
  /** Also refuses browsers that do not send the origin of a request. For responses that hold a token. */
  readonly strict: boolean
  /** Of this site. */
  readonly baseUrl: string
}

/**
 * Whether a script on a page of this very origin made a request: it carries our header, and says that it comes from here.
 *
 * @throws {OidcError} ERR_OIDC_FOREIGN_REQUEST
 * @see https://www.w3.org/TR/fetch-metadata/
 */
export function checkCsrfHeader({ headers }: IncomingMessage, { strict, baseUrl }: CsrfRules): void {
  if (headers[scriptHeader] === undefined) throw foreign(`the header ${scriptHeader} is missing`)
  const { origin } = headers
  if (origin !== undefined && origin !== new URL(baseUrl).origin) throw foreign('it comes from another origin')
  const site = headers['sec-fetch-site']
  if (site === undefined ? strict : site !== 'same-origin')
    throw foreign('it does not say that it comes from this origin')
  const destination = headers['sec-fetch-dest']
  if (destination === undefined ? strict : destination !== 'empty') throw foreign('it was not made by a script')
}

/**
 * Whether the session of a request is the one its page was made for, where the script says which one that was.
 *
 * @param handle - of the session of the request
 * @throws {OidcError} ERR_OIDC_SESSION_CHANGED
 */
export function checkSessionHandle({ headers }: IncomingMessage, handle: string | undefined): void {
  const expected = headers[sessionHeader]
  if (expected === undefined || expected === handle) return
  throw new OidcError('ERR_OIDC_SESSION_CHANGED', `the session is not the one that ${sessionHeader} names`)
}

/**
 * Whether the session of a request is the one its page was made for. The request has to say which one that was, in the header or in a
 * field of the form; where it says both, both count.
 *
 * @param handle - of the session of the request
 * @throws {OidcError} ERR_OIDC_SESSION_CHANGED
 */
export function requireSessionHandle(req: IncomingMessage & { body?: unknown }, handle: string): void {
  const body = typeof req.body === 'object' && req.body !== null ? req.body : {}
  const field = Object.hasOwn(body, sessionField) ? (body as Record<string, unknown>)[sessionField] : undefined
  const named = [req.headers[sessionHeader], field].filter(value => value !== undefined)
  if (named.length > 0 && named.every(value => value === handle)) return
  const message =
    named.length === 0
      ? `the request names no session: send req.oidc.handle in the form field "${sessionField}", with a body parser before this guard, or in ${sessionHeader}`
      : 'the session is not the one that the page was made for'
  throw new OidcError('ERR_OIDC_SESSION_CHANGED', message)
}

function foreign(why: string): OidcError {
  return new OidcError('ERR_OIDC_FOREIGN_REQUEST', `only a script of this site may send this request: ${why}`)
}
