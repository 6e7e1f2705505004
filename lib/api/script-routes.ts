import { checkCsrfHeader, checkSessionHandle } from '../http/csrf-header.js'
import type { RequestContext } from '../http/request-context.js'
import { setPrivateHeaders } from '../http/response.js'
import { epochSeconds } from '../options/config.js'

/** `GET` of `routes.user`, for a script of this site: who is signed in, and until when. */
export async function user(context: RequestContext): Promise<void> {
  const { config, store } = context.services
  checkRequest(context, { strict: false })
  const { id, ticket } = context.signedIn()
  checkSessionHandle(context.req, store.handleOf(id))
  const { claims, sid, scope, expiresAt, accessTokenExpiresAt } = ticket
  respond(context, {
    user: claims,
    handle: store.handleOf(id),
    ...(sid !== undefined && { sid }),
    scope,
    session: { expiresAt, expiresIn: expiresAt - epochSeconds(config), idle: config.idle },
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

function checkRequest({ req, services: { config } }: RequestContext, { strict }: { readonly strict: boolean }): void {
  checkCsrfHeader(req, { strict, baseUrl: config.baseUrl })
}

function respond({ res }: RequestContext, body: object): void {
  setPrivateHeaders(res)
  res.setHeader('Content-Type', 'application/json')
  res.end(JSON.stringify(body))
}
