import { randomUUID } from 'node:crypto'
import { buildClientAuthentication, type ClientAuthentication } from '../protocol/client-authentication.js'
import { parseTokenError, parseTokenResponse } from '../protocol/token-response.js'
import type { ProviderMetadata, TokenResponse } from '../protocol/wire.js'
import type { HttpAnswer } from './answer.js'
import { requiredEndpoint } from './discovery.js'
import type { Http } from './http.js'

export interface TokenEndpointSettings {
  readonly clientId: string
  readonly authentication: (metadata: ProviderMetadata) => ClientAuthentication
  readonly http: Http
  readonly now: () => Date
  readonly random?: (() => string) | undefined
}

/** One POST per call, whatever happens: a code or a refresh token that may have arrived is never sent again. */
export type RequestTokens = (
  metadata: ProviderMetadata,
  grant: Readonly<Record<string, string>>,
  expected: { readonly idTokenRequired: boolean },
) => Promise<TokenResponse>

/** @see https://www.rfc-editor.org/rfc/rfc6749#section-3.2 */
export function createTokenEndpoint(settings: TokenEndpointSettings): RequestTokens {
  const { clientId, authentication, http, now, random = randomUUID } = settings

  return async function requestTokens(metadata, grant, expected) {
    const endpoint = requiredEndpoint(metadata, 'token_endpoint')
    const context = { clientId, audience: metadata.issuer, now: Math.floor(now().getTime() / 1000), jti: random() }
    const { headers, body } = await buildClientAuthentication(authentication(metadata), context)
    const answer = await http.postForm(endpoint, { ...grant, ...body }, headers)
    if (answer.status !== 200) throw parseTokenError(answer.status, readError(answer))
    return parseTokenResponse(answer.json(), expected)
  }
}

/** An error page of a proxy in between is no JSON; its status still says something. */
function readError(answer: HttpAnswer): unknown {
  try {
    return answer.json()
  } catch {
    return undefined
  }
}
