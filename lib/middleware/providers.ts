import type { Services } from '../options/config.js'
import { isProviderName } from '../options/provider-rules.js'
import type { ProviderConfiguration, SeveralProviders } from '../options/several-providers.js'
import type { TokenServices } from '../tokens/token-services.js'
import { createResolved } from './resolved.js'

/** Everything that belongs to one provider, at all hosts of the site. */
export type ProviderServices = Services & TokenServices

/** The providers of a site, each with its metadata, keys and tokens; all share sessions and routes. */
export interface Providers {
  /** Who is asked where nothing else decides. */
  readonly defaultName: string | undefined
  /** The page of the site on which the user chooses, where nothing else decides. */
  readonly page: string | undefined
  /** Those that the options list. */
  readonly listed: readonly ProviderServices[]
  /**
   * `undefined`: there is no such provider.
   * @throws {OidcError} ERR_OIDC_PROVIDER_UNAVAILABLE where the site could not say; ERR_OIDC_OPTIONS
   */
  find(name: string): Promise<ProviderServices | undefined>
  /** How many of the resolved ones are kept. */
  count(): number
  close(): Promise<void>
}

export function createProviders(
  { listed, resolve, defaultName, page }: SeveralProviders,
  start: (configuration: ProviderConfiguration) => ProviderServices,
): Providers {
  const fixed = new Map([...listed].map(([name, configuration]) => [name, start(configuration)]))
  const resolved = createResolved<ProviderServices>({
    async ask(name) {
      const found = await resolve?.(name)
      return found && { returned: found.returned, make: () => start(found.read()) }
    },
    onForgotten: ({ provider }) => provider.close(),
    failure: { code: 'ERR_OIDC_PROVIDER_UNAVAILABLE', message: 'resolveProvider failed' },
  })
  const all = () => [...fixed.values(), ...resolved.values()]

  return {
    defaultName,
    page,
    listed: [...fixed.values()],
    async find(name) {
      const one = fixed.get(name)
      return one !== undefined || resolve === undefined || !isProviderName(name) ? one : resolved.find(name)
    },
    count: () => resolved.values().length,
    async close() {
      await Promise.all(all().map(({ whenIdle }) => whenIdle()))
      for (const { provider } of all()) provider.close()
    },
  }
}
