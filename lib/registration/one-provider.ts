import { OidcError } from '../errors.js'
import { atHost } from '../options/config.js'
import type { HostOptions } from '../options/host-options.js'
import { addressesOf, type Hosts } from '../options/hosts.js'
import type { OidcOptions } from '../options/options.js'
import { parseOptions } from '../options/parse-options.js'
import type { OneProviderOptions, ProviderOptions, SeveralProvidersOptions } from '../options/provider-options.js'
import { isProviderName } from '../options/provider-rules.js'
import type { ProviderConfiguration } from '../options/several-providers.js'
import { isPlain } from '../validation/object-rule.js'
import { type Environment, guarded, refuse } from '../validation/place.js'
import type { DescribedClient } from './describe-client.js'

/** The options of a site, whichever kind they are. */
export type SiteOptions = OneProviderOptions | SeveralProvidersOptions

/** Puts something in the place of options of a provider that are not there yet. */
export type Fill = (given: Pick<OidcOptions, 'clientId' | 'clientSecret' | 'clientAuthentication'>) => object

/** Whether the options are those of a site with several providers. */
export function hasSeveral(options: SiteOptions): options is SeveralProvidersOptions {
  if (!isPlain(options)) return false
  return guarded({ path: '' }, () => options.providers !== undefined || options.resolveProvider !== undefined)
}

/**
 * The configuration for one provider of a site.
 *
 * @param name - which of several; left out: `defaultProvider`, or the only one
 * @param fill - makes options complete that are not: those of the provider
 * @throws {OidcError} ERR_OIDC_OPTIONS; ERR_OIDC_PROVIDER_UNKNOWN for a name that the site does not know; ERR_OIDC_PROVIDER_UNAVAILABLE where
 *   `resolveProvider` fails
 */
export async function configureOne(
  options: SiteOptions,
  name: string | undefined,
  environment: Environment,
  fill: Fill = given => given,
): Promise<DescribedClient> {
  if (!hasSeveral(options)) {
    if (name !== undefined) refuse('provider is given, but the site has one only: leave it out')
    const { hosts, ...found } = parseOptions(isPlain(options) ? fill(options) : options, environment)
    return atHosts(found, hosts)
  }
  const { providers, resolveProvider: _r, defaultProvider, chooseProvider: _c, ...site } = options
  const [only, ...others] = Object.keys(providers ?? {})
  const chosen = name ?? defaultProvider ?? (others.length === 0 ? only : undefined)
  if (chosen === undefined) refuse('provider is missing: the site has several')
  const given = await findProvider(options, chosen)
  const { several, hosts } = parseOptions(
    {
      ...site,
      ...hostsOfProvider(site, chosen),
      providers: { [chosen]: isPlain(given) ? fill(given) : given },
    } as SiteOptions,
    environment,
  )
  const found = several?.listed.get(chosen)
  if (found === undefined) throw unknown()
  return atHosts(found, hosts)
}

/** @throws {OidcError} ERR_OIDC_OPTIONS for a site whose function finds its hosts */
function atHosts(
  { config, provider }: Pick<ProviderConfiguration, 'config' | 'provider'>,
  hosts: Hosts,
): DescribedClient {
  const all = addressesOf(hosts).map(({ baseUrl }) => atHost(config, baseUrl))
  const [first] = all
  if (first === undefined) return refuse('baseUrl must be an address or a list of them here: a function lists none')
  return { config: first, hosts: all, provider }
}

/** A host that has another provider of its own is none of this one. */
function hostsOfProvider({ baseUrl }: Pick<SeveralProvidersOptions, 'baseUrl'>, name: string) {
  if (!Array.isArray(baseUrl)) return {}
  const hosts = baseUrl as readonly (string | HostOptions)[]
  return { baseUrl: hosts.filter(host => typeof host !== 'object' || (host?.provider ?? name) === name) }
}

async function findProvider(options: SeveralProvidersOptions, name: string): Promise<ProviderOptions> {
  const { providers = {}, resolveProvider } = options
  if (Object.hasOwn(providers, name) && providers[name] !== undefined) return providers[name]
  const found = isProviderName(name) ? await resolve(resolveProvider, name) : undefined
  if (found === undefined || found === null) throw unknown()
  return found
}

async function resolve(resolveProvider: SeveralProvidersOptions['resolveProvider'], name: string) {
  try {
    return await resolveProvider?.(name)
  } catch (error) {
    throw new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'resolveProvider failed', { cause: error })
  }
}

function unknown(): OidcError {
  return new OidcError('ERR_OIDC_PROVIDER_UNKNOWN', 'the site does not know the provider that was named')
}
