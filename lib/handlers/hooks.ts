import type { Request } from 'express'
import type { AuthorizationParams } from '../protocol/authorization-request.js'
import type { IdTokenClaims, UserInfo } from '../protocol/wire.js'
import type { Tokens } from '../state/ticket.js'

/** What the site learns about a sign-in that has passed every check. */
export interface SignInContext {
  /** Claims of the ID Tokens and userinfo, merged, without the protocol claims. */
  readonly claims: Readonly<Record<string, unknown>>
  /** The verified ID Token claims, protocol claims included. */
  readonly idTokenClaims: IdTokenClaims
  /** The userinfo answer, where one was fetched. */
  readonly userInfo: UserInfo | undefined
  readonly tokens: Readonly<Tokens>
  /** The callback request. For `form_post` it carries no session. */
  readonly req: Request
}

/**
 * Places where a site takes part. A hook gets read-only values and returns what it wants changed; a hook that throws stops what
 * was going on, and its error reaches the site's error handler as it is.
 *
 * Order in a sign-in: `authorizationParams` before the browser leaves, `signIn` after the last check of the callback.
 */
export interface Hooks {
  /** More parameters for one authorization request, such as `login_hint` or `ui_locales`. Protocol parameters cannot be replaced. */
  authorizationParams?(req: Request): AuthorizationParams | undefined | Promise<AuthorizationParams | undefined>
  /**
   * Decides what is kept as `req.oidc.user`. Runs after the last check; what it returns replaces the claims, and `undefined` keeps
   * them. Load or create the local user here; throw to refuse the sign-in.
   */
  signIn?(
    context: SignInContext,
  ): Readonly<Record<string, unknown>> | undefined | Promise<Readonly<Record<string, unknown>> | undefined>
}
