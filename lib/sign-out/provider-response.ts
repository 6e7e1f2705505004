import { OidcError } from '../errors.js'
import { type HttpResponse, pathOf } from '../http/node-http.js'
import type { RequestContext } from '../http/request-context.js'

/** Seconds until the provider may send the same again, when a service of ours or the provider's keys were away. */
const retryAfter = 5

/**
 * Responds to the provider, which only reads the status. It does not use the error handler of the site, which is made for users and may
 * make a page, or a success, of it.
 */
export function respondToProvider(res: HttpResponse, status: number, body?: object): void {
  res.statusCode = status
  res.setHeader('Cache-Control', 'no-store')
  res.setHeader('X-Content-Type-Options', 'nosniff')
  if (status === 503) res.setHeader('Retry-After', String(retryAfter))
  if (body !== undefined) res.setHeader('Content-Type', 'application/json')
  res.end(body && JSON.stringify(body))
}

/**
 * A request that has to be refused, or could not be done: 400 where it is the request's fault (401, 405 and 413 where they say more), 5xx
 * where it is ours, so that the provider tries again. OpenID Connect Back-Channel Logout 1.0 section 2.8.
 */
export function refuseProvider(
  { req, res, services: { rareLog } }: RequestContext,
  error: unknown,
  as?: { readonly status: number; readonly body: object },
): void {
  if (!(error instanceof OidcError)) throw error
  if (error.headers.Allow !== undefined) res.setHeader('Allow', error.headers.Allow)
  rareLog(`${error.code} ${req.method} ${pathOf(req)}`, `${error.code} ${req.method} ${pathOf(req)}: ${error.message}`)
  const body = { error: error.status >= 500 ? 'server_error' : 'invalid_request', error_description: error.code }
  respondToProvider(res, as?.status ?? statusFor(error), as?.body ?? body)
}

/** What the provider's own trouble makes impossible now may work later; a mistake in the options will not. */
function statusFor({ status }: OidcError): number {
  if ([401, 405, 413, 500].includes(status)) return status
  return status > 500 ? 503 : 400
}
