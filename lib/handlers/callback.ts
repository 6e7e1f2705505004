import { OidcError } from '../errors.js'
import { type AuthorizationResponse, parseAuthorizationResponse } from '../protocol/authorization-response.js'
import { buildClaims } from '../protocol/claims.js'
import { parseReturnTo } from '../protocol/return-to.js'
import { checkTransaction, type Transaction } from '../protocol/transaction.js'
import { redirect } from './answers.js'
import { type Evidence, gatherEvidence } from './evidence.js'
import { type FormField, readFormFields } from './form-body.js'
import { startLogin } from './login.js'
import { epochSeconds, publicPath, redirectUri } from './site.js'
import { buildTicket, buildTokens } from './ticket.js'
import { isFinished, transactionLifetime } from './transaction-cookie.js'
import type { Visit } from './visit.js'

/** The provider's answer. Steps are numbered as in docs/architecture.md; a failure before step 10 leaves everything as it was. */
export async function callback(visit: Visit): Promise<void> {
  const { services } = visit
  const response = parseAuthorizationResponse(await readFields(visit)) // 1
  const attempt = findAttempt(visit, response.state) // 2
  if (typeof attempt === 'string') return redirect(visit.res, attempt)
  if (await isLate(visit, attempt, response.state)) return
  if (!(await services.state.once('state', attempt.state, transactionLifetime)))
    return redirect(visit.res, landing(visit, attempt)) // 3
  try {
    const evidence = await gatherEvidence(services, response, attempt) // 4 to 8
    await signIn(visit, attempt, response, evidence) // 9, 10
  } catch (error) {
    if (error instanceof OidcError) error.returnTo = landing(visit, attempt)
    throw error
  }
  redirect(visit.res, landing(visit, attempt)) // 11
}

function readFields({ req, services: { site } }: Visit): Promise<FormField[]> | FormField[] {
  const method = site.responseMode === 'form_post' ? 'POST' : 'GET'
  if (req.method !== method) {
    throw new OidcError('ERR_OIDC_REQUEST_METHOD', `the provider answers by ${method}`, { cause: { allow: method } })
  }
  if (method === 'POST') return readFormFields(req)
  return [...new URLSearchParams(req.originalUrl.split('?', 2)[1])]
}

/** The attempt this answer belongs to, or, for a reload of a finished one, the page it ended at. */
function findAttempt({ req, services }: Visit, state: string): Transaction | string {
  const { site, transactions } = services
  const attempt = transactions.find(req, state)
  if (attempt === undefined) {
    throw new OidcError('ERR_OIDC_TRANSACTION_MISSING', 'no cookie of this browser belongs to the state of this answer')
  }
  if (isFinished(attempt)) return parseReturnTo(attempt.returnTo, site.baseUrl) ?? publicPath(site, '/')
  return attempt
}

/** An answer that took too long starts the sign-in anew, once; a second time it is an error. */
async function isLate(visit: Visit, attempt: Transaction, state: string): Promise<boolean> {
  const { site } = visit.services
  try {
    const { issuer, clientId, responseType, responseMode } = site
    const binding = { state, issuer, clientId, redirectUri: redirectUri(site), responseType, responseMode }
    checkTransaction(attempt, { ...binding, now: epochSeconds(site), lifetime: transactionLifetime })
    return false
  } catch (error) {
    const { returnTo, restarts = 0 } = attempt
    if (!(error instanceof OidcError && error.code === 'ERR_OIDC_TRANSACTION_EXPIRED') || restarts > 0) throw error
    await startLogin(visit, { returnTo }, restarts + 1)
    return true
  }
}

/** Re-checked when used, although the cookie was sealed: the rules may have changed since. */
function landing({ services: { site } }: Visit, { returnTo }: Transaction): string {
  return parseReturnTo(returnTo, site.baseUrl) ?? publicPath(site, '/')
}

/** Steps 9 and 10: what is kept, and under which id. */
async function signIn(
  visit: Visit,
  attempt: Transaction,
  response: AuthorizationResponse,
  evidence: Evidence,
): Promise<void> {
  const { req, res, services } = visit
  const { site, host, transactions } = services
  const { idTokenClaims, userInfo } = evidence
  const tokens = buildTokens(site, evidence)
  const claims = buildClaims(idTokenClaims, userInfo, site.protocolClaims)
  const kept = (await site.hooks.signIn?.({ claims, idTokenClaims, userInfo, tokens, req })) ?? claims
  const sessionState = response.kind === 'success' ? response.session_state : undefined
  const ticket = buildTicket(site, idTokenClaims, kept, tokens, sessionState)
  const earlier = [host.idOf(req), ...transactions.recentSessions(req), attempt.sessionId]
  const previous = [...new Set(earlier.filter(id => id !== undefined))]
  const id = await host.signIn(req, res, { ticket, tokens, previous })
  transactions.finish(res, attempt, id)
}
