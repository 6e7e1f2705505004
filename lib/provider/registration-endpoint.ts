import { OidcError } from '../errors.js'
import type { ClientMetadata } from '../protocol/client-metadata.js'
import { describeRefusedRegistration, type RefusedRegistration } from '../protocol/registration-refusal.js'
import { parseRegistration, type Registration } from '../protocol/registration-response.js'
import { isProviderAddress } from '../protocol/url.js'
import type { Http, JsonRequest } from './http.js'
import type { HttpResponse } from './response.js'
import type { ProviderRequest } from './transport.js'

export interface RegistrationEndpointSettings {
  readonly http: Pick<Http, 'sendJson'>
  readonly issuer: string
}

/** A client that can be changed by the holder of its token. */
export interface ManagedClient {
  readonly clientId: string
  readonly clientSecret?: string | undefined
  readonly registrationAccessToken: string
  readonly registrationClientUri: string
}

/** Registers clients, and reads, changes and deletes them. RFC 7591, RFC 7592. */
export interface RegistrationEndpoint {
  /** @param endpoint - the `registration_endpoint` of the metadata */
  create(endpoint: unknown, metadata: ClientMetadata, initialAccessToken: string | undefined): Promise<Registration>
  read(client: ManagedClient): Promise<Registration>
  /** Replaces everything that is registered. */
  update(client: ManagedClient, metadata: ClientMetadata): Promise<Registration>
  delete(client: ManagedClient): Promise<void>
}

const METHODS = { create: 'POST', read: 'GET', update: 'PUT', delete: 'DELETE' } as const satisfies Record<
  RefusedRegistration['request'],
  ProviderRequest['method']
>

/** RFC 7591 section 3.2.1 says 201 and RFC 7592 section 2 200 or 204; some providers mix them up. */
const ACCEPTED = [200, 201, 204]

/**
 * @throws {OidcError} from the methods: ERR_OIDC_UNSUPPORTED, ERR_OIDC_METADATA, ERR_OIDC_REGISTRATION_REJECTED,
 *   ERR_OIDC_REGISTRATION_RESPONSE, ERR_OIDC_PROVIDER_UNAVAILABLE, ERR_OIDC_PROVIDER_RESPONSE
 */
export function createRegistrationEndpoint({ http, issuer }: RegistrationEndpointSettings): RegistrationEndpoint {
  async function send(request: keyof typeof METHODS, address: string, options: JsonRequest): Promise<HttpResponse> {
    const response = await http.sendJson(METHODS[request], address, options)
    const { status, providerError } = response
    if (ACCEPTED.includes(status)) return response
    throw describeRefusedRegistration({ request, status, providerError })
  }

  /** What was kept may have come from elsewhere, so that the address is checked again before the token goes there. */
  function manage(request: 'read' | 'update' | 'delete', client: ManagedClient, json?: object): Promise<HttpResponse> {
    const { registrationClientUri: uri, registrationAccessToken: bearer, clientSecret = '' } = client
    if (!isProviderAddress(uri, issuer))
      throw new OidcError('ERR_OIDC_OPTIONS', 'registrationClientUri is neither an https URL nor on this machine')
    return send(request, uri, { bearer, json, secrets: [clientSecret] })
  }

  return {
    async create(endpoint, json, bearer) {
      if (endpoint === undefined)
        throw new OidcError('ERR_OIDC_UNSUPPORTED', 'the provider does not offer dynamic client registration')
      if (!isProviderAddress(endpoint, issuer))
        throw new OidcError('ERR_OIDC_METADATA', 'the provider metadata has no usable registration_endpoint')
      const response = await send('create', endpoint, { bearer, json })
      return parseRegistration(response.json(), { issuer })
    },
    async read(client) {
      return parseRegistration((await manage('read', client)).json(), { issuer, clientId: client.clientId })
    },
    async update(client, metadata) {
      const { clientId, clientSecret } = client
      // RFC 7592 section 2.2: the id has to be there, and the secret may be, unchanged.
      const whole = {
        ...metadata,
        client_id: clientId,
        ...(clientSecret !== undefined && { client_secret: clientSecret }),
      }
      return parseRegistration((await manage('update', client, whole)).json(), { issuer, clientId })
    },
    async delete(client) {
      await manage('delete', client)
    },
  }
}
