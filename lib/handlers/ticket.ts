import type { Transaction } from '../protocol/transaction.js'
import type { IdTokenClaims, TokenResponse } from '../protocol/wire.js'
import type { Ticket, Tokens } from '../state/ticket.js'
import type { Evidence } from './evidence.js'
import { epochSeconds, type Site } from './site.js'

/** The tokens as they are kept: those of the token endpoint; an access token of the front channel is not kept. */
export function buildTokens(site: Site, { idToken, tokens }: Evidence, { scope }: Pick<Transaction, 'scope'>): Tokens {
  if (tokens === undefined) return { idToken, scope: '' }
  const { refresh_token } = tokens
  return {
    idToken,
    ...accessTokenFields(site, tokens, scope ?? site.scope),
    ...(refresh_token !== undefined && { refreshToken: refresh_token }),
  }
}

/**
 * An access token as it is kept. A life of no length is taken for one that is not known: a provider does not hand out what is void.
 *
 * @param asked - the scope that was asked for, which is what was granted where the answer does not say. RFC 6749 section 5.1
 */
export function accessTokenFields(
  site: Pick<Site, 'now'>,
  { access_token, token_type, scope, expires_in = 0 }: TokenResponse,
  asked: string,
) {
  const issuedAt = epochSeconds(site)
  return {
    accessToken: access_token,
    tokenType: token_type,
    scope: scope ?? asked,
    issuedAt,
    ...(expires_in > 0 && { expiresAt: issuedAt + Math.floor(expires_in) }),
  }
}

/** The ticket of a sign-in that passed every check. */
export function buildTicket(
  site: Site,
  { sub, sid, auth_time, acr }: IdTokenClaims,
  claims: Readonly<Record<string, unknown>>,
  { scope, expiresAt }: Tokens,
  { sessionState, requestedScope }: { sessionState: string | undefined; requestedScope: string | undefined },
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
    ...(requestedScope !== undefined && { requestedScope }),
  }
}
