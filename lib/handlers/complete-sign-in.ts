import { step } from '../diagnostics/publish.js'
import { OidcError } from '../errors.js'
import type { CheckedAuthorizationResponse } from '../protocol/authorization-response.js'
import { buildClaims } from '../protocol/claims.js'
import { fingerprint, signedOutSince } from '../protocol/transaction.js'
import type { TokenResponse } from '../protocol/wire.js'
import type { SessionSummary } from '../state/ticket.js'
import { answerOf } from './answer-use.js'
import { type Evidence, gatherEvidence, verifyFrontIdToken } from './evidence.js'
import { describeBrowser } from './session-note.js'
import { announceSignOut, clearSiteData } from './sign-out.js'
import { publicPath } from './site.js'
import { buildTicket, buildTokens } from './ticket.js'
import { type BrowserBinding, transactionLifetime } from './transaction-cookie.js'
import type { ActiveTransaction } from './transaction-state.js'
import type { Visit } from './visit.js'

/** A response of the provider on its way to a session. */
export interface Arrival {
  readonly attempt: ActiveTransaction
  readonly response: CheckedAuthorizationResponse
  readonly binding: BrowserBinding
  /** Where to land, checked. */
  readonly landing: string
}

/**
 * Steps 5 to 10. Resolves with where to land. What fails here leaves everything as it was, and gives back the tokens it has got by then.
 *
 * @throws {OidcError} every code of the ID Token, the token endpoint and userinfo, ERR_OIDC_SIGN_IN_ENDED, ERR_OIDC_STORE_UNAVAILABLE
 */
export async function completeSignIn(visit: Visit, arrival: Arrival): Promise<string> {
  const { services, res } = visit
  const { attempt, response, landing } = arrival
  const front = await verifyFrontIdToken(services, response, attempt)
  if (front !== undefined && (await isSignedInAlready(visit, arrival, front.sub))) return landing
  let received: TokenResponse | undefined
  try {
    const evidence = await gatherEvidence(services, { response, attempt, front }, tokens => {
      received = tokens
    })
    if (front === undefined && (await isSignedInAlready(visit, arrival, evidence.idTokenClaims.sub))) return landing
    // The browser has gone: nothing would take the cookie. If it comes back with the same answer, it signs in anew.
    if (res.closed) throw new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'the browser has closed the connection')
    return await beginSession(visit, arrival, evidence)
  } catch (error) {
    if (services.site.revokesTokens && received !== undefined) {
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
  visit: Visit,
  { attempt, binding, response }: Arrival,
  subject: string,
): Promise<boolean> {
  const { state, site } = visit.services
  const { createdAt, begunAt = createdAt, params, extraScope } = attempt
  const asksForMore = attempt.subject !== undefined || params !== undefined || extraScope !== undefined
  const isCircle = (attempt.rounds ?? 0) > 0
  const { sessionId, signedInAt = 0 } = binding
  if (asksForMore || isCircle || sessionId === undefined || signedInAt < begunAt) return false
  const ticket = (await state.load(sessionId, { extend: false }))?.ticket()
  if (ticket === undefined || ticket.subject !== subject || ticket.issuer !== site.issuer) return false
  // The same response again gets that session, and does not wait for one that never comes.
  await state.answers.finish(attempt.id, answerOf(response), sessionId, transactionLifetime)
  return true
}

/** Steps 9 and 10: what is kept, and under which id. */
async function beginSession(visit: Visit, arrival: Arrival, evidence: Evidence): Promise<string> {
  const { req, res, services } = visit
  const { site, host, state, transactionCookie } = services
  const { attempt, response, binding } = arrival
  const { idTokenClaims, userInfo } = evidence
  const tokens = buildTokens(site, evidence, attempt)
  const claims = buildClaims(idTokenClaims, userInfo, site.protocolClaims)
  const decide = async () => (await site.hooks.signIn?.({ claims, idTokenClaims, userInfo, tokens, req })) ?? claims
  const kept = await step('claims', decide)
  const ticket = buildTicket(site, idTokenClaims, kept, tokens, {
    ...(response.session_state !== undefined && { sessionState: response.session_state }),
    requestedScope: attempt.scope,
    ...(attempt.maxAge !== undefined && { requestedMaxAge: attempt.maxAge }),
  })
  const earlier = [...host.idsOf(req), binding.sessionId, attempt.sessionId]
  const replaced: SessionSummary[] = []
  const note = site.rememberUserAgent ? describeBrowser(req) : undefined
  const signIn = {
    ticket,
    tokens,
    previous: [...new Set(earlier.filter(id => id !== undefined))],
    moment: { startedAt: attempt.startedAt, grantedAt: evidence.grantedAt },
    ...(note && { note }),
    onCreated: async (id: string) => {
      await Promise.all([
        state.answers.finish(attempt.id, answerOf(response), id, transactionLifetime),
        state.browserSessions.add(binding.id, id),
      ])
      // The last thing: a sign-out that this does not see finds the session.
      if (await state.browserSignOuts.isSignedOutSince(binding.id, attempt.startedAt)) throw signedOutSince()
    },
    onEnded: (summary: SessionSummary) => {
      if (summary.subject !== ticket.subject) replaced.push(summary)
    },
  }
  const id = await step('session', () => host.signIn(req, res, signIn))
  transactionCookie.remember(res, binding, { id, rounds: attempt.rounds ?? 0 })
  if (replaced.length > 0) {
    clearSiteData(res, site)
    site.log('a sign-in has taken the place of the session of another user in the same browser')
    await announceSignOut(site, 'replaced', replaced)
  }
  return landingFor(visit, arrival, ticket.subject)
}

/** The page that one user asked for is no place for another, unless changing the user was what the site asked for. */
function landingFor({ services: { site } }: Visit, { attempt, landing }: Arrival, subject: string): string {
  const isOther = attempt.subject !== undefined && attempt.subject !== fingerprint(subject)
  const prompts = String(attempt.params?.prompt ?? '').split(' ')
  return isOther && !prompts.includes('select_account') ? publicPath(site, '/') : landing
}
