import { type ApiFetchOptions, fetchApi } from '../api/api-fetch.js'
import { createDpopProof, type DpopProofOptions } from '../api/dpop-proof.js'
import { fetchUserInfo, type UserInfoOptions } from '../api/user-info.js'
import { OidcError } from '../errors.js'
import { getAccessToken, withChallenge } from '../http/access-token.js'
import { varyByCookie } from '../http/cookies.js'
import { respondWithError } from '../http/error-response.js'
import type { HttpRequest } from '../http/node-http.js'
import type { RequestContext } from '../http/request-context.js'
import { createRequestProperties } from '../http/request-properties.js'
import { findRequestState, requestState } from '../http/request-state.js'
import { logForeignReturnTo } from '../http/return-to.js'
import type { UserInfo } from '../protocol/wire.js'
import { startLogin } from '../sign-in/login.js'
import type { LoginOptions } from '../sign-in/login-options.js'
import { endSignIn, type LogoutOptions } from '../sign-out/logout.js'
import type { Tokens } from '../store/ticket.js'
import type { AccessToken, AccessTokenOptions } from '../tokens/access-tokens.js'
import type { ExchangeOptions } from '../tokens/token-exchange.js'
import {
  readAccessToken,
  readDpopProof,
  readExchange,
  readFetch,
  readLogin,
  readLogout,
  readUserInfo,
} from './argument-rules.js'

/** The claims kept of a signed-in user. A site narrows this by declaration merging or by its own type guard. */
export interface OidcUser {
  /** The permanent identifier of the user at the provider. It is unique together with the issuer. */
  readonly sub: string
  readonly [claim: string]: unknown
}

/** `req.oidc`: who is signed in, and what can be done about it. */
export interface OidcRequest {
  /** Whether a user is signed in. */
  readonly isAuthenticated: boolean
  /** Claims after strip, merge and hook; `undefined` when no user is signed in. */
  readonly user: OidcUser | undefined
  /** The name of the provider that the user signed in at; `undefined` when no user is signed in, and on a site with one provider. */
  readonly provider: string | undefined
  /** The provider's session id, where it gives one. */
  readonly sid: string | undefined
  /** Names this session in `oidc.sessions`; `undefined` when no user is signed in. */
  readonly handle: string | undefined
  /**
   * An access token that is good for a while; refreshed where it is not, once for all requests of all processes.
   * @throws {OidcError} ERR_OIDC_LOGIN_REQUIRED when the session has ended, ERR_OIDC_REFRESH_REJECTED when it ends with this,
   *   ERR_OIDC_ACCESS_TOKEN_EXPIRED when there is nothing to refresh with, ERR_OIDC_TOKEN_DENIED, ERR_OIDC_STORE_UNAVAILABLE, and
   *   ERR_OIDC_PROVIDER_UNAVAILABLE while the provider is away and the token at hand is void
   */
  accessToken(options?: AccessTokenOptions): Promise<AccessToken>
  /**
   * `fetch` with the access token, to the origins of the option `apis`. A 401 that says the token is invalid leads to one refresh
   * and one more attempt.
   * @throws {OidcError} ERR_OIDC_API_ORIGIN, and those of {@link accessToken}; a failing network throws what `fetch` throws
   */
  fetch(url: string | URL, init?: RequestInit, options?: ApiFetchOptions): Promise<Response>
  /**
   * A DPoP proof for one request that the site sends to an API with an HTTP client of its own, with the key that the token is bound to: the value of the
   * header `DPoP`. It is good for one attempt. `undefined`: the token is a bearer token. RFC 9449 section 7.
   * @throws {OidcError} ERR_OIDC_OPTIONS for options that are not understood, and those of {@link accessToken} where no token is given
   */
  dpopProof(options: DpopProofOptions): Promise<string | undefined>
  /**
   * Exchanges the access token for one that calls another service on behalf of the user. RFC 8693.
   * @throws {OidcError} ERR_OIDC_TOKEN_DENIED, ERR_OIDC_UNSUPPORTED, and those of {@link accessToken}
   */
  exchange(options: ExchangeOptions): Promise<AccessToken>
  /**
   * Revokes refresh and access token at the provider and deletes them; the user stays signed in here. RFC 7009.
   * @throws {OidcError} ERR_OIDC_UNSUPPORTED where the provider does not offer it, and those of the provider; nothing has changed then
   */
  revokeTokens(): Promise<void>
  /**
   * The ID Token as the provider sent it; for `id_token_hint` and the like, never for the browser.
   * @throws {OidcError} ERR_OIDC_LOGIN_REQUIRED when no user is signed in, ERR_OIDC_STORE_UNAVAILABLE
   */
  idToken(): Promise<string | undefined>
  /**
   * Requests userinfo and compares its `sub`; with `refresh`, updates `req.oidc.user` from it. OpenID Connect Core 1.0 section 5.3.
   * @throws {OidcError} ERR_OIDC_USER_INFO_RESPONSE, ERR_OIDC_USER_INFO_SUBJECT, those of {@link accessToken} and of the provider;
   *   ERR_OIDC_OPTIONS for `refresh` on a site that has a `signIn` hook and no `refresh` hook
   */
  userInfo(options?: UserInfoOptions): Promise<UserInfo>
  /**
   * Starts a sign-in: responds to this request with a redirect to the provider. Where that fails, because the provider cannot be reached
   * for instance, the error goes to the site's error handler, and the promise is fulfilled all the same.
   * @throws {OidcError} ERR_OIDC_OPTIONS for options that are not understood
   */
  login(options?: LoginOptions): Promise<void>
  /**
   * Signs out: ends the session here and responds with a redirect to the provider. The route decides whether the request may do so:
   * unlike `/logout`, it does not ask for confirmation. OpenID Connect RP-Initiated Logout 1.0. Where the session could not be ended
   * (ERR_OIDC_STORE_UNAVAILABLE), nothing has changed, the error goes to the site's error handler, and the promise is fulfilled all the same.
   * @throws {OidcError} ERR_OIDC_OPTIONS for options that are not understood
   */
  logout(options?: LogoutOptions): Promise<void>
}

/** Implements `req.oidc`. One per request, made on first access. */
export class SignedInRequest implements OidcRequest {
  readonly #context: RequestContext

  constructor(context: RequestContext) {
    this.#context = context
    varyByCookie(context.res)
  }

  get isAuthenticated(): boolean {
    return this.#context.ticket() !== undefined
  }

  get user(): OidcUser | undefined {
    return this.#context.ticket()?.claims as OidcUser | undefined
  }

  get provider(): string | undefined {
    return this.#context.ticket()?.provider
  }

  get sid(): string | undefined {
    return this.#context.ticket()?.sid
  }

  get handle(): string | undefined {
    return this.#context.handle()
  }

  async accessToken(options?: AccessTokenOptions): Promise<AccessToken> {
    return getAccessToken(this.#context, readAccessToken(options))
  }

  async fetch(url: string | URL, init?: RequestInit, options?: ApiFetchOptions): Promise<Response> {
    return withChallenge(this.#context, () => fetchApi(this.#context, url, init, readFetch(url, init, options)))
  }

  async dpopProof(options: DpopProofOptions): Promise<string | undefined> {
    const read = readDpopProof(options)
    return createDpopProof(this.#context, read, read.token ?? (await this.accessToken()))
  }

  async exchange(options: ExchangeOptions): Promise<AccessToken> {
    const read = readExchange(options)
    return this.#context.services.exchanges.exchange(await this.accessToken(), read)
  }

  async revokeTokens(): Promise<void> {
    const { revocations, store } = this.#context.services
    await withChallenge(this.#context, () => revocations.revoke(store.tokenStore(this.#context.signedIn().id)))
  }

  async idToken(): Promise<string | undefined> {
    return (await withChallenge(this.#context, () => this.#tokens())).idToken
  }

  async userInfo(options?: UserInfoOptions): Promise<UserInfo> {
    return withChallenge(this.#context, () => fetchUserInfo(this.#context, readUserInfo(options)))
  }

  async login(options?: LoginOptions): Promise<void> {
    const wishes = readLogin(options)
    logForeignReturnTo(this.#context.services, 'req.oidc.login', wishes.returnTo)
    await startLogin(this.#context, wishes).catch(error => respondWithError(this.#context, error))
  }

  async logout(options?: LogoutOptions): Promise<void> {
    const wishes = readLogout(options)
    logForeignReturnTo(this.#context.services, 'req.oidc.logout', wishes.returnTo)
    await endSignIn(this.#context, wishes).catch(error => respondWithError(this.#context, error))
  }

  async #tokens(): Promise<Tokens> {
    this.#context.signedIn()
    const tokens = await this.#context.readTokens()
    if (tokens === undefined) throw new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'the session has ended')
    return tokens
  }
}

const defineAccessor = createRequestProperties({
  oidc: {
    get(this: HttpRequest) {
      const state = findRequestState(this)
      if (state?.context === undefined) return undefined
      state.oidc ??= new SignedInRequest(state.context)
      return state.oidc
    },
  },
})

/** Defines `req.oidc`, to be made on first access. */
export function defineContext(req: HttpRequest, context: RequestContext): void {
  defineAccessor(req)
  const state = requestState(req)
  const { context: earlier, others = [] } = state
  // `req.oidc` is that of the instance that came last; guards of an earlier one still find theirs.
  if (earlier !== undefined && earlier.services.instance !== context.services.instance)
    state.others = [...others, earlier]
  state.context = context
  state.oidc = undefined
}
