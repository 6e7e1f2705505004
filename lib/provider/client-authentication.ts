import { randomUUID } from 'node:crypto'
import { type AssertionAudience, resolveAudience } from '../protocol/client-assertion.js'
import {
  buildClientAuthentication,
  type ClientAuthentication,
  type ClientAuthenticationParts,
} from '../protocol/client-authentication.js'
import type { ProviderMetadata } from '../protocol/wire.js'
import type { ChosenAuthentication } from './client-credentials.js'
import { type ClientSecret, readSecret } from './client-secret.js'

export interface ClientAuthenticationSettings {
  readonly clientId: string
  readonly authentication: (metadata: ProviderMetadata) => ChosenAuthentication
  /** Where it is a function, it is asked for the secret of each request. */
  readonly clientSecret?: ClientSecret | undefined
  /** For whom assertions are made. Default `issuer`. */
  readonly audience?: AssertionAudience | undefined
  readonly now: () => Date
  readonly random?: (() => string) | undefined
}

/** What proves to an endpoint of the provider who asks; a new one for every request. */
export type AuthenticateClient = (metadata: ProviderMetadata, endpoint: string) => Promise<ClientAuthenticationParts>

export function createClientAuthentication(settings: ClientAuthenticationSettings): AuthenticateClient {
  const { clientId, authentication, clientSecret, now, random = randomUUID } = settings
  return async (metadata, endpoint) => {
    const addresses = { issuer: metadata.issuer, token_endpoint: metadata.token_endpoint ?? endpoint, endpoint }
    const audience = resolveAudience(settings.audience ?? 'issuer', addresses)
    const context = { clientId, audience, now: Math.floor(now().getTime() / 1000), jti: random() }
    return buildClientAuthentication(await complete(authentication(metadata), clientSecret), context)
  }
}

/** The method is chosen before a secret or a key that a function returns is known. */
async function complete(
  chosen: ChosenAuthentication,
  clientSecret: ClientSecret | undefined,
): Promise<ClientAuthentication> {
  if ('choose' in chosen) return chosen.choose(await chosen.readKey())
  if (typeof clientSecret !== 'function' || !('clientSecret' in chosen)) return chosen
  return { ...chosen, clientSecret: await readSecret(clientSecret) }
}
