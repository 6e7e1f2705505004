import { describeClient } from '../registration/describe-client.js'
import type { HostSetup } from './setup.js'

/** One line of the form that a provider has for a client, with the name of OpenID Connect Dynamic Client Registration 1.0. */
export interface RegistrationField {
  readonly name: string
  readonly value: string
  /** At which of several providers. */
  readonly provider?: string
}

/** What the provider has to know about this site. Of several hosts, the first is the one that the provider itself calls. */
export function describeRegistration(
  hosts: readonly Pick<HostSetup, 'config' | 'provider'>[],
): readonly RegistrationField[] {
  const [first] = hosts
  if (first === undefined) return []
  const { config, provider } = first
  const { clientId, providerName } = config
  const client = { config, provider, hosts: hosts.map(host => host.config) }
  return Object.entries({ client_id: clientId, ...describeClient(client) }).map(([name, value]) => ({
    name,
    value: Array.isArray(value) && name !== 'response_types' ? value.join(' ') : String(value),
    ...(providerName !== undefined && { provider: providerName }),
  }))
}
