import { OidcError } from '../errors.js'
import type { Services } from '../options/config.js'
import { type AuthenticationClaims, buildClaims, keepAuthentication } from '../protocol/claims.js'
import { readKeptIdToken } from '../protocol/refreshed-id-token.js'
import { checkUserInfoSubject } from '../protocol/user-info.js'
import type { IdTokenClaims, UserInfo } from '../protocol/wire.js'
import { type KeptTokens, type Ticket, type Tokens, withoutProofKey } from '../store/ticket.js'
import type { StoredTokens, TokenStore } from '../store/token-store.js'

/** News about the user that arrived after the sign-in. */
interface News {
  /** Of an ID Token that came with refreshed tokens and was verified. */
  readonly idTokenClaims: IdTokenClaims | undefined
  readonly userInfo: UserInfo | undefined
}

/**
 * Decides, with the site's hook, which claims are kept from now on, and keeps them.
 *
 * @throws {OidcError} ERR_OIDC_LOGIN_REQUIRED when the session has ended; whatever the hook throws
 */
export async function keepClaims(
  { config }: Services,
  tokenStore: TokenStore,
  view: StoredTokens,
  { idTokenClaims, userInfo }: News,
): Promise<Ticket> {
  for (let current: StoredTokens | undefined = view; current?.ticket !== undefined && current.tokens !== undefined; ) {
    const { ticket, tokens } = current as { ticket: Ticket; tokens: KeptTokens }
    const claims = userInfo === undefined ? ticket.claims : rebuilt(config.protocolClaims, ticket, tokens, userInfo)
    const decided = await config.hooks.refresh?.({
      claims,
      kept: ticket.claims,
      idTokenClaims,
      userInfo,
      tokens: withoutProofKey(tokens),
    })
    if (decided === undefined && userInfo === undefined) return ticket
    const kept = keepAuthentication(decided ?? claims, authenticationOf(ticket))
    const refreshed: Ticket = { ...ticket, claims: kept }
    const outcome = await tokenStore.commit('', current, { ticket: refreshed })
    if (outcome === 'done') return refreshed
    current = outcome === 'changed' ? await tokenStore.open() : undefined
  }
  throw new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'the session has ended')
}

/**
 * From the ID Token and userinfo, and not from what was kept: what the provider does not say any more has to go. How and when the user
 * signed in stays as the sign-in has it.
 */
function rebuilt(
  protocolClaims: readonly string[],
  ticket: Ticket,
  { idToken }: Tokens,
  userInfo: UserInfo,
): Readonly<Record<string, unknown>> {
  const { issuer: iss, subject: sub } = ticket
  checkUserInfoSubject(userInfo, sub)
  const latest: IdTokenClaims = readKeptIdToken(idToken) ?? { iss, sub, aud: [], exp: 0, iat: 0 }
  const { acr: _acr, amr: _amr, auth_time: _time, ...known } = latest
  return buildClaims({ ...known, ...authenticationOf(ticket) }, userInfo, protocolClaims)
}

/**
 * How and when the user signed in. It is kept from the ID Token of the sign-in: the one at hand may have come with refreshed tokens, where
 * no user has signed in. OpenID Connect Core 1.0 section 12.2.
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
