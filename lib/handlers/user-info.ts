import { OidcError } from '../errors.js'
import { checkUserInfoSubject } from '../protocol/user-info.js'
import type { UserInfo } from '../protocol/wire.js'
import { isTokenRefused } from './evidence.js'
import { keepClaims } from './kept-claims.js'
import type { Visit } from './visit.js'

/** Whether a fresh userinfo answer is only returned, or also kept. */
export interface UserInfoOptions {
  /** Renews `req.oidc.user`, for this request and all later ones. Default `false`. */
  readonly refresh?: boolean
}

/**
 * Asks userinfo with an access token that is good, and compares whose answer it is. A token that the provider does not take any more is
 * refreshed, once.
 */
export async function fetchUserInfo(visit: Visit, { refresh = false }: UserInfoOptions): Promise<UserInfo> {
  const { services } = visit
  const { site, state } = services
  const { ticket } = visit.signedIn()
  if (refresh && site.hooks.signIn !== undefined && site.hooks.refresh === undefined) {
    throw new OidcError(
      'ERR_OIDC_OPTIONS',
      'userInfo({ refresh: true }) needs hooks.refresh where hooks.signIn decides which claims are kept',
    )
  }
  const userInfo = await ask(visit)
  checkUserInfoSubject(userInfo, ticket.subject)
  if (!refresh) return userInfo
  const vault = state.vault(visit.signedIn().id)
  const view = await vault.open()
  if (view === undefined) throw new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'the session has ended')
  visit.renew(await keepClaims(services, vault, view, { idTokenClaims: undefined, userInfo }))
  return userInfo
}

async function ask(visit: Visit): Promise<UserInfo> {
  const { provider, accessTokens } = visit.services
  const { value } = await visit.whileSignedIn(id => accessTokens.get(id))
  try {
    return await provider.fetchUserInfo(value)
  } catch (error) {
    if (!isTokenRefused(error)) throw error
    const again = { forceRefresh: true, refused: value }
    const renewed = await visit
      .whileSignedIn(id => accessTokens.get(id, again))
      .catch(failure => {
        throw isWithoutRefreshToken(failure) ? error : failure
      })
    return provider.fetchUserInfo(renewed.value)
  }
}

function isWithoutRefreshToken(error: unknown): boolean {
  return error instanceof OidcError && error.code === 'ERR_OIDC_ACCESS_TOKEN_EXPIRED'
}
