import { observe } from '../diagnostics/publish.js'
import { factsOf, OidcError } from '../errors.js'
import { epochSeconds } from '../options/config.js'
import { fingerprintOfDetails } from '../protocol/authorization-details.js'
import { scopeKey } from '../protocol/granted-scope.js'
import type { AuthorizationDetail } from '../protocol/wire.js'
import { failureKey } from '../store/refresh-failure.js'
import type { KeptTokens, OtherAccessToken } from '../store/ticket.js'
import type { StoredTokens, TokenStore } from '../store/token-store.js'
import { failureError, pauseOf } from './back-off.js'
import { bindToken } from './bound-token.js'
import { type RefreshServices, refreshTokens } from './refresh.js'
import { createSingleFlight } from './single-flight.js'
import { isDue, isFresh, isUsable } from './token-freshness.js'

/** An access token and what is known about it. */
export interface AccessToken {
  /** What goes behind its type in the `Authorization` header. A secret: never in a page, a log or an address. */
  readonly value: string
  /** `Bearer`, or `DPoP` for a token that is bound to the key of its session, as the provider spelled it. */
  readonly type: string
  /** Space-separated scope that was granted. */
  readonly scope: string
  /** Seconds since the epoch; `undefined` where the provider did not say. */
  readonly expiresAt: number | undefined
  /** What was granted in more than words of a scope; `undefined` where nothing of the kind was asked for. RFC 9396 section 7. */
  readonly authorizationDetails?: readonly AuthorizationDetail[]
}

/** Which access token, and how fresh. */
export interface AccessTokenOptions {
  /** Seconds it has to be valid for. Default 60. One that never lives that long is good for the first half of its lifetime. */
  readonly minValidity?: number
  /** A token with this scope only, beside the main one. At most what the person has granted. */
  readonly scope?: string
  /** A token for this API, beside the main one. RFC 8707. */
  readonly resource?: string
  /** A token with these authorization details only, beside the main one. At most what the user has granted. RFC 9396 section 6. */
  readonly authorizationDetails?: readonly AuthorizationDetail[]
  /** Refreshes even a token that is still good, because an API has refused it. Default `false`. */
  readonly forceRefresh?: boolean
}

/** What asks on behalf of an API. */
export interface AccessTokenRequest extends AccessTokenOptions {
  /** The token that was refused; any other will do. */
  readonly refused?: string
}

/** The access tokens of sessions, always good for a while. */
export interface AccessTokens {
  /**
   * @param id - of the session
   * @throws {OidcError} ERR_OIDC_LOGIN_REQUIRED when the session has ended, ERR_OIDC_REFRESH_REJECTED when it ends with this,
   *   ERR_OIDC_ACCESS_TOKEN_EXPIRED when there is nothing to refresh with, ERR_OIDC_TOKEN_DENIED for a scope or resource that was not
   *   granted, ERR_OIDC_STORE_UNAVAILABLE, and those of the provider while it is away and the token at hand is void
   */
  get(id: string, options?: AccessTokenRequest): Promise<AccessToken>
  /** Resolves when no refresh is under way any more. */
  whenIdle(): Promise<void>
}

type KeptToken = Omit<OtherAccessToken, 'purpose'> & Pick<KeptTokens, 'proofKey'>

const DEFAULT_MIN_VALIDITY = 60

export function createAccessTokens(services: RefreshServices): AccessTokens {
  const { config, store } = services
  const flights = createSingleFlight<StoredTokens>()

  async function get(id: string, options: AccessTokenRequest = {}): Promise<AccessToken> {
    const tokenStore = store.tokenStore(id)
    const view = await tokenStore.open()
    if (view === undefined) throw new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'the session has ended')
    const { minValidity = DEFAULT_MIN_VALIDITY } = options
    const now = epochSeconds(config)
    const current = tokenFor(view.tokens, purposeOf(options))
    const forceRefresh =
      options.forceRefresh === true && (options.refused === undefined || options.refused === current?.accessToken)
    const canRefresh = view.tokens?.refreshToken !== undefined
    const pause = pauseOf(view, failureKey(purposeOf(options)), config.now())
    if (current !== undefined && !forceRefresh && isFresh(current, minValidity, now)) {
      const seed = `${id} ${current.expiresAt}`
      if (canRefresh && pause === undefined && isDue(current, minValidity, now, seed))
        refresh(id, tokenStore, view, options).catch(() => {})
      return toAccessToken(current)
    }
    try {
      if (!canRefresh) throw expired(current !== undefined)
      if (pause !== undefined) throw failureError(pause, config.now())
      return toAccessToken(await refresh(id, tokenStore, view, options))
    } catch (error) {
      // What is left of the old token is better than an error, where the failure is not about the session.
      const isGoodEnough = current !== undefined && !forceRefresh && isUsable(current, epochSeconds(config))
      if (isGoodEnough && !isOver(error)) return toAccessToken(current)
      if (isDenied(error) && isMainExpired(view, now)) await checkRefreshToken(id, tokenStore)
      throw error
    }
  }

  /**
   * `invalid_grant` for a token beside the main one may be about that token, or about the refresh token. Where the main token has to be
   * refreshed as well, the response to that tells. @throws {OidcError} ERR_OIDC_REFRESH_REJECTED when the session ends with this
   */
  async function checkRefreshToken(id: string, tokenStore: TokenStore): Promise<void> {
    const view = await tokenStore.open()
    if (view === undefined || pauseOf(view, failureKey(''), config.now()) !== undefined) return
    await refresh(id, tokenStore, view, {}).catch(error => {
      if (isOver(error)) throw error
    })
  }

  function isMainExpired({ tokens }: StoredTokens, now: number): boolean {
    const main = tokenFor(tokens, '')
    return main === undefined || !isUsable(main, now)
  }

  /** Shared by all callers in this process that read the same token and want the same. */
  async function refresh(
    id: string,
    tokenStore: TokenStore,
    view: StoredTokens,
    options: AccessTokenRequest,
  ): Promise<KeptToken> {
    const purpose = purposeOf(options)
    const current = tokenFor(view.tokens, purpose)
    const key = JSON.stringify([id, purpose, current?.accessToken])
    const refreshed = await flights.run(key, () =>
      observe(
        () =>
          refreshTokens(services, { ...options, tokenStore, handle: store.handleOf(id), view, purpose, isUpToDate }),
        timing => ({ type: 'token-refresh', site: config.siteName, ...timing }),
      ),
    )
    function isUpToDate({ tokens }: StoredTokens): boolean {
      const token = tokenFor(tokens, purpose)
      return token !== undefined && token.accessToken !== current?.accessToken && isUsable(token, epochSeconds(config))
    }
    const token = tokenFor(refreshed.tokens, purpose)
    if (token === undefined) throw new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'the tokens are gone')
    return token
  }

  return { get, whenIdle: flights.whenIdle }
}

/** What tells tokens of one session apart: empty for the main one. */
function purposeOf({ resource, scope, authorizationDetails: details }: AccessTokenOptions): string {
  if (resource === undefined && scope === undefined && details === undefined) return ''
  const named = details === undefined ? [] : [{ details: fingerprintOfDetails(details) }]
  return JSON.stringify([resource ?? null, ...scopeKey(scope), ...named])
}

function tokenFor(tokens: KeptTokens | undefined, purpose: string): KeptToken | undefined {
  if (purpose !== '') {
    const token = tokens?.others?.find(other => other.purpose === purpose)
    return token && { ...token, ...(tokens?.proofKey && { proofKey: tokens.proofKey }) }
  }
  if (tokens?.accessToken === undefined) return undefined
  return { ...tokens, accessToken: tokens.accessToken, tokenType: tokens.tokenType ?? 'Bearer' }
}

function toAccessToken({
  accessToken,
  tokenType,
  scope,
  expiresAt,
  authorizationDetails,
  proofKey,
}: KeptToken): AccessToken {
  const granted = authorizationDetails !== undefined && { authorizationDetails }
  return bindToken({ value: accessToken, type: tokenType, scope, expiresAt, ...granted }, proofKey)
}

/** Whether the session has ended. */
function isOver(error: unknown): boolean {
  return (
    error instanceof OidcError &&
    (error.code === 'ERR_OIDC_LOGIN_REQUIRED' || error.code === 'ERR_OIDC_REFRESH_REJECTED')
  )
}

function isDenied(error: unknown): boolean {
  const isTokenDenied = error instanceof OidcError && error.code === 'ERR_OIDC_TOKEN_DENIED'
  return isTokenDenied && factsOf(error).error === 'invalid_grant'
}

function expired(hasToken: boolean): OidcError {
  const why = hasToken
    ? 'the access token has expired, and there is no refresh token: ask for the scope offline_access'
    : 'the sign-in brought no such access token and no refresh token'
  return new OidcError('ERR_OIDC_ACCESS_TOKEN_EXPIRED', why)
}
