import { OidcError } from '../errors.js'
import { type HttpRequest, type HttpResponse, queryTextOf } from '../http/node-http.js'
import type { RequestContext } from '../http/request-context.js'
import { longestSignIn, markSignOut } from '../http/transaction-cookie.js'
import { atProvider, type Config } from '../options/config.js'
import { issuerNamed, issuersOf } from '../options/tenants.js'
import {
  checkFrontChannelIssuer,
  type FrontChannelLogout,
  parseFrontChannelLogout,
} from '../protocol/front-channel-logout.js'
import type { SignOutReason } from '../store/end-reason.js'
import type { AtProvider } from '../store/session-index.js'
import type { EndedSummary } from '../store/ticket.js'
import { announceSignOut, auditSignOut } from './announce-sign-out.js'
import { respondToProvider } from './provider-response.js'

const reason: SignOutReason = 'front-channel'

/**
 * `GET /logout/frontchannel?iss=…&sid=…`, in a frame on the provider's page. Browsers send no cookie there, so the session is found by the
 * index. The request is not signed: it ends that session here, and sends nothing to the provider. A repeated request gets the same response.
 * OpenID Connect Front-Channel Logout 1.0 section 2.
 */
export async function logoutFrontchannel(context: RequestContext): Promise<void> {
  allowFraming(context.res, context.services.config.issuer)
  await endNamedSession(context)
  respondToProvider(context.res, 200)
}

/** By pages of the provider only, whatever the site says about its own pages. */
function allowFraming(res: HttpResponse, issuer: string): void {
  res.removeHeader('X-Frame-Options')
  res.setHeader('Content-Security-Policy', `default-src 'none'; frame-ancestors ${new URL(issuer).origin}`)
}

/**
 * A front-channel logout is loaded in a frame: never by a link, an image, a script or a style sheet. Browsers without Fetch Metadata do
 * not say what loads it.
 *
 * @throws {OidcError} ERR_OIDC_REQUEST_MALFORMED
 */
function checkFrame({ headers }: HttpRequest): void {
  const destination = headers['sec-fetch-dest']
  if (destination === undefined || destination === 'iframe' || destination === 'frame') return
  throw new OidcError('ERR_OIDC_REQUEST_MALFORMED', 'front-channel logout: the request does not come from a frame')
}

/**
 * Where the session may be known by its name: at the issuer that is named; without one, at that of the options, or of each tenant that they list.
 *
 * @throws {OidcError} ERR_OIDC_RESPONSE_ISSUER; ERR_OIDC_REQUEST_MALFORMED where many tenants have the name and the request names none
 */
function placesMeant(config: Config, request: FrontChannelLogout): readonly AtProvider[] {
  const issuer = issuerNamed(config, request.iss)
  checkFrontChannelIssuer(request, issuer)
  const issuers = request.iss === undefined ? issuersOf(config) : [issuer]
  if (issuers === undefined)
    throw new OidcError(
      'ERR_OIDC_REQUEST_MALFORMED',
      'front-channel logout: iss is missing, and the provider has many tenants',
    )
  return issuers.map(one => ({ ...atProvider(config), issuer: one }))
}

async function endNamedSession(context: RequestContext): Promise<void> {
  const { req, services } = context
  const { config, store } = services
  checkFrame(req)
  const request = parseFrontChannelLogout(queryTextOf(req))
  const places = placesMeant(config, request)
  const ended: EndedSummary[] = []
  const tell = auditSignOut(config, reason, { req })
  const onEnded = (summary: EndedSummary) => {
    ended.push(summary)
    tell(summary)
  }
  for (const place of places) for (const sid of request.sids) await store.endAll({ ...place, sid }, { onEnded, reason })
  if (request.sids.length === 0) for (const session of await endNamelessSession(context, req)) onEnded(session)
  if (ended.length > 0) await endWhatIsUnderWay(context, places, request.sids, onEnded)
  await announceSignOut(config, reason, ended)
}

/**
 * Sign-ins of the same session at the provider, and of this browser where its cookie comes along. A name that leads to no session leaves
 * nothing in the store, because this request is not signed.
 */
async function endWhatIsUnderWay(
  { req, res, services }: RequestContext,
  places: readonly AtProvider[],
  sids: readonly string[],
  onEnded: (summary: EndedSummary) => void,
): Promise<void> {
  const { store, transactionCookie } = services
  const remembered = { logout: {}, remember: longestSignIn, onEnded, reason }
  for (const place of places) for (const sid of sids) await store.endAll({ ...place, sid }, remembered)
  const markedAt = await markSignOut(req, res, services)
  transactionCookie.signOut(req, res, { markedAt })
}

/**
 * A provider that gives sessions no name can mean that of the browser only, and reaches it only where both are of one site. A session
 * that has a name does not end without it.
 */
async function endNamelessSession(
  { services: { sessionBinding, store, config } }: RequestContext,
  req: HttpRequest,
): Promise<readonly EndedSummary[]> {
  const id = sessionBinding.idOf(req)
  const ticket = id === undefined ? undefined : (await store.load(id, { extend: false }))?.ticket()
  if (id === undefined || ticket === undefined || ticket.provider !== config.providerName) return []
  if (ticket.sid !== undefined) {
    throw new OidcError('ERR_OIDC_REQUEST_MALFORMED', 'front-channel logout: iss and sid are missing')
  }
  return (await store.end(id, reason)) ? [{ ...ticket, handle: store.handleOf(id) }] : []
}
