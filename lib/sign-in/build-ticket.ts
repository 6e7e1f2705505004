import type { ActiveTransaction } from '../http/transaction-state.js'
import { type Config, epochSeconds } from '../options/config.js'
import { type AuthenticationClaims, keepAuthentication } from '../protocol/claims.js'
import { grantedScope } from '../protocol/granted-scope.js'
import type { IdTokenClaims, TokenResponse } from '../protocol/wire.js'
import type { Ticket, Tokens } from '../store/ticket.js'
import type { AuthenticationResult } from './authenticate.js'

/** The tokens as they are kept: those of the token endpoint; an access token of the front channel is not kept. */
export function buildTokens(
  config: Config,
  result: AuthenticationResult,
  { scope }: Pick<ActiveTransaction, 'scope'>,
): Tokens {
  const { idToken, tokens, frontScope: front } = result
  if (tokens === undefined) return { idToken, scope: '' }
  const { refresh_token } = tokens
  const granted = grantedScope({ asked: scope, front, answer: tokens.scope })
  return {
    idToken,
    ...accessTokenFields(config, tokens, granted),
    ...(refresh_token !== undefined && { refreshToken: refresh_token }),
  }
}

/**
 * An access token as it is kept. A life of no length is taken for one that is not known: a provider does not hand out what is void.
 *
 * @param scope - what was granted, see {@link grantedScope}
 */
export function accessTokenFields(
  config: Pick<Config, 'now'>,
  { access_token, token_type, expires_in = 0 }: TokenResponse,
  scope: string,
) {
  const issuedAt = epochSeconds(config)
  return {
    accessToken: access_token,
    tokenType: token_type,
    scope,
    issuedAt,
    ...(expires_in > 0 && { expiresAt: issuedAt + Math.floor(expires_in) }),
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
  const { sub, sid, auth_time, acr, amr } = idTokenClaims
  const now = epochSeconds(config)
  return {
    issuer: config.issuer,
    subject: sub,
    claims: keepAuthentication(claims, idTokenClaims),
    scope,
    signedInAt: now,
    expiresAt: now + config.lifetime,
    ...(sid !== undefined && { sid }),
    ...(auth_time !== undefined && { authTime: auth_time }),
    ...(acr !== undefined && { acr }),
    ...(amr !== undefined && { amr }),
    ...(expiresAt !== undefined && { accessTokenExpiresAt: expiresAt }),
    ...(sessionState !== undefined && { sessionState }),
    ...(requestedScope !== undefined && { requestedScope }),
    ...(requestedMaxAge !== undefined && { requestedMaxAge }),
  }
}

/**
 * How and when the user signed in. It is kept from the ID Token of the sign-in: the one at hand may have come with refreshed tokens, where
 * nobody has signed in. OpenID Connect Core 1.0 section 12.2.
 */
export function authenticationOf({ acr, amr, authTime, claims }: Ticket): AuthenticationClaims {
  // A session of an earlier version has its `amr` among the claims alone.
  const methods = amr ?? claims.amr
  return {
    ...(acr !== undefined && { acr }),
    ...(methods !== undefined && { amr: methods }),
    ...(authTime !== undefined && { auth_time: authTime }),
  }
}
