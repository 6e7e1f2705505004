import { describeClient } from '../registration/describe-client.js'
import type { Setup } from './setup.js'

/** One line of the form that a provider has for a client, with the name of OpenID Connect Dynamic Client Registration 1.0. */
export interface RegistrationField {
  readonly name: string
  readonly value: string
  /** At which of several providers. */
  readonly provider?: string
}

/** What the provider has to know about this site. */
export function describeRegistration(client: Pick<Setup, 'config' | 'provider'>): readonly RegistrationField[] {
  const { clientId, providerName: provider } = client.config
  return Object.entries({ client_id: clientId, ...describeClient(client) }).map(([name, value]) => ({
    name,
    value: Array.isArray(value) && name !== 'response_types' ? value.join(' ') : String(value),
    ...(provider !== undefined && { provider }),
  }))
}
