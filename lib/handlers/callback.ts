import { identifyAttempt, observeCallback, publish, step } from '../diagnostics/publish.js'
import { showFields } from '../diagnostics/values.js'
import { OidcError } from '../errors.js'
import { type AuthorizationResponse, parseAuthorizationResponse } from '../protocol/authorization-response.js'
import { checkTransaction, signedOutSince, type Transaction } from '../protocol/transaction.js'
import { answerOf, giveUpAnswer, takeAnswer } from './answer-use.js'
import { redirect } from './answers.js'
import { type Arrival, completeSignIn } from './complete-sign-in.js'
import { checkedResponse } from './evidence.js'
import { type FormField, readFormFields } from './form-body.js'
import { landingOf } from './landing.js'
import { restartLogin } from './login.js'
import { callbackMethods, wrongMethod } from './route-methods.js'
import { epochSeconds } from './site.js'
import { type BrowserBinding, type FoundBinding, transactionLifetime } from './transaction-cookie.js'
import type { Visit } from './visit.js'

/** The provider's answer. Steps are numbered as in docs/architecture.md; a failure before step 10 leaves everything as it was. */
export function callback(visit: Visit): Promise<void> {
  return observeCallback(visit.services.site.baseUrl, () => answer(visit))
}

async function answer(visit: Visit): Promise<void> {
  const { services, req, res } = visit
  const fields = await readFields(visit)
  const transaction = await openState(visit, fields)
  try {
    const response = step('parse', () => readResponse(visit, fields, transaction)) // 1
    const found = services.transactionCookie.read(req, res)
    const [attempt, binding] = step('attempt', () => identify(transaction, found)) // 2
    const verdict = step('binding', () => judge(visit, attempt, binding))
    if (verdict === 'restart') return await beginAnew(visit, attempt, binding)
    const landing = await finish(visit, { transaction: attempt, binding, response }) // 3 to 10
    if (landing !== undefined) redirect(res, landing) // 11
  } catch (error) {
    if (error instanceof OidcError && transaction !== undefined) {
      error.returnTo = landingOf(services.site, transaction.returnTo)
    }
    throw error
  }
}

interface Received {
  readonly transaction: Transaction
  readonly binding: BrowserBinding
  readonly response: AuthorizationResponse
}

/** Where to land; `undefined` where the browser is on its way to the provider again. */
async function finish(visit: Visit, { transaction, binding, response: answer }: Received): Promise<string | undefined> {
  const { services } = visit
  const attempt = services.transactions.activate(transaction, answer.state, binding)
  // Checked again when used, although it was sealed: the rules may have changed since.
  const landing = landingOf(services.site, attempt.returnTo)
  const response = await step('response', () => checkedResponse(services, answer, attempt)) // 3
  const arrival: Arrival = { attempt, response, binding, landing }
  const issued = answerOf(response)
  const turn = await step('once', () => takeAnswer(visit, attempt, issued)) // 4
  if (turn.kind === 'finished') {
    await resumeSession(visit, arrival, turn.sessionId)
    return landing
  }
  if (turn.kind !== 'first') {
    await startAnother(visit, transaction, binding)
    return undefined
  }
  try {
    return await completeSignIn(visit, arrival) // 5 to 10
  } catch (error) {
    await giveUpAnswer(visit, attempt, issued, error)
    throw error
  }
}

/** Nothing begins anew for a user who has signed out since, and whose browser does not know it: the response may have been lost. */
async function beginAnew(visit: Visit, transaction: Transaction, binding: BrowserBinding): Promise<void> {
  const { browserSignOuts } = visit.services.state
  if (await browserSignOuts.isSignedOutSince(binding.id, transaction.startedAt)) throw signedOutSince()
  await restartLogin(visit, transaction)
}

/** Another answer to an attempt that was used, or the same one that got lost on the way: the sign-in is begun anew, once. */
function startAnother(visit: Visit, transaction: Transaction, binding: BrowserBinding): Promise<void> {
  if ((transaction.restarts ?? 0) === 0) return beginAnew(visit, transaction, binding)
  throw new OidcError('ERR_OIDC_TRANSACTION_EXPIRED', 'another answer to this sign-in was used before')
}

/**
 * The same answer again: the browser gets the session that it has brought, in case the response was lost. Not a session that has ended, and
 * not in place of one that the browser got by another sign-in.
 */
async function resumeSession(visit: Visit, { binding }: Arrival, id: string): Promise<void> {
  const { services, req, res } = visit
  const isAlive = async (sessionId: string) =>
    (await services.state.load(sessionId, { extend: false }))?.ticket() !== undefined
  if (!(await isAlive(id))) return
  const { sessionId: latest } = binding
  if (latest !== undefined && latest !== id && (await isAlive(latest))) return
  await services.host.resume(req, res, id)
  services.transactionCookie.remember(res, binding, { id, rounds: binding.rounds ?? 0 })
}

async function openState({ services }: Visit, fields: readonly FormField[]): Promise<Transaction | undefined> {
  const [state, ...others] = fields.filter(([name]) => name === 'state').map(([, value]) => value)
  return state === undefined || others.length > 0 ? undefined : services.transactions.open(state)
}

function readResponse(
  visit: Visit,
  fields: readonly FormField[],
  transaction: Transaction | undefined,
): AuthorizationResponse {
  checkMethod(visit, transaction)
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

/** An answer comes by another method than today's where the response mode has changed since the sign-in began, and not otherwise. */
async function readFields(visit: Visit): Promise<FormField[]> {
  const { req, services } = visit
  const isPost = req.method === 'POST'
  if (!isPost && services.site.responseMode === 'form_post' && !/[?&]state=/.test(req.originalUrl))
    throw wrongMethod(callbackMethods(visit.services.site.responseMode))
  return isPost ? readFormFields(req) : [...new URLSearchParams(req.originalUrl.replace(/^[^?]*/, ''))]
}

function checkMethod(visit: Visit, transaction: Transaction | undefined): void {
  const { site, transactions } = visit.services
  const isExpected = visit.req.method === (site.responseMode === 'form_post' ? 'POST' : 'GET')
  if (!isExpected && (transaction === undefined || transaction.settings === transactions.settings))
    throw wrongMethod(callbackMethods(visit.services.site.responseMode))
}

function judge({ services }: Visit, transaction: Transaction, browser: BrowserBinding): 'valid' | 'restart' {
  const { settings } = services.transactions
  return checkTransaction(transaction, {
    browser,
    settings,
    now: epochSeconds(services.site),
    lifetime: transactionLifetime,
  })
}

/** The attempt an answer belongs to and the browser it came from; what is missing is named. */
function identify(transaction: Transaction | undefined, found: FoundBinding): [Transaction, BrowserBinding] {
  if (transaction !== undefined && typeof found === 'object') return [transaction, found]
  throw new OidcError('ERR_OIDC_TRANSACTION_MISSING', describeMissing(transaction, found))
}

const SECRETS =
  'all processes of a site need the same "secret", and an old one has to stay in the list while it is replaced'

function describeMissing(transaction: Transaction | undefined, found: FoundBinding): string {
  if (transaction === undefined && found === 'unreadable') {
    return `neither "state" nor the cookie can be opened: they were made with another "secret", or by another site; ${SECRETS}`
  }
  if (transaction === undefined) {
    return `"state" cannot be opened: it is not of this site, it was changed, or it was made with another "secret"; ${SECRETS}`
  }
  if (found === 'unreadable')
    return `the cookie of this sign-in cannot be opened: it was made with another "secret"; ${SECRETS}`
  return 'the cookie that binds a sign-in to its browser did not come along: another browser, or one that keeps no cookies of this site'
}
