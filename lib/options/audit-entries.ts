import type { OidcErrorCode } from '../errors.js'
import type { SignOutReason } from '../store/end-reason.js'

/** What every entry says. No entry holds a token, a cookie, or a claim other than `sub` and `sid`. */
interface AuditBase {
  /** Milliseconds since the epoch, on the clock of the site (the option `now`). */
  readonly at: number
  /** The issuer at which the user signed in, or tried to. */
  readonly issuer: string
  /** The name of that provider, where the site has several. */
  readonly provider?: string
  /** Names the request; the same as on its error page and in its log line. Absent where no request caused the event. */
  readonly correlationId?: string
  /** Who sent the request: `req.ip` of Express, which `trust proxy` decides, else the other end of the connection. */
  readonly ip?: string
}

/** An entry about one session. */
interface AuditedSession extends AuditBase {
  /** The user at that issuer. */
  readonly sub: string
  /** The session at the provider, where it gave one. */
  readonly sid?: string
  /** The base URL of the host of the session, where the site has several. */
  readonly baseUrl?: string
  /** The session here: a `handle` of `oidc.sessions` and `req.oidc`. It cannot be used to sign in. */
  readonly session: string
}

/** A user has signed in. */
export interface AuditSignIn extends AuditedSession {
  /**
   * `step-up`: a user who was signed in has authenticated again, because `acr`, `maxAge` or `prompt: 'login'` asked for it. `sign-in`: every
   * other sign-in.
   */
  readonly type: 'sign-in' | 'step-up'
  /** Handles of the sessions of the same user in this browser that this one takes the place of. They end without an entry of their own. */
  readonly replaces: readonly string[]
}

/** The callback has failed, and no user was signed in by it. */
export interface AuditSignInRefused extends AuditBase {
  /** Tells this entry from the others. */
  readonly type: 'sign-in-refused'
  /** Of the {@link OidcError}. `undefined`: the hook `signIn` of the site has refused it with an error of its own. */
  readonly code: OidcErrorCode | undefined
  /** The user, where an ID Token had passed every check by then. */
  readonly sub?: string
  /** The session at the provider, where that ID Token named one. */
  readonly sid?: string
}

/** The provider did not refresh tokens, and not because it was away. */
export interface AuditRefreshRefused extends AuditedSession {
  /** Tells this entry from the others. */
  readonly type: 'refresh-refused'
  /** Of the {@link OidcError}. */
  readonly code: OidcErrorCode
  /** Whether the session has ended with this. There is no other entry about that end. */
  readonly endsSession: boolean
}

/** A session was ended. */
export interface AuditSignOut extends AuditedSession {
  /** Tells this entry from the others. */
  readonly type: 'sign-out'
  /** Who ended it: the browser, the provider or another transmitter, or the code of the site. */
  readonly by: 'user' | 'provider' | 'site'
  /** As in the hook `signOut`; `destroyed`: the site called `req.session.destroy()`, `regenerate()` or `destroy()` of the session store. */
  readonly reason: SignOutReason | 'destroyed'
  /** The type of the security event, where `reason` is `signal`. */
  readonly event?: string
  /** When it began, in seconds since the epoch. */
  readonly signedInAt: number
}

/** A session is not there any more, and no sign-out ended it. */
export interface AuditSessionExpired extends AuditedSession {
  /** Tells this entry from the others. */
  readonly type: 'session-expired'
  /** When it began, in seconds since the epoch. */
  readonly signedInAt: number
}

/** What the hook `audit` is told. The entry can be written as JSON as it is. New types and members may come with any version. */
export type AuditEntry = AuditSignIn | AuditSignInRefused | AuditRefreshRefused | AuditSignOut | AuditSessionExpired

/** What sessions, tickets and summaries say alike. */
export interface Auditable {
  readonly issuer: string
  readonly provider?: string
  readonly baseUrl?: string
  readonly subject: string
  readonly sid?: string
}

/** The members of an entry that name a session and its user. */
export function describeSession(
  { issuer, provider, baseUrl, subject, sid }: Auditable,
  handle: string,
): Pick<AuditedSession, 'issuer' | 'provider' | 'sub' | 'sid' | 'baseUrl' | 'session'> {
  return {
    issuer,
    ...(provider !== undefined && { provider }),
    sub: subject,
    ...(sid !== undefined && { sid }),
    ...(baseUrl !== undefined && { baseUrl }),
    session: handle,
  }
}
