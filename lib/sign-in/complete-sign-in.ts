import { step } from '../diagnostics/publish.js'
import { OidcError } from '../errors.js'
import { audit } from '../http/audit-request.js'
import { asExpressRequest } from '../http/node-http.js'
import { type RequestContext, revokeEnded } from '../http/request-context.js'
import { type BrowserBinding, digestOfUser, transactionLifetime } from '../http/transaction-cookie.js'
import { type ActiveTransaction, lostData } from '../http/transaction-state.js'
import { describeBrowser } from '../http/user-agent.js'
import { describeSession } from '../options/audit-entries.js'
import { atProvider, epochSeconds, publicPath } from '../options/config.js'
import type { CheckedAuthorizationResponse } from '../protocol/authorization-response.js'
import { buildClaims } from '../protocol/claims.js'
import { sessionCeiling } from '../protocol/session-expiry.js'
import { fingerprint, signedOutSince } from '../protocol/transaction.js'
import type { IdTokenClaims, TokenResponse } from '../protocol/wire.js'
import { announceSignOut, auditSignOut, clearSiteData } from '../sign-out/announce-sign-out.js'
import { type EndedSummary, isSamePerson, type Ticket, userKeyOf, withoutProofKey } from '../store/ticket.js'
import { type AuthenticationResult, authenticate, verifyFrontIdToken } from './authenticate.js'
import { buildTicket, buildTokens } from './build-ticket.js'
import { isPopup } from './popup.js'
import { fingerprintedOf } from './response-use.js'

/** Microseconds that a response takes to the browser at most. */
const ON_THE_WIRE = 60_000_000

/** A response of the provider on its way to a session. */
export interface PendingSignIn {
  readonly transaction: ActiveTransaction
  readonly response: CheckedAuthorizationResponse
  readonly binding: BrowserBinding
  /** Where to land, checked. */
  readonly returnTo: string
  /** Told whom an ID Token names that has passed every check. */
  readonly onIdentified: (claims: IdTokenClaims) => void
}

/**
 * Steps 5 to 10. Resolves with where to land. What fails here leaves everything as it was, and gives back the tokens it has got by then.
 *
 * @throws {OidcError} every code of the ID Token, the token endpoint and userinfo, ERR_OIDC_SIGN_IN_ENDED, ERR_OIDC_STORE_UNAVAILABLE
 */
export async function completeSignIn(context: RequestContext, pending: PendingSignIn): Promise<string> {
  const { services, res } = context
  const { transaction, response, returnTo, onIdentified } = pending
  if (transaction.hasData && transaction.data === undefined) throw lostData()
  const front = await verifyFrontIdToken(services, response, transaction)
  if (front !== undefined) onIdentified(front)
  if (front !== undefined && (await isSignedInAlready(context, pending, front))) return returnTo
  let received: TokenResponse | undefined
  try {
    const result = await authenticate(services, { response, transaction, front }, tokens => {
      received = tokens
    })
    onIdentified(result.idTokenClaims)
    if (front === undefined && (await isSignedInAlready(context, pending, result.idTokenClaims))) return returnTo
    // The browser has disconnected and cannot receive the cookie. If it repeats the same response, the sign-in starts again.
    if (res.closed) throw new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'the browser has closed the connection')
    return await beginSession(context, pending, result)
  } catch (error) {
    if (services.config.revokesTokens && received !== undefined) {
      services.revocations.inBackground(buildReceived(received))
    }
    throw error
  }
}

function buildReceived({ access_token: accessToken, refresh_token: refreshToken }: TokenResponse) {
  return { accessToken, scope: '', ...(refreshToken !== undefined && { refreshToken }) }
}

/**
 * Whether the same user signed in by another tab of this browser since this attempt began, and this one asks for nothing more. Then that
 * session goes on: of thirty tabs, each would otherwise end the session of the one before, which its pages are still being loaded with.
 */
async function isSignedInAlready(
  context: RequestContext,
  { transaction, binding, response }: PendingSignIn,
  idTokenClaims: IdTokenClaims,
): Promise<boolean> {
  const { store, config } = context.services
  const { clockTolerance } = config
  const { iss: issuer, sub: subject } = idTokenClaims
  const { createdAt, begunAt = createdAt, params, extraScope, hasData } = transaction
  const asksForMore =
    transaction.subject !== undefined || params !== undefined || extraScope !== undefined || hasData === true
  const isCircle = (transaction.rounds ?? 0) > 0
  const { sessionId, signedInAt = 0 } = binding
  if (asksForMore || isCircle || sessionId === undefined || signedInAt < begunAt) return false
  const ticket = (await store.load(sessionId, { extend: false }))?.ticket()
  if (ticket === undefined || !isSamePerson(ticket, { ...atProvider(config), issuer, subject })) return false
  // The provider lets the session live less long than the one that is there.
  if (sessionCeiling(idTokenClaims, { now: epochSeconds(config), clockTolerance }) < ticket.expiresAt) return false
  // The same response again gets that session, and does not wait for one that never comes.
  await store.usedResponses.finish(transaction.id, fingerprintedOf(response), sessionId, transactionLifetime)
  return true
}

/** Steps 9 and 10: what is kept, and under which id. */
async function beginSession(
  context: RequestContext,
  pending: PendingSignIn,
  result: AuthenticationResult,
): Promise<string> {
  const { req, res, services } = context
  const { config, sessionBinding, store, transactionCookie } = services
  const { transaction, response, binding } = pending
  const { idTokenClaims, userInfo } = result
  const tokens = buildTokens(config, result, transaction)
  const claims = buildClaims(idTokenClaims, userInfo, config.protocolClaims)
  const place = { returnTo: pending.returnTo, data: transaction.data, unverifiedParams: response.unverified ?? {} }
  const forHook = {
    claims,
    idTokenClaims,
    userInfo,
    tokens: withoutProofKey(tokens),
    ...place,
    ...(config.providerName !== undefined && { provider: config.providerName }),
    req: asExpressRequest(req),
  }
  const decide = async () => (await config.hooks.signIn?.(forHook)) ?? claims
  const kept = await step('claims', decide)
  const ticket = buildTicket(config, idTokenClaims, kept, tokens, {
    ...(response.session_state !== undefined && { sessionState: response.session_state }),
    requestedScope: transaction.scope,
    ...(transaction.maxAge !== undefined && { requestedMaxAge: transaction.maxAge }),
  })
  const earlier = [...sessionBinding.idsOf(req), binding.sessionId, transaction.sessionId]
  const replaced: EndedSummary[] = []
  const overlapping: string[] = []
  const tell = auditSignOut(config, 'replaced', { req })
  const metadata = config.rememberUserAgent ? describeBrowser(req) : undefined
  const signIn = {
    ticket,
    tokens,
    previous: [...new Set(earlier.filter(id => id !== undefined))],
    time: { startedAt: transaction.startedAt, grantedAt: result.grantedAt },
    ...(metadata && { metadata }),
    onWrite: (id: string) => store.browserSessions.add(binding, id),
    onCreated: async (id: string) => {
      const finished = store.usedResponses.finish(transaction.id, fingerprintedOf(response), id, transactionLifetime)
      // A sign-out that this does not see finds the session: it left its mark after this, and reads the sessions of the browser after that.
      const [isSignedOut] = await Promise.all([
        store.browserSignOuts.isSignedOutSince(binding, transaction.startedAt),
        finished,
      ])
      if (isSignedOut) throw signedOutSince()
    },
    onOverlap: (handle: string) => void overlapping.push(handle),
    onEnded: (summary: EndedSummary) => {
      if (userKeyOf(summary) === userKeyOf(ticket)) return
      replaced.push(summary)
      tell(summary)
    },
  }
  const id = await step('session', () => sessionBinding.signIn(req, res, signIn))
  audit(config, req, () => ({
    type: isStepUp(transaction, ticket) ? 'step-up' : 'sign-in',
    ...describeSession(ticket, store.handleOf(id)),
    replaces: overlapping,
  }))
  const user = digestOfUser(binding, userKeyOf(ticket))
  transactionCookie.remember(res, binding, { id, rounds: transaction.rounds ?? 0, user })
  await endLostSessions(context, pending)
  // Also where the session of the other user has expired: the browser still keeps the pages.
  if (replaced.length > 0 || (binding.user !== undefined && binding.user !== user)) clearSiteData(res, config)
  if (replaced.length > 0) {
    config.log('a sign-in has replaced the session of another user in the same browser', { level: 'info' })
    await announceSignOut(config, 'replaced', replaced)
  }
  return returnToFor(context, pending, userKeyOf(ticket))
}

/** Whether the same user was signed in when the attempt began, and it asked for another authentication. */
function isStepUp({ subject, maxAge, acrValues, freshLogin }: ActiveTransaction, ticket: Ticket): boolean {
  const asksForMore = maxAge !== undefined || acrValues !== undefined || freshLogin === true
  return asksForMore && subject === fingerprint(userKeyOf(ticket))
}

/**
 * Ends the sessions that this browser has lost to the late response of a sign-out, which removed their cookie. A response that is still on its way
 * can bring a session that is younger than this, so that one stays.
 */
async function endLostSessions(
  { req, services }: RequestContext,
  { binding, transaction }: PendingSignIn,
): Promise<void> {
  const { store, sessionBinding } = services
  // Only a browser that has signed out.
  if (binding.browser === binding.id) return
  try {
    const lost = await store.browserSessions.ofOtherBindings(binding, transaction.startedAt - ON_THE_WIRE)
    const ended = await sessionBinding.end(req, lost, 'logout')
    for (const session of ended) revokeEnded(services, session)
    const summaries = ended.map(({ summary }) => summary).filter(summary => summary !== undefined)
    summaries.forEach(auditSignOut(services.config, 'logout', { req }))
    if (summaries.length > 0) await announceSignOut(services.config, 'logout', summaries)
  } catch {
    // They end by themselves, and with the next sign-out.
  }
}

/** The page that one user asked for is no place for another, unless changing the user was what the site asked for. */
function returnToFor(
  { services: { config } }: RequestContext,
  { transaction, returnTo }: PendingSignIn,
  user: string,
): string {
  const isOther = transaction.subject !== undefined && transaction.subject !== fingerprint(user)
  const prompts = String(transaction.params?.prompt ?? '').split(' ')
  return isOther && !prompts.includes('select_account') && !isPopup(config, returnTo)
    ? publicPath(config, '/')
    : returnTo
}
