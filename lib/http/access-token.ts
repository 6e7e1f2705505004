import type { AccessToken, AccessTokenRequest } from '../tokens/access-tokens.js'
import { addChallenge } from './error-response.js'
import type { RequestContext } from './request-context.js'

/**
 * The access token of the user who is signed in.
 *
 * @throws {OidcError} those of {@link AccessTokens.get}
 */
export function getAccessToken(context: RequestContext, options: AccessTokenRequest = {}): Promise<AccessToken> {
  return withChallenge(context, () => context.whileSignedIn(id => context.services.accessTokens.get(id, options)))
}

/** Does something for a signed-in user. An error that the site's own handler responds with says where to sign in, too. */
export async function withChallenge<T>(context: RequestContext, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    addChallenge(context, error)
    throw error
  }
}
