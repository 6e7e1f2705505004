import { OidcError } from '../errors.js'
import type { RequestContext } from '../http/request-context.js'
import { checkUserInfoSubject } from '../protocol/user-info.js'
import type { UserInfo } from '../protocol/wire.js'
import { isTokenRefused } from '../provider/user-info-endpoint.js'
import { keyOfToken } from '../tokens/bound-token.js'
import { keepClaims } from '../tokens/refresh-claims.js'

/** Whether a fresh userinfo response is only returned, or also kept. */
export interface UserInfoOptions {
  /** Updates `req.oidc.user`, for this request and all later ones. Default `false`. */
  readonly refresh?: boolean
}

/**
 * Requests userinfo with a valid access token, and compares the `sub` of the response. A token that the provider no longer accepts is
 * refreshed, once.
 */
export async function fetchUserInfo(context: RequestContext, { refresh = false }: UserInfoOptions): Promise<UserInfo> {
  const { services } = context
  const { config, store } = services
  const { ticket } = context.signedIn()
  if (refresh && config.hooks.signIn !== undefined && config.hooks.refresh === undefined) {
    throw new OidcError(
      'ERR_OIDC_OPTIONS',
      'userInfo({ refresh: true }) needs hooks.refresh, because hooks.signIn decides which claims are kept',
    )
  }
  const userInfo = await ask(context)
  checkUserInfoSubject(userInfo, ticket.subject, config.tenants && ticket.issuer)
  if (!refresh) return userInfo
  const tokenStore = store.tokenStore(context.signedIn().id)
  const view = await tokenStore.open()
  if (view === undefined) throw new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'the session has ended')
  context.replaceTicket(await keepClaims(services, tokenStore, view, { idTokenClaims: undefined, userInfo }))
  return userInfo
}

async function ask(context: RequestContext): Promise<UserInfo> {
  const { provider, accessTokens } = context.services
  const token = await context.whileSignedIn(id => accessTokens.get(id))
  const { value } = token
  try {
    return await provider.fetchUserInfo(value, keyOfToken(token))
  } catch (error) {
    if (!isTokenRefused(error)) throw error
    const again = { forceRefresh: true, refused: value }
    const refreshed = await context
      .whileSignedIn(id => accessTokens.get(id, again))
      .catch(failure => {
        throw isWithoutRefreshToken(failure) ? error : failure
      })
    return provider.fetchUserInfo(refreshed.value, keyOfToken(refreshed))
  }
}

function isWithoutRefreshToken(error: unknown): boolean {
  return error instanceof OidcError && error.code === 'ERR_OIDC_ACCESS_TOKEN_EXPIRED'
}
