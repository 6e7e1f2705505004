import { identifyTransaction, observeCallback, publish, step } from '../diagnostics/publish.js'
import { redactFields } from '../diagnostics/values.js'
import { OidcError } from '../errors.js'
import { audit } from '../http/audit-request.js'
import { type FormField, readFormFields } from '../http/form-body.js'
import { pathOf, queryOf } from '../http/node-http.js'
import type { RequestContext } from '../http/request-context.js'
import { redirect } from '../http/response.js'
import { returnToOf } from '../http/return-to.js'
import { callbackMethods, wrongMethod } from '../http/route-methods.js'
import { type BrowserBinding, digestOfUser, transactionLifetime } from '../http/transaction-cookie.js'
import { atProvider, type Config, epochSeconds } from '../options/config.js'
import { issuerNamed } from '../options/tenants.js'
import {
  type AuthorizationResponse,
  checkResponseIssuer,
  parseAuthorizationResponse,
} from '../protocol/authorization-response.js'
import { isSilentRefusal } from '../protocol/provider-error.js'
import { isPosted, isSigned } from '../protocol/response-mode.js'
import { checkTransaction, signedOutSince, type Transaction } from '../protocol/transaction.js'
import type { IdTokenClaims } from '../protocol/wire.js'
import type { SignedResponse } from '../provider/signed-responses.js'
import { userKeyOf } from '../store/ticket.js'
import { checkedResponse } from './authenticate.js'
import { completeSignIn, type PendingSignIn } from './complete-sign-in.js'
import { identify } from './identify-attempt.js'
import { restartLogin } from './login.js'
import { keepOpenerOf } from './popup.js'
import { fingerprintedOf, releaseResponse, useResponse } from './response-use.js'
import { hasSession, landSignedOut } from './silent-login.js'

/** Handles the provider's response. Steps are numbered as in docs/architecture.md; a failure before step 10 leaves everything as it was. */
export function callback(context: RequestContext): Promise<void> {
  return observeCallback(context.services.config.siteName, async () => {
    const attempt: Attempt = {}
    try {
      await handle(context, attempt)
    } catch (error) {
      auditRefusal(context, attempt, error)
      throw error
    }
  })
}

/** What is known of an attempt that may fail. */
interface Attempt {
  /** Of an ID Token that has passed every check. */
  claims?: IdTokenClaims
}

/** What comes by another method than a response is no attempt to sign in. */
function auditRefusal({ req, services: { config } }: RequestContext, { claims }: Attempt, error: unknown): void {
  const code = error instanceof OidcError ? error.code : undefined
  if (code === 'ERR_OIDC_REQUEST_METHOD') return
  audit(config, req, () => ({
    type: 'sign-in-refused',
    ...atProvider(config),
    code,
    ...(claims !== undefined && { sub: claims.sub }),
    ...(claims?.sid !== undefined && { sid: claims.sid }),
  }))
}

async function handle(context: RequestContext, attempt: Attempt): Promise<void> {
  const { services, req, res } = context
  // A response that cannot even be read has failed in step 1, too.
  const received = await readReceived(context).catch(error => step('parse', () => Promise.reject(error)))
  const transaction = await openState(context, received.fields)
  try {
    const response = await step('parse', () => readResponse(context, received, transaction)) // 1
    const found = services.transactionCookie.read(req, res)
    const [active, binding] = step('transaction', () => identify(transaction, found)) // 2
    const verdict = step('binding', () => judge(context, active, binding))
    if (verdict === 'restart') return await beginAnew(context, active, binding)
    const returnTo = await finish(context, { transaction: active, binding, response, attempt }) // 3 to 10
    if (returnTo === undefined) return
    keepOpenerOf(context, returnTo)
    redirect(res, returnTo) // 11
  } catch (error) {
    if (error instanceof OidcError && transaction?.silent && !res.headersSent) {
      if (!isSilentRefusal(error.providerError)) auditRefusal(context, attempt, error)
      return landSignedOut(context, transaction, error)
    }
    if (error instanceof OidcError && transaction !== undefined) {
      error.returnTo = returnToOf(services.config, transaction.returnTo)
    }
    throw error
  }
}

interface Received {
  readonly transaction: Transaction
  readonly binding: BrowserBinding
  readonly response: AuthorizationResponse
  readonly attempt: Attempt
}

/** Where to land; `undefined` where the browser is on its way to the provider again. */
async function finish(
  context: RequestContext,
  { transaction, binding, response: received, attempt }: Received,
): Promise<string | undefined> {
  const { services } = context
  const active = services.transactions.activate(transaction, received.state, binding)
  // Checked again when used, although it was sealed: the rules may have changed since.
  const returnTo = returnToOf(services.config, active.returnTo)
  if (isExpiredReference(received, transaction)) {
    checkResponseIssuer(received, { issuer: issuerNamed(services.config, received.iss), issRequired: false })
    await beginAnew(context, transaction, binding)
    return undefined
  }
  if (active.silent && (await hasSession(context, binding))) return returnTo
  const response = await step('response', () => checkedResponse(services, received, active)) // 3
  const onIdentified = (claims: IdTokenClaims) => {
    attempt.claims = claims
  }
  const pending: PendingSignIn = { transaction: active, response, binding, returnTo, onIdentified }
  const issued = fingerprintedOf(response)
  const turn = await step('consume', () => useResponse(context, active, issued)) // 4
  if (turn.kind === 'finished') {
    await resumeSession(context, pending, turn.sessionId)
    return returnTo
  }
  if (turn.kind !== 'first') {
    await startAnother(context, transaction, binding)
    return undefined
  }
  try {
    return await completeSignIn(context, pending) // 5 to 10
  } catch (error) {
    await releaseResponse(context, active, issued, error)
    throw error
  }
}

/** The browser came to the provider too late with a request that had been pushed: it is pushed again, once. RFC 9101 section 7. */
function isExpiredReference(response: AuthorizationResponse, { restarts = 0 }: Transaction): boolean {
  return response.kind === 'error' && response.providerError.error === 'invalid_request_uri' && restarts === 0
}

/** Nothing begins anew for a user who has signed out since, and whose browser does not know it: the response may have been lost. */
async function beginAnew(context: RequestContext, transaction: Transaction, binding: BrowserBinding): Promise<void> {
  const { browserSignOuts } = context.services.store
  if (await browserSignOuts.isSignedOutSince(binding, transaction.startedAt)) throw signedOutSince()
  await restartLogin(context, transaction)
}

/** Another response to an attempt that was used, or the same one whose result was lost: the sign-in is started again, once. */
function startAnother(context: RequestContext, transaction: Transaction, binding: BrowserBinding): Promise<void> {
  if ((transaction.restarts ?? 0) === 0) return beginAnew(context, transaction, binding)
  throw new OidcError('ERR_OIDC_TRANSACTION_EXPIRED', 'another response to this sign-in was used before')
}

/**
 * The same provider response again: the browser gets the session that the first one created, in case the HTTP response was lost.
 * Not a session that has ended, and not in place of one that the browser got by another sign-in.
 */
async function resumeSession(context: RequestContext, { binding }: PendingSignIn, id: string): Promise<void> {
  const { services, req, res } = context
  const ticketOf = async (sessionId: string) => (await services.store.load(sessionId, { extend: false }))?.ticket()
  const ticket = await ticketOf(id)
  if (ticket === undefined) return
  const { sessionId: latest } = binding
  if (latest !== undefined && latest !== id && (await ticketOf(latest)) !== undefined) return
  await services.sessionBinding.resume(req, res, id)
  services.transactionCookie.remember(res, binding, {
    id,
    rounds: binding.rounds ?? 0,
    user: digestOfUser(binding, userKeyOf(ticket)),
  })
}

async function openState({ services }: RequestContext, fields: readonly FormField[]): Promise<Transaction | undefined> {
  const [state, ...others] = fields.filter(([name]) => name === 'state').map(([, value]) => value)
  if (state === undefined || others.length > 0) return undefined
  const transaction = await services.transactions.open(state)
  // Only what this site has sealed names an attempt.
  if (transaction !== undefined) identifyTransaction(state)
  return transaction
}

/** The parameters of a response; `signed` where they are those of a JWT, and not verified yet. */
interface ReceivedFields {
  readonly fields: readonly FormField[]
  readonly signed?: SignedResponse
}

/** With a signed response nothing beside it counts. JARM section 2.3. */
async function readReceived(context: RequestContext): Promise<ReceivedFields> {
  const { config, provider } = context.services
  const fields = await readFields(context)
  if (!isSigned(config.responseMode)) return { fields }
  const [response, ...others] = fields.filter(([name]) => name.replace(/\[.*/s, '') === 'response')
  if (response === undefined) return { fields }
  if (others.length > 0 || response[0] !== 'response')
    throw new OidcError('ERR_OIDC_RESPONSE_MALFORMED', 'response occurs more than once')
  const signed = await provider.openResponse(response[1])
  return { fields: signed.unverified, signed }
}

/** A response that was not signed is refused, but where it was not asked for: the sign-in began with other options, and begins anew. */
async function verifiedFields(
  { services: { config, transactions } }: RequestContext,
  { fields, signed }: ReceivedFields,
  transaction: Transaction | undefined,
): Promise<readonly FormField[]> {
  if (!isSigned(config.responseMode)) return fields
  // Without a transaction there is nothing that a signature could be good for.
  if (signed !== undefined) return transaction === undefined ? fields : signed.verify()
  if (transaction !== undefined && transaction.settings !== transactions.settings) return fields
  throw new OidcError(
    'ERR_OIDC_RESPONSE_UNSIGNED',
    `the response is not signed, although responseMode is "${config.responseMode}": the provider does not support it, or the response was replaced`,
  )
}

async function readResponse(
  context: RequestContext,
  received: ReceivedFields,
  transaction: Transaction | undefined,
): Promise<AuthorizationResponse> {
  checkMethod(context, transaction)
  const fields = await verifiedFields(context, received, transaction)
  const response = parseAuthorizationResponse(fields)
  identifyTransaction(response.state)
  publish(() => ({
    type: 'response-received',
    method: context.req.method === 'POST' ? 'POST' : 'GET',
    path: pathOf(context.req),
    fields: { ...redactFields(fields), ...(response.kind === 'error' && response.providerError) },
  }))
  return response
}

/** A response arrives by another method than the current one only if the response mode has changed since the sign-in started. */
async function readFields(context: RequestContext): Promise<FormField[]> {
  const { req, services } = context
  const isPost = req.method === 'POST'
  const { responseMode } = services.config
  const isResponse = queryOf(req).has('state') || (isSigned(responseMode) && queryOf(req).has('response'))
  if (!isPost && isPosted(responseMode) && !isResponse) throw wrongMethod(callbackMethods(responseMode))
  return isPost ? readFormFields(req) : [...queryOf(req)]
}

function checkMethod(context: RequestContext, transaction: Transaction | undefined): void {
  const { config, transactions } = context.services
  const isExpected = context.req.method === (isPosted(config.responseMode) ? 'POST' : 'GET')
  if (!isExpected && (transaction === undefined || transaction.settings === transactions.settings))
    throw wrongMethod(callbackMethods(context.services.config.responseMode))
}

function judge({ services }: RequestContext, transaction: Transaction, browser: BrowserBinding): 'valid' | 'restart' {
  const { settings } = services.transactions
  checkProvider(services.config, transaction)
  return checkTransaction(transaction, {
    browser,
    settings,
    now: epochSeconds(services.config),
    lifetime: transactionLifetime,
  })
}

/**
 * Mix-up: the response to a sign-in at one provider must not be used with another one, to which the code would be sent. Each of several providers has a
 * redirect URI of its own, so the path says whose response it is, whether the provider names itself or not. RFC 9700 section 4.4.
 *
 * @throws {OidcError} ERR_OIDC_RESPONSE_ISSUER
 */
function checkProvider({ providerName }: Config, transaction: Transaction): void {
  if (transaction.provider === providerName) return
  throw new OidcError(
    'ERR_OIDC_RESPONSE_ISSUER',
    'the response came to the redirect URI of another provider than the one that was asked',
  )
}
