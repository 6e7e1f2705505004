import type { ClientMetadata } from '../protocol/client-metadata.js'
import { findChanges } from '../protocol/client-metadata.js'
import type { Registration } from '../protocol/registration-response.js'
import { askSite } from '../provider/client-key.js'
import { createDiscovery } from '../provider/discovery.js'
import { createHttp } from '../provider/http.js'
import { createRegistrationEndpoint, type RegistrationEndpoint } from '../provider/registration-endpoint.js'
import { buildRequest, canAuthenticate, credentialsOf } from './client-request.js'
import { configureClient } from './configure-client.js'
import type { DescribedClient } from './describe-client.js'
import type { SiteOptions } from './one-provider.js'
import { mergeRegistration, type RegisteredClient, readKept } from './registered-client.js'
import {
  type ClientOptions,
  type RegisterOptions,
  readClientOptions,
  readRegisterOptions,
  readUpdateOptions,
  type UpdateOptions,
} from './registration-options.js'

export type { ClientMetadata, RegistrationChange } from '../protocol/client-metadata.js'
export type { SiteOptions } from './one-provider.js'
export type { RegisteredClient, RegisteredCredentials } from './registered-client.js'
export type { ClientOptions, RegisterOptions, UpdateOptions } from './registration-options.js'

/** What was kept of a client: all of it, or the members that a request needs. */
export type KeptClient = Partial<RegisteredClient>

/**
 * Registers this site at its provider. What the provider has to know follows from the options of the middleware. OpenID Connect Dynamic Client Registration
 * 1.0, RFC 7591.
 *
 * @param options - those of the middleware, without `clientId` and `clientSecret`; Redis and the session secret are not needed
 * @throws {OidcError} ERR_OIDC_OPTIONS; ERR_OIDC_UNSUPPORTED where the provider does not offer it; ERR_OIDC_REGISTRATION_REJECTED;
 *   ERR_OIDC_REGISTRATION_RESPONSE; ERR_OIDC_PROVIDER_UNAVAILABLE, ERR_OIDC_PROVIDER_RESPONSE, ERR_OIDC_METADATA; for several providers also
 *   ERR_OIDC_PROVIDER_UNKNOWN
 */
export async function registerClient(options: SiteOptions, given?: RegisterOptions): Promise<RegisteredClient> {
  const { provider, initialAccessToken, save, ...wanted } = readRegisterOptions(given)
  const { client, endpoint } = await setUp(options, provider)
  const { registration_endpoint: address, methods } = await discover(client)
  const requested = await buildRequest(client, wanted, methods)
  const registration = await endpoint.create(address, requested, initialAccessToken)
  const registered = build(client, registration, requested)
  try {
    await keep(client, save, registered)
  } catch (error) {
    // Its secret is lost: without it the client is of no use, and another one is registered next time.
    await remove(endpoint, registration)
    throw error
  }
  return registered
}

/**
 * Reads what is registered now. Secret and token may be other ones than before: use the result from now on. RFC 7592 section 2.1.
 *
 * @param client - the result of an earlier call, as it was kept
 * @throws {OidcError} those of {@link registerClient}
 */
export async function readClient(
  options: SiteOptions,
  client: KeptClient,
  given?: ClientOptions,
): Promise<RegisteredClient> {
  const { provider, save } = readClientOptions('readClient', given)
  const { client: described, endpoint } = await setUp(options, provider)
  const before = readKept('readClient', client, described.config.issuer)
  const registration = mergeRegistration(before, await endpoint.read(before))
  const registered = build(described, registration, await buildRequest(described, {}, methodsOf(registration)))
  await keep(described, save, registered)
  return registered
}

/**
 * Registers what follows from the options now, in place of everything that was registered before. Secret and token may be other ones than before: use the
 * result from now on. RFC 7592 section 2.2.
 *
 * @param client - the result of an earlier call, as it was kept
 * @throws {OidcError} those of {@link registerClient}
 */
export async function updateClient(
  options: SiteOptions,
  client: KeptClient,
  given?: UpdateOptions,
): Promise<RegisteredClient> {
  const { provider, save, ...wanted } = readUpdateOptions(given)
  const { client: described, endpoint } = await setUp(options, provider)
  const before = readKept('updateClient', client, described.config.issuer)
  const requested = await buildRequest(described, wanted, methodsOf(client) ?? (await discover(described)).methods)
  const registration = mergeRegistration(before, await endpoint.update(before, requested))
  const registered = build(described, registration, requested)
  await keep(described, save, registered)
  return registered
}

/**
 * Deletes the client at the provider: its secret and its tokens count no more. RFC 7592 section 2.3.
 *
 * @param client - the result of an earlier call, as it was kept
 * @throws {OidcError} those of {@link registerClient}
 */
export async function deleteClient(
  options: SiteOptions,
  client: KeptClient,
  given?: Pick<ClientOptions, 'provider'>,
): Promise<void> {
  const { provider } = readClientOptions('deleteClient', given)
  const { client: described, endpoint } = await setUp(options, provider)
  await endpoint.delete(readKept('deleteClient', client, described.config.issuer))
}

async function setUp(options: SiteOptions, name: string | undefined) {
  const client = await configureClient(options, name, process.env)
  const { issuer } = client.config
  return { client, endpoint: createRegistrationEndpoint({ http: createHttp(client.provider), issuer }) }
}

/** What the metadata of the provider say about registration. */
async function discover({ provider }: DescribedClient) {
  const { now, endpoints: overrides } = provider
  const metadata = await createDiscovery({ ...provider, overrides, now, http: createHttp(provider) }).get()
  const { registration_endpoint } = metadata as { readonly registration_endpoint?: unknown }
  return { registration_endpoint, methods: metadata.token_endpoint_auth_methods_supported }
}

function methodsOf({ metadata }: { readonly metadata?: ClientMetadata | undefined }): readonly string[] | undefined {
  const method = metadata?.token_endpoint_auth_method
  return typeof method === 'string' ? [method] : undefined
}

function build(client: DescribedClient, registration: Registration, requested: ClientMetadata): RegisteredClient {
  const { clientSecretExpiresAt, registrationAccessToken, registrationClientUri, metadata } = registration
  return Object.freeze({
    issuer: client.config.issuer,
    credentials: Object.freeze(credentialsOf(client, registration, requested)),
    ...(clientSecretExpiresAt !== undefined && { clientSecretExpiresAt }),
    ...(registrationAccessToken !== undefined && { registrationAccessToken, registrationClientUri }),
    metadata,
    changes: findChanges(requested, metadata, canAuthenticate(client)),
  })
}

async function keep({ config }: DescribedClient, save: ClientOptions['save'], client: RegisteredClient): Promise<void> {
  if (save !== undefined) await askSite('save', () => save(client), config.timeouts.provider)
}

/** Where the provider does not allow it, the client stays: there is nothing more to try. */
async function remove(endpoint: RegistrationEndpoint, registration: Registration): Promise<void> {
  const { clientId, registrationAccessToken, registrationClientUri } = registration
  if (registrationAccessToken === undefined || registrationClientUri === undefined) return
  await endpoint.delete({ clientId, registrationAccessToken, registrationClientUri }).catch(() => undefined)
}
