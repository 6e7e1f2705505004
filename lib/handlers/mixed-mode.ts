import { setPrivateHeaders } from './answers.js'
import { checkOwnScript, checkSessionHandle } from './own-script.js'
import { epochSeconds } from './site.js'
import type { Visit } from './visit.js'

/** `GET` of `routes.user`, for a script of this site: who is signed in, and until when. */
export async function user(visit: Visit): Promise<void> {
  const { site, state } = visit.services
  checkRequest(visit, { strict: false })
  const { id, ticket } = visit.signedIn()
  checkSessionHandle(visit.req, state.handleOf(id))
  const { claims, sid, scope, expiresAt, accessTokenExpiresAt } = ticket
  answer(visit, {
    user: claims,
    handle: state.handleOf(id),
    ...(sid !== undefined && { sid }),
    scope,
    session: { expiresAt, expiresIn: expiresAt - epochSeconds(site), idle: site.idle },
    ...(accessTokenExpiresAt !== undefined && { accessTokenExpiresAt }),
  })
}

/** `GET` of `routes.token`, for a script of this site: an access token that is good, and how long it stays so. */
export async function token(visit: Visit): Promise<void> {
  const { site, state, accessTokens } = visit.services
  checkRequest(visit, { strict: true })
  const { id } = visit.signedIn()
  checkSessionHandle(visit.req, state.handleOf(id))
  const { value, type, scope, expiresAt } = await visit.whileSignedIn(id => accessTokens.get(id))
  const expiry = expiresAt !== undefined && { expiresAt, expiresIn: expiresAt - epochSeconds(site) }
  answer(visit, { accessToken: value, tokenType: type, scope, ...expiry })
}

function checkRequest({ req, services: { site } }: Visit, { strict }: { readonly strict: boolean }): void {
  checkOwnScript(req, { strict, baseUrl: site.baseUrl })
}

function answer({ res }: Visit, body: object): void {
  setPrivateHeaders(res)
  res.setHeader('Content-Type', 'application/json')
  res.end(JSON.stringify(body))
}
