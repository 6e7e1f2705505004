import type { ActiveTransaction } from '../http/transaction-state.js'
import { atProvider, type Config, epochSeconds } from '../options/config.js'
import { keepAuthentication } from '../protocol/claims.js'
import { grantedScope } from '../protocol/granted-scope.js'
import { sessionCeiling } from '../protocol/session-expiry.js'
import type { IdTokenClaims } from '../protocol/wire.js'
import type { KeptTokens, Ticket, Tokens } from '../store/ticket.js'
import { accessTokenFields } from '../tokens/access-token-fields.js'
import type { AuthenticationResult } from './authenticate.js'

/** The tokens as they are kept: those of the token endpoint, and an access token of the front channel only where there is no code. */
export function buildTokens(
  config: Config,
  result: AuthenticationResult,
  { scope }: Pick<ActiveTransaction, 'scope'>,
): KeptTokens {
  const { idToken, tokens, proofKey, frontScope: front } = result
  if (tokens === undefined) return { idToken, scope: '' }
  const { refresh_token } = tokens
  const granted = grantedScope({ asked: scope, front, response: tokens.scope })
  return {
    idToken,
    ...accessTokenFields(config, tokens, granted, tokens.authorization_details),
    ...(refresh_token !== undefined && { refreshToken: refresh_token }),
    ...(proofKey && { proofKey }),
  }
}

/** The ticket of a sign-in that passed every check. */
export function buildTicket(
  config: Config,
  idTokenClaims: IdTokenClaims,
  claims: Readonly<Record<string, unknown>>,
  { scope, expiresAt }: Tokens,
  {
    sessionState,
    requestedScope,
    requestedMaxAge,
  }: Pick<Ticket, 'sessionState' | 'requestedScope' | 'requestedMaxAge'>,
): Ticket {
  const { iss, tid, sub, sid, auth_time, acr, amr } = idTokenClaims
  const now = epochSeconds(config)
  return {
    ...atProvider(config),
    issuer: iss,
    ...(config.tenants !== undefined && { tenant: String(tid) }),
    ...(config.hasSeveralHosts && { baseUrl: config.baseUrl }),
    subject: sub,
    claims: keepAuthentication(claims, idTokenClaims),
    scope,
    signedInAt: now,
    expiresAt: Math.min(
      now + config.lifetime,
      sessionCeiling(idTokenClaims, { now, clockTolerance: config.clockTolerance }),
    ),
    ...(sid !== undefined && { sid }),
    ...(auth_time !== undefined && { authTime: auth_time }),
    ...(acr !== undefined && { acr }),
    ...(amr !== undefined && { amr }),
    ...(expiresAt !== undefined && { accessTokenExpiresAt: expiresAt }),
    ...(sessionState !== undefined && { sessionState }),
    ...(config.session !== false && config.session.device && { deviceOffered: true as const }),
    ...(requestedScope !== undefined && { requestedScope }),
    ...(requestedMaxAge !== undefined && { requestedMaxAge }),
  }
}
