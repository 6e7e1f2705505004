import { grantedScope } from '../protocol/granted-scope.js'
import type { IdTokenClaims, TokenResponse } from '../protocol/wire.js'
import type { Ticket, Tokens } from '../state/ticket.js'
import type { Evidence } from './evidence.js'
import { epochSeconds, type Site } from './site.js'
import type { ActiveTransaction } from './transaction-state.js'

/** The tokens as they are kept: those of the token endpoint; an access token of the front channel is not kept. */
export function buildTokens(site: Site, evidence: Evidence, { scope }: Pick<ActiveTransaction, 'scope'>): Tokens {
  const { idToken, tokens, frontScope: front } = evidence
  if (tokens === undefined) return { idToken, scope: '' }
  const { refresh_token } = tokens
  const granted = grantedScope({ asked: scope, front, answer: tokens.scope })
  return {
    idToken,
    ...accessTokenFields(site, tokens, granted),
    ...(refresh_token !== undefined && { refreshToken: refresh_token }),
  }
}

/**
 * An access token as it is kept. A life of no length is taken for one that is not known: a provider does not hand out what is void.
 *
 * @param scope - what was granted, see {@link grantedScope}
 */
export function accessTokenFields(
  site: Pick<Site, 'now'>,
  { access_token, token_type, expires_in = 0 }: TokenResponse,
  scope: string,
) {
  const issuedAt = epochSeconds(site)
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
