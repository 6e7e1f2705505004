import type { Request } from 'express'
import type { AuthorizationParams } from '../protocol/authorization-request.js'
import type { SignalAction } from '../protocol/event-action.js'
import type { IdTokenClaims, UserInfo } from '../protocol/wire.js'
import type { SignOutReason } from '../store/end-reason.js'
import type { Tokens } from '../store/ticket.js'
import type { AuditEntry } from './audit-entries.js'

/** What the site learns about a sign-in that has passed every check. */
export interface SignInContext {
  /** Claims of the ID Tokens and userinfo, merged, without the protocol claims. */
  readonly claims: Readonly<Record<string, unknown>>
  /** The verified ID Token claims, protocol claims included. */
  readonly idTokenClaims: IdTokenClaims
  /** The userinfo response, if it was requested. */
  readonly userInfo: UserInfo | undefined
  /** The tokens from the token endpoint. Do not return them from the hook: they are stored apart from the claims. */
  readonly tokens: Readonly<Tokens>
  /** The name of the provider, where the site has several. */
  readonly provider?: string
  /** The path that the user will land on. */
  readonly returnTo: string
  /** What `req.oidc.login({ data })` was given. `undefined`: another sign-in, or nothing. */
  readonly data: Readonly<Record<string, unknown>> | undefined
  /**
   * Parameters of the provider's response that are none of the protocol, by their names; empty where there are none. Apple posts the name of a
   * user as `user` once. **No signature covers them, and the user can write anything there**: nothing may be decided by them. At most 16, of at most 4,096
   * characters each; one that came twice is left out.
   */
  readonly unverifiedParams: Readonly<Record<string, string>>
  /** The callback request. For `form_post` it carries no session. */
  readonly req: Request
}

/** What the site learns after the tokens were refreshed, or userinfo was asked anew. */
export interface RefreshContext {
  /** What would be kept: after a refresh the claims as they are, after userinfo what the provider says now. */
  readonly claims: Readonly<Record<string, unknown>>
  /** The claims as they are kept until now. */
  readonly kept: Readonly<Record<string, unknown>>
  /** The verified claims of an ID Token that came with refreshed tokens. */
  readonly idTokenClaims: IdTokenClaims | undefined
  /** The userinfo response, after `userInfo({ refresh: true })`. */
  readonly userInfo: UserInfo | undefined
  /** The tokens as they are now. */
  readonly tokens: Readonly<Tokens>
}

/** A security event that has passed every check. RFC 8417, OpenID Shared Signals Framework 1.0. */
export interface Signal {
  /** A URI, such as `https://schemas.openid.net/secevent/caep/event-type/session-revoked`. */
  readonly type: string
  /** What the event says, as it was sent. */
  readonly payload: Readonly<Record<string, unknown>>
  /** Whom it is about, as it was sent; empty where the token does not say it. RFC 9493. */
  readonly subject: Readonly<Record<string, unknown>>
  /** `iss` of the token. */
  readonly transmitter: string
  /** Names the token; a token that comes again is not shown again. */
  readonly jti: string
  /** Seconds since the epoch. */
  readonly issuedAt: number
  /** What several events that have one cause have in common. */
  readonly txn?: string
  /** What is done if the hook decides nothing. */
  readonly action: SignalAction
  /** The `sub` that the event names, where it names a user of the issuer. */
  readonly sub: string | undefined
  /** The session at the provider that the event names, where it names one. */
  readonly sid: string | undefined
}

/** What a site decides about a security event. What is left out stays as it is. */
export interface SignalDecision {
  /** Takes the place of the action of the event. */
  readonly action?: SignalAction | undefined
  /** The user who is meant, for events that name a user in another way, such as by an e-mail address. */
  readonly sub?: string | undefined
  /** The session at the provider that is meant. */
  readonly sid?: string | undefined
}

/** A form that was kept during a sign-in, before it is displayed to its user. */
export interface KeptFormContext {
  /** The path and query that it will be sent to. */
  readonly address: string
  /** Its text fields, by their names; of several with one name the last. */
  readonly fields: Readonly<Record<string, string>>
  /** The request for the page. `req.oidc` and `req.session` are those of the new session. */
  readonly req: Request
}

/** A session that has ended. */
export interface SignedOut {
  /** Who ended it. */
  readonly reason: SignOutReason
  /** The issuer at which the user had signed in. */
  readonly issuer: string
  /** The name of that provider, where the site has several. */
  readonly provider?: string
  /** The `sub` of the user at that issuer. */
  readonly sub: string
  /** The provider's session id, where it gave one. */
  readonly sid: string | undefined
  /** The base URL of the host of the session, where the site has several. */
  readonly baseUrl?: string
  /** When the session began, in seconds since the epoch. */
  readonly signedInAt: number
}

/**
 * Places where a site takes part. A hook gets read-only values and returns what it wants changed; a hook that throws stops what
 * was going on, and its error reaches the site's error handler as it is.
 *
 * Order in a sign-in: `authorizationParams` before the browser leaves, `signIn` after the last check of the callback. `signOut` runs after
 * a session has ended, for any reason; the hook cannot undo that.
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
  /**
   * Learns of every session that was ended by a sign-out, once, with the reason: close sockets, clear caches, write the audit log. It is
   * awaited; where it throws, that is logged and the sign-out goes on.
   */
  signOut?(signedOut: SignedOut): void | Promise<void>
  /**
   * Is told who signed in, who was refused, and how each session ended, to be written to an audit log. Nothing waits for it, and nothing depends on
   * it: where it throws or its promise is rejected, that is a line in the log. To refuse a sign-in, use `signIn`.
   *
   * @param entry - can be written as JSON as it is: no token, no cookie, no claim other than `sub` and `sid`
   * @param req - the request that caused it, where one did. **It holds cookies and tokens**: take from it what is needed, such as an id of the site's
   */
  audit?(entry: AuditEntry, req: Request | undefined): void | Promise<void>
  /**
   * Decides what a security event does. Where it throws, the transmitter is told to send the event again; where it returns `undefined`, the
   * `action` is taken for the user and the session that the event names.
   */
  signal?(signal: Signal): SignalDecision | undefined | Promise<SignalDecision | undefined>
  /**
   * Returns new values for fields of a kept form: a CSRF token in it belongs to a session that has ended. Fields that the form does not have are not
   * added. Runs whenever the page is displayed.
   */
  keptForm?(
    form: KeptFormContext,
  ): Readonly<Record<string, string>> | undefined | Promise<Readonly<Record<string, string>> | undefined>
  /**
   * Decides what is kept as `req.oidc.user` from now on; `undefined` keeps `claims`. Runs once per refresh, in the process that did
   * it, when the new tokens are safe; there may be no request that waits for it. Needed for `userInfo({ refresh: true })` where there
   * is a `signIn` hook.
   */
  refresh?(
    context: RefreshContext,
  ): Readonly<Record<string, unknown>> | undefined | Promise<Readonly<Record<string, unknown>> | undefined>
}
