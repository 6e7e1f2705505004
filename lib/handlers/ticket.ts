import type { IdTokenClaims } from '../protocol/wire.js'
import type { Ticket, Tokens } from '../state/ticket.js'
import type { Evidence } from './evidence.js'
import { epochSeconds, type Site } from './site.js'

/** The tokens as they are kept: those of the token endpoint; an access token of the front channel is not kept. */
export function buildTokens(site: Site, { idToken, tokens }: Evidence): Tokens {
  if (tokens === undefined) return { idToken, scope: '' }
  const { access_token, token_type, refresh_token, expires_in } = tokens
  return {
    idToken,
    accessToken: access_token,
    tokenType: token_type,
    // RFC 6749 section 5.1: a provider that granted what was asked for need not repeat it.
    scope: tokens.scope ?? site.scope,
    ...(refresh_token !== undefined && { refreshToken: refresh_token }),
    ...(expires_in !== undefined && { expiresAt: epochSeconds(site) + expires_in }),
  }
}

/** The ticket of a sign-in that passed every check. */
export function buildTicket(
  site: Site,
  { sub, sid, auth_time, acr }: IdTokenClaims,
  claims: Readonly<Record<string, unknown>>,
  { scope, expiresAt }: Tokens,
  sessionState: string | undefined,
): Ticket {
  const now = epochSeconds(site)
  return {
    issuer: site.issuer,
    subject: sub,
    claims,
    scope,
    signedInAt: now,
    expiresAt: now + site.lifetime,
    ...(sid !== undefined && { sid }),
    ...(auth_time !== undefined && { authTime: auth_time }),
    ...(acr !== undefined && { acr }),
    ...(expiresAt !== undefined && { accessTokenExpiresAt: expiresAt }),
    ...(sessionState !== undefined && { sessionState }),
  }
}
