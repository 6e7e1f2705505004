import { randomUUID } from 'node:crypto'
import {
  buildClientAuthentication,
  type ClientAuthentication,
  type ClientAuthenticationParts,
} from '../protocol/client-authentication.js'
import type { ProviderMetadata } from '../protocol/wire.js'

export interface ClientProofSettings {
  readonly clientId: string
  readonly authentication: (metadata: ProviderMetadata) => ClientAuthentication
  readonly now: () => Date
  readonly random?: (() => string) | undefined
}

/** What proves to an endpoint of the provider who asks; a new one for every request. */
export type BuildClientProof = (metadata: ProviderMetadata) => Promise<ClientAuthenticationParts>

export function createClientProof(settings: ClientProofSettings): BuildClientProof {
  const { clientId, authentication, now, random = randomUUID } = settings
  return metadata => {
    const context = { clientId, audience: metadata.issuer, now: Math.floor(now().getTime() / 1000), jti: random() }
    return buildClientAuthentication(authentication(metadata), context)
  }
}
