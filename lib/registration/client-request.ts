import type { ClientMetadata } from '../protocol/client-metadata.js'
import type { Registration } from '../protocol/registration-response.js'
import type { ClientAuthenticationMethod } from '../protocol/wire.js'
import { hasPublicKeys, listPublicKeys } from '../provider/public-keys.js'
import { type DescribedClient, describeClient } from './describe-client.js'
import type { RegisteredCredentials } from './registered-client.js'
import type { UpdateOptions } from './registration-options.js'

/** Methods that need nothing but the secret, the one that every provider has to offer first. RFC 7591 section 2. */
const BY_SECRET = ['client_secret_basic', 'client_secret_post', 'client_secret_jwt'] as const

/**
 * What is sent to the provider.
 *
 * @param listed - the methods of the token endpoint that the provider offers, where it says so
 * @throws {OidcError} ERR_OIDC_OPTIONS for a key whose public half cannot be computed
 */
export async function buildRequest(
  client: DescribedClient,
  { metadata: more = {}, softwareStatement }: UpdateOptions,
  listed: readonly string[] | undefined,
): Promise<ClientMetadata> {
  const derived = describeClient(client)
  const method = BY_SECRET.find(name => listed?.includes(name)) ?? BY_SECRET[0]
  const whole = {
    token_endpoint_auth_method: method,
    ...derived,
    ...(await publicKeys(client, derived)),
    ...(softwareStatement !== undefined && { software_statement: softwareStatement }),
    ...more,
  }
  return Object.fromEntries(Object.entries(whole).filter(([name, value]) => value !== null && !isOther(name, more)))
}

/** Keys are named by their address or by themselves, and never by both. RFC 7591 section 2. */
function isOther(name: string, more: ClientMetadata): boolean {
  return (name === 'jwks' && more.jwks_uri != null) || (name === 'jwks_uri' && more.jwks != null)
}

async function publicKeys({ provider }: DescribedClient, { jwks_uri: uri }: ClientMetadata): Promise<ClientMetadata> {
  return hasPublicKeys(provider) && uri === undefined ? { jwks: { keys: await listPublicKeys(provider) } } : {}
}

/** Whether this site can prove itself in a way that it has not asked for: secrets can be sent in any of their ways. */
export function canAuthenticate({ provider }: DescribedClient): (method: string) => boolean {
  const { clientAuthentication: method = BY_SECRET[0] } = provider
  return registered => isBySecret(method) && isBySecret(registered)
}

function isBySecret(method: string): method is (typeof BY_SECRET)[number] {
  return BY_SECRET.some(name => name === method)
}

/** The options that a registration amounts to. What the options of the site say already is left to them. */
export function credentialsOf(
  { provider }: DescribedClient,
  { clientId, clientSecret, metadata }: Registration,
  requested: ClientMetadata,
): RegisteredCredentials {
  const method = methodOf(metadata.token_endpoint_auth_method ?? requested.token_endpoint_auth_method)
  const signsWithSecret = provider.idTokenAlgorithm?.startsWith('HS') || provider.userInfoAlgorithm?.startsWith('HS')
  const isUseful = method !== 'none' || signsWithSecret === true
  return {
    clientId,
    ...(clientSecret !== undefined && isUseful && { clientSecret }),
    ...(method !== undefined && method !== provider.clientAuthentication && { clientAuthentication: method }),
  }
}

/** Methods that an option names by a word alone. */
function methodOf(value: unknown): Exclude<ClientAuthenticationMethod, 'private_key_jwt'> | undefined {
  const methods = [...BY_SECRET, 'tls_client_auth', 'self_signed_tls_client_auth', 'none'] as const
  return methods.find(name => name === value)
}
