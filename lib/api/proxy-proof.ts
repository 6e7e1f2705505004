import type { IncomingMessage } from 'node:http'
import type { Provider } from '../provider/provider.js'
import type { AccessToken } from '../tokens/access-tokens.js'
import { keyOfToken } from '../tokens/bound-token.js'

/** How the requests of one call show the token. */
export interface TokenPresentation {
  readonly authorization: string
  /** The proof of one request, where the token is bound to a key: a fresh one every time. */
  proof(): { readonly dpop?: string }
  /** Whether a response asks for another nonce. It is followed once: what the API says then is its response. */
  asksForNonce(response: IncomingMessage): boolean
}

/** RFC 6750 section 2.1, RFC 9449 section 7. */
export async function presentToken(
  provider: Pick<Provider, 'proofs'>,
  token: AccessToken,
  request: { readonly method: string; readonly url: string },
): Promise<TokenPresentation> {
  const key = keyOfToken(token)
  if (key === undefined) return { authorization: `Bearer ${token.value}`, proof: () => ({}), asksForNonce: () => false }
  const proofs = await provider.proofs()
  const proven = { ...request, key, accessToken: token.value }
  let nonce: string | undefined
  return {
    authorization: `DPoP ${token.value}`,
    proof: () => ({ dpop: proofs.sign(proven, nonce) }),
    asksForNonce({ statusCode: status = 0, headers: fields }) {
      const headers = new Headers()
      for (const name of ['dpop-nonce', 'www-authenticate']) {
        const value = fields[name]
        if (typeof value === 'string') headers.set(name, value)
      }
      proofs.rememberNonce(proven.url, headers)
      const asked = nonce === undefined ? proofs.challengeOf({ status, headers }) : undefined
      nonce ??= asked
      return asked !== undefined
    },
  }
}
