import type { RequestContext } from '../http/request-context.js'
import type { LoginOptions } from './login-options.js'

/** Characters. IdentityServer refuses longer ones. */
const LONGEST_LOGIN_HINT = 100

/** Characters of an ID Token that still fits into an address. */
const LONGEST_ID_TOKEN_HINT = 1200

const HINTS = ['login_hint', 'id_token_hint']

/**
 * For a user who is signed in and is sent to the provider: tells the provider which user is expected. Sends a login
 * name if the claims have one, and otherwise the ID Token, which costs a read. What the site says itself counts more. OpenID Connect Core 1.0 section 3.1.2.1.
 */
export async function withHint(context: RequestContext, options: LoginOptions): Promise<LoginOptions> {
  const { ticket } = context.signedIn()
  const said = { ...context.services.config.authorizationParams, ...options.params }
  if (options.loginHint !== undefined || HINTS.some(name => said[name] !== undefined)) return options
  const { preferred_username: name, email } = ticket.claims
  const loginHint = [name, email].find(
    (value): value is string => typeof value === 'string' && value !== '' && value.length <= LONGEST_LOGIN_HINT,
  )
  if (loginHint !== undefined) return { ...options, loginHint }
  const idToken = (await context.readTokens())?.idToken
  if (idToken === undefined || idToken.length > LONGEST_ID_TOKEN_HINT) return options
  return { ...options, params: { ...options.params, id_token_hint: idToken } }
}
