import type { RequestContext } from '../http/request-context.js'
import type { AccessToken } from '../tokens/access-tokens.js'
import { keyOfToken } from '../tokens/bound-token.js'

/** The request that a proof is for, which the site sends itself. RFC 9449 section 4.2. */
export interface DpopProofOptions {
  /** As it is sent: `GET`, `POST` and so on, in capitals. */
  readonly method: string
  /** Where it is sent. What follows `?` or `#` is no part of the proof. */
  readonly url: string | URL
  /** The token that goes along, as `req.oidc.accessToken()` or `req.oidc.exchange()` has returned it. Default: that of `req.oidc.accessToken()`. */
  readonly token?: AccessToken
  /** The `DPoP-Nonce` of a response of this API. Default: the last one that is known of its origin. RFC 9449 section 9. */
  readonly nonce?: string
}

/** A proof with the key that a token is bound to, for one request. `undefined`: the token is bound to none. */
export async function createDpopProof(
  { services: { provider } }: RequestContext,
  { method, url, nonce }: DpopProofOptions,
  token: AccessToken,
): Promise<string | undefined> {
  const key = keyOfToken(token)
  if (key === undefined) return undefined
  const proofs = await provider.proofs()
  if (nonce !== undefined) proofs.rememberNonce(url, new Headers({ 'dpop-nonce': nonce }))
  return proofs.sign({ key, method, url, accessToken: token.value }, nonce)
}
