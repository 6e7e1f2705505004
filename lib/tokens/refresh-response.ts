import { OidcError } from '../errors.js'
import { epochSeconds, type Services, type SiteConfig } from '../options/config.js'
import type { ProofKey } from '../protocol/dpop.js'
import { checkScopeGranted, checkScopeNarrowed, grantedScope } from '../protocol/granted-scope.js'
import { isForeignIdToken, readKeptIdToken } from '../protocol/refreshed-id-token.js'
import { isSessionOver, sessionCeiling } from '../protocol/session-expiry.js'
import type { AuthorizationDetail, IdTokenClaims, TokenResponse } from '../protocol/wire.js'
import type { KeptTokens, OtherAccessToken, Ticket, Tokens } from '../store/ticket.js'
import type { StoredTokens, TokenChange } from '../store/token-store.js'
import { accessTokenFields } from './access-token-fields.js'
import { refreshedDetails } from './granted-details.js'

/** Access tokens for other purposes that are kept for one session, at most. */
const MOST_OTHERS = 10

/** What a refresh was for. */
export interface RefreshPurpose {
  /** Empty for the main access token. */
  readonly purpose: string
  /** What was asked for; left out: the same as before. */
  readonly scope?: string
  /** Likewise. */
  readonly authorizationDetails?: readonly AuthorizationDetail[]
}

/** A response with its ID Token decrypted, and the claims of that. */
export interface VerifiedRefresh {
  readonly response: TokenResponse
  readonly claims?: IdTokenClaims
}

/**
 * Whether the ID Token of a refresh, where there is one, speaks of the person who signed in. OpenID Connect Core 1.0 section 12.2.
 *
 * @throws {OidcError} ERR_OIDC_REFRESH_REJECTED where it is about another user or says that the session is over, ERR_OIDC_TOKEN_RESPONSE where
 *   it proves nothing, and ERR_OIDC_PROVIDER_UNAVAILABLE where that could not be found out
 */
export async function verifyRefresh(
  { provider, config }: Pick<Services, 'provider' | 'config'>,
  response: TokenResponse,
  { tokens, ticket }: StoredTokens,
): Promise<VerifiedRefresh> {
  const { id_token, access_token } = response
  if (id_token === undefined || ticket === undefined) return { response }
  const original = readKeptIdToken(tokens?.idToken) ?? { iss: ticket.issuer, sub: ticket.subject }
  try {
    const idToken = await provider.openIdToken(id_token)
    const claims = await provider.verifyRefreshedIdToken(idToken, original, access_token)
    if (!isSessionOver(claims, clocksOf(config))) return { claims, response: { ...response, id_token: idToken } }
  } catch (cause) {
    if (isForeignIdToken(cause)) {
      throw new OidcError('ERR_OIDC_REFRESH_REJECTED', 'the refreshed ID Token does not belong to this sign-in', {
        cause,
      })
    }
    if (cause instanceof OidcError && cause.code.startsWith('ERR_OIDC_ID_TOKEN_')) {
      throw new OidcError('ERR_OIDC_TOKEN_RESPONSE', 'the refreshed ID Token is not valid', { cause })
    }
    throw cause
  }
  throw new OidcError('ERR_OIDC_REFRESH_REJECTED', 'session_expiry of the refreshed ID Token has passed')
}

function clocksOf(config: SiteConfig) {
  return { now: epochSeconds(config), clockTolerance: config.clockTolerance }
}

/**
 * What a session holds after a refresh. What the response does not bring stays: refresh token, ID Token, scope. RFC 6749 section 6.
 *
 * @param wanted - `idTokenClaims` of the refreshed ID Token: `sid` is the name by which the provider speaks of its session from now on, and
 *   `session_expiry` can bring its end forward
 */
export function buildRefreshChange(
  config: SiteConfig,
  response: TokenResponse,
  wanted: RefreshPurpose & {
    readonly idTokenClaims?: Pick<IdTokenClaims, 'sid' | 'session_expiry'> | undefined
    readonly proofKey?: ProofKey | undefined
  },
  { tokens, ticket: before }: StoredTokens,
): TokenChange {
  const { idTokenClaims = {}, proofKey } = wanted
  const ticket = before && withNews(before, idTokenClaims, sessionCeiling(idTokenClaims, clocksOf(config)))
  const kept: KeptTokens = {
    ...(tokens ?? { scope: '' }),
    ...(response.refresh_token !== undefined && { refreshToken: response.refresh_token }),
    ...(response.id_token !== undefined && { idToken: response.id_token }),
    ...(proofKey && { proofKey }),
  }
  if (wanted.purpose !== '') {
    return { tokens: withOther(config, kept, response, wanted), ...(ticket && ticket !== before && { ticket }) }
  }
  const {
    accessToken: _a,
    tokenType: _t,
    scope: _s,
    expiresAt: _e,
    issuedAt: _i,
    authorizationDetails: _d,
    ...rest
  } = kept
  const scope = grantedScope({ asked: kept.scope, response: response.scope })
  const fresh = { ...rest, ...accessTokenFields(config, response, scope, refreshedDetails(response, wanted, kept)) }
  return { tokens: fresh, ...(ticket && { ticket: refreshedTicket(ticket, fresh) }) }
}

/** What a refreshed ID Token says about the session at the provider. Its end only comes nearer. The ticket itself: nothing new. */
function withNews(ticket: Ticket, { sid }: Pick<IdTokenClaims, 'sid'>, ceiling: number): Ticket {
  const isRenamed = sid !== undefined && sid !== ticket.sid
  if (!isRenamed && ceiling >= ticket.expiresAt) return ticket
  return { ...ticket, ...(isRenamed && { sid }), expiresAt: Math.min(ceiling, ticket.expiresAt) }
}

/** Only the refresh token of a response that cannot be used, and its key: it came for ours, and ours is spent. */
export function keepRefreshToken(
  refreshToken: string | undefined,
  proofKey: ProofKey | undefined,
  { tokens }: StoredTokens,
): TokenChange {
  if (refreshToken === undefined || tokens === undefined) return {}
  return { tokens: { ...tokens, refreshToken, ...(proofKey && { proofKey }) } }
}

/**
 * Whether a token beside the main one has the scope that was asked for, and no more than that; and whether any token has no more authorization
 * details than it may.
 *
 * @throws {OidcError} ERR_OIDC_TOKEN_DENIED; ERR_OIDC_TOKEN_RESPONSE for the authorization details of the main token
 */
export function checkGranted(refresh: RefreshPurpose, response: TokenResponse, { tokens }: StoredTokens): void {
  const { scope } = refresh
  const granted = otherScope(scope, response, tokens)
  checkScopeGranted(scope, granted)
  checkScopeNarrowed(scope, granted)
  refreshedDetails(response, refresh, tokens)
}

/** A response without a scope grants what was asked for, but not what the sign-in was refused. */
function otherScope(scope: string | undefined, { scope: granted }: TokenResponse, tokens: Tokens | undefined): string {
  const known = tokens?.scope ?? ''
  if (scope === undefined || granted !== undefined) return grantedScope({ asked: known, response: granted })
  return grantedScope({ asked: scope, front: known })
}

function withOther(
  config: SiteConfig,
  tokens: KeptTokens,
  response: TokenResponse,
  wanted: RefreshPurpose,
): KeptTokens {
  const { purpose, scope } = wanted
  const now = epochSeconds(config)
  const granted = otherScope(scope, response, tokens)
  const details = refreshedDetails(response, wanted, tokens)
  const other: OtherAccessToken = { purpose, ...accessTokenFields(config, response, granted, details) }
  const rest = (tokens.others ?? []).filter(
    ({ purpose: kept, expiresAt = Infinity }) => kept !== purpose && expiresAt > now,
  )
  return { ...tokens, others: [other, ...rest].slice(0, MOST_OTHERS) }
}

function refreshedTicket({ accessTokenExpiresAt: _, ...ticket }: Ticket, { scope, expiresAt }: Tokens): Ticket {
  return { ...ticket, scope, ...(expiresAt !== undefined && { accessTokenExpiresAt: expiresAt }) }
}
