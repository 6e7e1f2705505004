/**
 * Why a session ended: the user signed out here (`logout`), the provider's page requested it (`front-channel`), the provider itself requested it
 * (`back-channel`), or the site did, by `oidc.sessions.revoke` (`revoked`), or another user signed in
 * in the same browser (`replaced`), or a security event (`signal`) or a global revocation (`global-revocation`) ended it.
 */
export type SignOutReason =
  | 'logout'
  | 'front-channel'
  | 'back-channel'
  | 'revoked'
  | 'replaced'
  | 'signal'
  | 'global-revocation'

/**
 * Why a session that was watched is over: a {@link SignOutReason}, its time was over (`expired`), the provider refused its refresh token
 * (`refresh-rejected`), or there was none when the watch began (`no-session`).
 */
export type SessionEndReason = SignOutReason | 'expired' | 'refresh-rejected' | 'no-session'

const REASONS: Readonly<Record<SessionEndReason, true>> = {
  logout: true,
  'front-channel': true,
  'back-channel': true,
  revoked: true,
  replaced: true,
  signal: true,
  'global-revocation': true,
  expired: true,
  'refresh-rejected': true,
  'no-session': true,
}

/** What another process says about a removal. Anything else is a later version of this package, or none of it. */
export function parseEndReason(text: string | undefined): SessionEndReason | undefined {
  return text !== undefined && Object.hasOwn(REASONS, text) ? (text as SessionEndReason) : undefined
}
