import { checkCsrfHeader, checkSessionHandle } from '../http/csrf-header.js'
import { type HttpRequest, onlyParameter, queryOf } from '../http/node-http.js'
import type { RequestContext } from '../http/request-context.js'
import { setPrivateHeaders } from '../http/response.js'
import { epochSeconds } from '../options/config.js'

/** Whether a request for `routes.user` only looks, with `?slide=0`: it does not extend the session. */
export function isLook(req: HttpRequest): boolean {
  return onlyParameter(queryOf(req), 'slide') === '0'
}

/** `GET` of `routes.user`, for a script of this site: who is signed in, and until when. */
export async function user(context: RequestContext): Promise<void> {
  const { config, store } = context.services
  checkRequest(context, { strict: false })
  const { id, ticket } = context.signedIn()
  checkSessionHandle(context.req, store.handleOf(id))
  const now = epochSeconds(config)
  const { claims, sid, scope, expiresAt, accessTokenExpiresAt } = ticket
  respond(context, {
    user: claims,
    handle: store.handleOf(id),
    ...(sid !== undefined && { sid }),
    scope,
    session: { expiresAt, expiresIn: expiresAt - now, idle: config.idle, endsIn: endOf(context, expiresAt) - now },
    ...(accessTokenExpiresAt !== undefined && { accessTokenExpiresAt }),
  })
}

/** `GET` of `routes.token`, for a script of this site: an access token that is good, and how long it stays so. */
export async function token(context: RequestContext): Promise<void> {
  const { config, store, accessTokens } = context.services
  checkRequest(context, { strict: true })
  const { id } = context.signedIn()
  checkSessionHandle(context.req, store.handleOf(id))
  const { value, type, scope, expiresAt } = await context.whileSignedIn(id => accessTokens.get(id))
  const expiry = expiresAt !== undefined && { expiresAt, expiresIn: expiresAt - epochSeconds(config) }
  respond(context, { accessToken: value, tokenType: type, scope, ...expiry })
}

/** When the session ends if no request comes before, in seconds since the epoch. */
function endOf({ record, services: { config } }: RequestContext, expiresAt: number): number {
  return record === undefined ? expiresAt : Math.min(expiresAt, record.endsAt, record.extendedAt + config.idle)
}

function checkRequest({ req, services: { config } }: RequestContext, { strict }: { readonly strict: boolean }): void {
  checkCsrfHeader(req, { strict, baseUrl: config.baseUrl })
}

function respond({ res }: RequestContext, body: object): void {
  setPrivateHeaders(res)
  res.setHeader('Content-Type', 'application/json')
  res.end(JSON.stringify(body))
}
