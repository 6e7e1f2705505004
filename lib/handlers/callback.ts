import { identifyAttempt, observeCallback, publish, step } from '../diagnostics/publish.js'
import { showFields } from '../diagnostics/values.js'
import { OidcError } from '../errors.js'
import { type AuthorizationResponse, parseAuthorizationResponse } from '../protocol/authorization-response.js'
import { buildClaims } from '../protocol/claims.js'
import { checkTransaction, type Transaction } from '../protocol/transaction.js'
import { redirect } from './answers.js'
import { type Evidence, gatherEvidence } from './evidence.js'
import { type FormField, readFormFields } from './form-body.js'
import { landingOf } from './landing.js'
import { startLogin } from './login.js'
import { describeBrowser } from './session-note.js'
import { epochSeconds, redirectUri, type Services } from './site.js'
import { buildTicket, buildTokens } from './ticket.js'
import { type Attempt, isFinished, transactionLifetime } from './transaction-cookie.js'
import type { Visit } from './visit.js'

/** The provider's answer. Steps are numbered as in docs/architecture.md; a failure before step 10 leaves everything as it was. */
export function callback(visit: Visit): Promise<void> {
  return observeCallback(visit.services.site.baseUrl, () => answer(visit))
}

async function answer(visit: Visit): Promise<void> {
  const { services, res } = visit
  const response = await step('parse', () => readResponse(visit)) // 1
  const attempt = step('attempt', () => findAttempt(visit, response.state)) // 2
  // Checked again when used, although the cookie was sealed: the rules may have changed since.
  const landing = landingOf(services.site, attempt.returnTo)
  try {
    if (!isFinished(attempt)) {
      if (step('binding', () => isLate(services, attempt, response.state))) return await restart(visit, attempt)
      await finish(visit, attempt, response) // 3 to 10
    }
    redirect(res, landing) // 11
  } catch (error) {
    if (error instanceof OidcError) error.returnTo = landing
    throw error
  }
}

function restart(visit: Visit, { returnTo, scope, continues }: Transaction): Promise<void> {
  const options = { returnTo, ...(scope !== undefined && { scope }) }
  return startLogin(visit, options, { restarts: 1, ...(continues !== undefined && { continues }) })
}

/** An answer that comes again finds its state used, and nothing left to do. */
async function finish(visit: Visit, attempt: Transaction, response: AuthorizationResponse): Promise<void> {
  const { services } = visit
  const isFirst = await step('once', () => services.state.once('state', attempt.state, transactionLifetime)) // 3
  if (!isFirst) return
  const evidence = await gatherEvidence(services, response, attempt) // 4 to 8
  // Nobody is there any more to take the cookie: the session would belong to nobody.
  if (visit.res.closed) return
  await signIn(visit, attempt, response, evidence) // 9, 10
}

async function readResponse(visit: Visit): Promise<AuthorizationResponse> {
  const fields = await readFields(visit)
  const response = parseAuthorizationResponse(fields)
  identifyAttempt(response.state)
  publish(() => ({
    type: 'answer-received',
    method: visit.req.method === 'POST' ? 'POST' : 'GET',
    path: visit.req.path,
    fields: { ...showFields(fields), ...(response.kind === 'error' && response.providerError) },
  }))
  return response
}

function readFields({ req, services: { site } }: Visit): Promise<FormField[]> | FormField[] {
  if (site.responseMode === 'form_post') return readFormFields(req)
  return [...new URLSearchParams(req.originalUrl.replace(/^[^?]*/, ''))]
}

/** The attempt of this browser that the answer belongs to. */
function findAttempt({ req, services }: Visit, state: string): Attempt {
  const attempt = services.transactions.find(req, state)
  if (attempt !== undefined) return attempt
  throw new OidcError('ERR_OIDC_TRANSACTION_MISSING', 'no cookie of this browser belongs to the state of this answer')
}

/** An answer that took too long starts the sign-in anew, once; a second time it is an error, as everything else that does not fit is. */
function isLate({ site }: Services, attempt: Transaction, state: string): boolean {
  const { issuer, clientId, responseType, responseMode } = site
  const binding = { state, issuer, clientId, redirectUri: redirectUri(site), responseType, responseMode }
  try {
    checkTransaction(attempt, { ...binding, now: epochSeconds(site), lifetime: transactionLifetime })
    return false
  } catch (error) {
    const isExpired = error instanceof OidcError && error.code === 'ERR_OIDC_TRANSACTION_EXPIRED'
    if (isExpired && attempt.restarts === undefined) return true
    throw error
  }
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
  const tokens = buildTokens(site, evidence, attempt)
  const claims = buildClaims(idTokenClaims, userInfo, site.protocolClaims)
  const decide = async () => (await site.hooks.signIn?.({ claims, idTokenClaims, userInfo, tokens, req })) ?? claims
  const kept = await step('claims', decide)
  const sessionState = response.kind === 'success' ? response.session_state : undefined
  const ticket = buildTicket(site, idTokenClaims, kept, tokens, { sessionState, requestedScope: attempt.scope })
  const earlier = [host.idOf(req), ...transactions.recentSessions(req), attempt.sessionId]
  const previous = [...new Set(earlier.filter(id => id !== undefined))]
  const moment = { startedAt: attempt.startedAt ?? 0, grantedAt: evidence.grantedAt }
  const note = site.rememberUserAgent ? describeBrowser(req) : undefined
  // Whoever comes back from a trip for more scope goes on where they were, unless somebody else has come back.
  const continues = attempt.continues === idTokenClaims.sub
  const kind = { ticket, tokens, previous, moment, continues, ...(note && { note }) }
  const id = await step('session', () => host.signIn(req, res, kind))
  transactions.finish(res, attempt, id)
}
