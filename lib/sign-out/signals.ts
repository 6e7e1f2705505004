import { OidcError, type OidcErrorCode } from '../errors.js'
import type { RequestContext } from '../http/request-context.js'
import { readBody, requireMediaType } from '../http/text-body.js'
import { type Config, epochSeconds, type SignalPolicy } from '../options/config.js'
import type { Signal, SignalDecision } from '../options/hooks.js'
import { isSameSecret } from '../protocol/constant-time.js'
import { actionFor, type SignalAction } from '../protocol/event-action.js'
import { type NamedSessions, sessionsNamedBy } from '../protocol/event-subject.js'
import {
  checkSecurityEventClaims,
  isSecurityEventType,
  type SecurityEvent,
  type SecurityEventToken,
} from '../protocol/security-event.js'
import { ifThereIsRoom } from '../store/backend/unavailable.js'
import { announceSignOut, auditSignOut } from './announce-sign-out.js'
import { demandOfNamedSessions, endNamedSessions } from './end-named-sessions.js'
import { refuseProvider, respondToProvider } from './provider-response.js'

/** Seconds for which the `jti` of an event is remembered. What it does can be done twice, so this only keeps the hook from being called twice. */
const eventsRemembered = 24 * 60 * 60

/** What a refusal is called on the wire. RFC 8935 section 2.4. */
const WIRE_CODES: Readonly<Partial<Record<OidcErrorCode, string>>> = {
  ERR_OIDC_SIGNAL_KEY: 'invalid_key',
  ERR_OIDC_SIGNAL_ISSUER: 'invalid_issuer',
  ERR_OIDC_SIGNAL_AUDIENCE: 'invalid_audience',
  ERR_OIDC_SIGNAL_AUTHENTICATION: 'authentication_failed',
}

/**
 * `POST` of a security event token by a transmitter of shared signals. 202 means that it has been dealt with; 400 that it is never going to be;
 * anything else that the same token may come again. RFC 8935 section 2.
 */
export async function receiveSignal(context: RequestContext): Promise<void> {
  try {
    await receive(context)
  } catch (error) {
    if (error instanceof HookFailed) return respondToProvider(context.res, 503)
    const err =
      error instanceof OidcError && error.status < 500 ? (WIRE_CODES[error.code] ?? 'invalid_request') : undefined
    if (err === undefined) throw error
    // The language of the description: section 2.3.
    context.res.setHeader('Content-Language', 'en')
    refuseProvider(context, error, { status: 400, body: { err, description: (error as OidcError).code } })
    return
  }
  respondToProvider(context.res, 202)
}

async function receive(context: RequestContext): Promise<void> {
  const { req, services } = context
  const { config, provider, store } = services
  const policy = config.signals
  authorize(policy, req.headers.authorization)
  requireMediaType(req, 'application/secevent+jwt')
  const body = await readBody(req)
  if (typeof body !== 'string')
    throw new OidcError('ERR_OIDC_SIGNAL_MALFORMED', 'the body is not a security event token')
  const claims = await provider.verifySignal(body.trim(), isSecurityEventType)
  const { clockTolerance } = config
  const token = checkSecurityEventClaims(claims, { ...policy, now: epochSeconds(config), clockTolerance })
  const name = JSON.stringify([token.issuer, token.jti, config.providerName])
  // It was dealt with before; the transmitter may not have received the response.
  if (await store.isConsumed('security event', name)) return
  for (const event of token.events) await dealWith(context, token, event)
  // Marked after the effect: what failed half-way can be done again with the same token.
  await ifThereIsRoom(() => store.consume('security event', name, eventsRemembered))
}

/** The header that was agreed with the transmitter when the stream was made. It is no proof of who sends; the signature is. */
function authorize({ authorization }: SignalPolicy, given = ''): void {
  if (authorization === undefined || isSameSecret(given, authorization)) return
  throw new OidcError('ERR_OIDC_SIGNAL_AUTHENTICATION', 'the Authorization header is not that of the option signals')
}

async function dealWith(
  context: RequestContext,
  { issuer: transmitter, jti, issuedAt, txn }: SecurityEventToken,
  { type, payload, subject }: SecurityEvent,
): Promise<void> {
  const { config } = context.services
  const named = sessionsNamedBy(subject, config.issuer)
  const proposed = actionFor(type, payload)
  const decision = await decide(config, {
    type,
    payload,
    subject,
    transmitter,
    jti,
    issuedAt,
    ...(txn !== undefined && { txn }),
    action: proposed,
    sub: named?.subject,
    sid: named?.sid,
  })
  const { action = proposed, sub, sid } = decision ?? {}
  // What the site names takes the place of what the event names.
  const meant = sub === undefined && sid === undefined ? named : { subject: sub, sid }
  if (meant !== undefined) await act(context, { action, meant, issuedAt, type })
}

/** @throws {HookFailed} */
async function decide(config: Config, signal: Signal): Promise<SignalDecision | undefined> {
  try {
    return await config.hooks.signal?.(signal)
  } catch (error) {
    config.log(`the hook signal failed: ${error instanceof Error ? error.name : typeof error}`)
    throw new HookFailed()
  }
}

/** The event may be dealt with when it comes again. */
class HookFailed extends Error {}

interface Act {
  readonly action: SignalAction
  readonly meant: { readonly [K in keyof NamedSessions]?: NamedSessions[K] | undefined }
  readonly issuedAt: number
  /** Of the event. */
  readonly type: string
}

async function act({ req, services }: RequestContext, { action, meant, issuedAt, type }: Act): Promise<void> {
  if (action === 'none') return
  const { config } = services
  const { issuer, clockTolerance } = config
  // The clock of another transmitter than the provider may be apart from the provider's, which says when a sign-in was. In doubt it ends.
  const margin = config.signals.issuer === issuer ? 0 : clockTolerance
  const named = { issuer, ...meant, issuedAt: issuedAt + margin }
  if (action === 'end') {
    const tell = auditSignOut(config, 'signal', { req, event: type })
    await announceSignOut(config, 'signal', await endNamedSessions(services, { ...named, reason: 'signal' }, tell))
  } else await demandOfNamedSessions(services, action, named)
}
