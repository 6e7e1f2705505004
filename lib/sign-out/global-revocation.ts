import { OidcError } from '../errors.js'
import type { RequestContext } from '../http/request-context.js'
import { readBody, requireMediaType } from '../http/text-body.js'
import { epochSeconds, pathSuffix } from '../options/config.js'
import { sessionsNamedBy } from '../protocol/event-subject.js'
import { isRecord, parseJson } from '../protocol/json.js'
import { checkGlobalRevocationClaims, isGlobalRevocationType } from '../protocol/security-event.js'
import { ifThereIsRoom } from '../store/backend/unavailable.js'
import { announceSignOut, auditSignOut } from './announce-sign-out.js'
import { endNamedSessions } from './end-named-sessions.js'
import { respondToProvider } from './provider-response.js'

/**
 * `POST` of a global token revocation, such as Okta's Universal Logout: every session of a user ends. 204 means that they have ended, or that
 * there are none; 401 that the request is not authorized. OAuth Global Token Revocation (draft) section 3.
 */
export async function revokeGlobally(context: RequestContext): Promise<void> {
  const { req, res, services } = context
  const { config, store } = services
  const { issuer } = config.signals
  const { jti, forgottenIn } = await authorize(context)
  requireMediaType(req, 'application/json')
  const subject = subjectOf(await readBody(req))
  const name = JSON.stringify([issuer, jti, config.providerName])
  if (!(await store.isConsumed('global revocation', name))) {
    const named = sessionsNamedBy(subject, config.issuer)
    // It says now, so nothing is later than it.
    const reason = 'global-revocation' as const
    const meant = named && { issuer: config.issuer, ...named, reason }
    const tell = auditSignOut(config, reason, { req })
    const ended = meant === undefined ? [] : await endNamedSessions(services, meant, tell)
    // Marked after the effect: what failed half-way can be done again.
    await ifThereIsRoom(() => store.consume('global revocation', name, forgottenIn))
    await announceSignOut(config, reason, ended)
  }
  respondToProvider(res, 204)
}

/** @returns the name of the token, and the seconds for which it has to be remembered, because it can be used once */
async function authorize({ req, res, services }: RequestContext): Promise<{ jti: string; forgottenIn: number }> {
  const { config, provider } = services
  const { clockTolerance, signals, baseUrl, routes } = config
  const now = epochSeconds(config)
  const expected = {
    issuer: signals.issuer,
    audience: `${baseUrl}${routes.revocation}${pathSuffix(config)}`,
    now,
    clockTolerance,
  }
  try {
    const claims = await provider.verifySignal(bearerTokenOf(req.headers.authorization), isGlobalRevocationType)
    const { jti, expiresAt } = checkGlobalRevocationClaims(claims, expected)
    return { jti, forgottenIn: Math.ceil(expiresAt + clockTolerance - now) }
  } catch (error) {
    if (!(error instanceof OidcError) || error.status >= 500) throw error
    // RFC 6750 section 3: without credentials nothing is said about them.
    res.setHeader(
      'WWW-Authenticate',
      req.headers.authorization === undefined ? 'Bearer' : 'Bearer error="invalid_token"',
    )
    throw new OidcError('ERR_OIDC_SIGNAL_AUTHENTICATION', error.message, { cause: error.cause })
  }
}

/** RFC 6750 section 2.1. */
function bearerTokenOf(authorization = ''): string {
  const [, token] = /^bearer +([\w.-]+)$/i.exec(authorization) ?? []
  if (token !== undefined) return token
  throw new OidcError('ERR_OIDC_SIGNAL_AUTHENTICATION', 'the Authorization header has no bearer token')
}

/** Auth0 calls it `subject`, as an earlier draft did. */
function subjectOf(body: unknown): Readonly<Record<string, unknown>> {
  const request = typeof body === 'string' ? parsed(body) : body
  const { sub_id: subId, subject } = isRecord(request) ? request : {}
  const found = [subId, subject].find(isRecord)
  if (found !== undefined) return found
  throw new OidcError('ERR_OIDC_SIGNAL_MALFORMED', 'the request does not have a sub_id that is an object')
}

function parsed(text: string): unknown {
  try {
    return parseJson(text)
  } catch {
    throw new OidcError('ERR_OIDC_SIGNAL_MALFORMED', 'the body is not JSON')
  }
}
