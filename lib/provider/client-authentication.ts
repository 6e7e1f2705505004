import { randomUUID } from 'node:crypto'
import { type AssertionAudience, resolveAudience } from '../protocol/client-assertion.js'
import {
  buildClientAuthentication,
  type ClientAuthentication,
  type ClientAuthenticationParts,
} from '../protocol/client-authentication.js'
import type { ProviderMetadata } from '../protocol/wire.js'

export interface ClientAuthenticationSettings {
  readonly clientId: string
  readonly authentication: (metadata: ProviderMetadata) => ClientAuthentication
  /** For whom assertions are made. Default `issuer`. */
  readonly audience?: AssertionAudience | undefined
  readonly now: () => Date
  readonly random?: (() => string) | undefined
}

/** What proves to an endpoint of the provider who asks; a new one for every request. */
export type AuthenticateClient = (metadata: ProviderMetadata, endpoint: string) => Promise<ClientAuthenticationParts>

export function createClientAuthentication(settings: ClientAuthenticationSettings): AuthenticateClient {
  const { clientId, authentication, now, random = randomUUID } = settings
  return (metadata, endpoint) => {
    const addresses = { issuer: metadata.issuer, token_endpoint: metadata.token_endpoint ?? endpoint, endpoint }
    const audience = resolveAudience(settings.audience ?? 'issuer', addresses)
    const context = { clientId, audience, now: Math.floor(now().getTime() / 1000), jti: random() }
    return buildClientAuthentication(authentication(metadata), context)
  }
}
