import type { AuthenticationClaims } from '../protocol/claims.js'
import type { Ticket } from '../store/ticket.js'

/**
 * How and when the user signed in. It is kept from the ID Token of the sign-in: the one at hand may have come with refreshed tokens, where
 * no user has signed in. OpenID Connect Core 1.0 section 12.2.
 */
export function authenticationOf({ acr, amr, authTime, claims }: Ticket): AuthenticationClaims {
  // A session of an earlier version has its `amr` among the claims alone.
  const methods = amr ?? claims.amr
  return {
    ...(acr !== undefined && { acr }),
    ...(methods !== undefined && { amr: methods }),
    ...(authTime !== undefined && { auth_time: authTime }),
  }
}
