import type { NextFunction, Request } from 'express'
import { OidcError } from '../errors.js'
import { checkUserInfoSubject } from '../protocol/user-info.js'
import type { UserInfo } from '../protocol/wire.js'
import type { Ticket, Tokens } from '../state/ticket.js'
import { answerFailure } from './failure.js'
import { type LoginOptions, startLogin } from './login.js'
import { endSignIn, type LogoutOptions } from './logout.js'
import { epochSeconds } from './site.js'
import type { Visit } from './visit.js'

/** The claims kept of a signed-in user. A site narrows this by declaration merging or by its own type guard. */
export interface OidcUser {
  readonly sub: string
  readonly [claim: string]: unknown
}

/** An access token and what is known about it. */
export interface AccessToken {
  readonly value: string
  /** `Bearer`, as the provider spelled it. */
  readonly type: string
  /** Space-separated scope that was granted. */
  readonly scope: string
  /** Seconds since the epoch; `undefined` where the provider did not say. */
  readonly expiresAt: number | undefined
}

/** `req.oidc`: who is signed in, and what can be done about it. */
export interface OidcRequestContext {
  /** Whether somebody is signed in. */
  readonly isAuthenticated: boolean
  /** Claims after strip, merge and hook; `undefined` when nobody is signed in. */
  readonly user: OidcUser | undefined
  /** The provider's session id, where it gives one. */
  readonly sid: string | undefined
  /**
   * The access token.
   * @throws {OidcError} ERR_OIDC_LOGIN_REQUIRED, ERR_OIDC_ACCESS_TOKEN_EXPIRED, ERR_OIDC_STORE_UNAVAILABLE
   */
  accessToken(): Promise<AccessToken>
  /** The ID Token as the provider sent it; for `id_token_hint` and the like, never for the browser. */
  idToken(): Promise<string | undefined>
  /** A fresh userinfo answer, its `sub` compared. */
  userInfo(): Promise<UserInfo>
  /** Answers this request by sending the browser to the provider. */
  login(options?: LoginOptions): Promise<void>
  /** Answers this request by ending the session here and then at the provider. */
  logout(options?: LogoutOptions): Promise<void>
}

/** The ticket's face. One per request, made on first access. */
export class RequestContext implements OidcRequestContext {
  readonly #visit: Visit

  constructor(visit: Visit) {
    this.#visit = visit
    visit.res.vary('Cookie')
  }

  get isAuthenticated(): boolean {
    return this.#visit.ticket() !== undefined
  }

  get user(): OidcUser | undefined {
    return this.#visit.ticket()?.claims as OidcUser | undefined
  }

  get sid(): string | undefined {
    return this.#visit.ticket()?.sid
  }

  /** @internal The granted scope, for `requiresScope`. */
  get scope(): string | undefined {
    return this.#visit.ticket()?.scope
  }

  async accessToken(): Promise<AccessToken> {
    const { accessToken, tokenType, scope, expiresAt } = await this.#tokens()
    if (accessToken === undefined) {
      throw new OidcError(
        'ERR_OIDC_ACCESS_TOKEN_EXPIRED',
        'the sign-in brought no access token: the response type has no code',
      )
    }
    if (expiresAt !== undefined && expiresAt <= epochSeconds(this.#visit.services.site)) {
      throw new OidcError('ERR_OIDC_ACCESS_TOKEN_EXPIRED', 'the access token has expired')
    }
    return { value: accessToken, type: tokenType ?? 'Bearer', scope, expiresAt }
  }

  async idToken(): Promise<string | undefined> {
    return (await this.#tokens()).idToken
  }

  async userInfo(): Promise<UserInfo> {
    const { value } = await this.accessToken()
    const userInfo = await this.#visit.services.provider.fetchUserInfo(value)
    checkUserInfoSubject(userInfo, this.#signedIn().subject)
    return userInfo
  }

  login(options: LoginOptions = {}): Promise<void> {
    return startLogin(this.#visit, options)
  }

  logout(options: LogoutOptions = {}): Promise<void> {
    return endSignIn(this.#visit, options)
  }

  /** @internal Answers with an error the way all our routes do. */
  fail(error: unknown, next: NextFunction): void {
    answerFailure(this.#visit, error, next)
  }

  #signedIn(): Ticket {
    const ticket = this.#visit.ticket()
    if (ticket === undefined) throw new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'nobody is signed in')
    return ticket
  }

  async #tokens(): Promise<Tokens> {
    this.#signedIn()
    const tokens = await this.#visit.readTokens()
    if (tokens === undefined) throw new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'the session has ended')
    return tokens
  }
}

/** The context of a request, as the guards see it. @throws {OidcError} ERR_OIDC_NOT_MOUNTED */
export function contextOf(req: Request): RequestContext {
  const context: unknown = req.oidc
  if (context instanceof RequestContext) return context
  throw new OidcError('ERR_OIDC_NOT_MOUNTED', 'mount openIdConnect with app.use() before the routes it protects')
}

/** Defines `req.oidc`, to be made on first access. */
export function defineContext(req: Request, visit: Visit): void {
  let context: RequestContext | undefined
  Object.defineProperty(req, 'oidc', {
    configurable: true,
    enumerable: true,
    get: () => {
      context ??= new RequestContext(visit)
      return context
    },
  })
}
