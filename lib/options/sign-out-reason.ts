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
