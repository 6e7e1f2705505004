import type { AccessToken, AccessTokenRequest } from '../tokens/access-tokens.js'
import { addChallenge } from './error-response.js'
import type { RequestContext } from './request-context.js'

/**
 * The access token of the user who is signed in.
 *
 * @throws {OidcError} those of {@link AccessTokens.get}
 */
export function getAccessToken(context: RequestContext, options: AccessTokenRequest = {}): Promise<AccessToken> {
  const { accessTokens } = context.services
  // The token of a session that began during this request is newer than what the caller wants to have replaced.
  const get = (id: string, isSuccessor: boolean) =>
    accessTokens.get(id, isSuccessor ? { ...options, forceRefresh: false } : options)
  return withChallenge(context, () => context.whileSignedIn(get))
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
