import { OidcError } from '../errors.js'
import { callSite } from '../provider/client-key.js'
import type { ProviderSettings } from '../provider/provider.js'
import type { Environment } from '../validation/place.js'
import { refuse } from '../validation/place.js'
import { timeoutOf } from './client-options.js'
import type { SiteConfig } from './config.js'
import { optionsRule, type ReadOptions } from './option-descriptions.js'
import { ONLY_OF_A_PROVIDER, PROVIDER_OPTIONS, type ProviderOptions } from './provider-options.js'
import { provider as providerRule } from './provider-rules.js'

/** What belongs to one of several providers. */
export interface ProviderConfiguration {
  readonly config: SiteConfig
  readonly provider: ProviderSettings
}

/** The providers of a site that has several. */
export interface SeveralProviders {
  /** Those that the options list, by their names. */
  readonly listed: ReadonlyMap<string, ProviderConfiguration>
  /** Asks the site for another one, and reads what it returns. Left out: there are no others. */
  readonly resolve?: (name: string) => Promise<ResolvedProvider | undefined>
  readonly defaultName: string | undefined
  readonly page: string | undefined
}

/** What the site has returned, and what it means. */
export interface ResolvedProvider {
  readonly returned: unknown
  read(): ProviderConfiguration
}

/** Makes configurations out of options that have been read; the environment has been looked at before. */
type Complete = (given: ReadOptions) => ProviderConfiguration

const VARIABLES: readonly string[] = ['OIDC_ISSUER', 'OIDC_CLIENT_ID', 'OIDC_CLIENT_SECRET']

/** Whether the options are those of a site with several providers. @throws {OidcError} ERR_OIDC_OPTIONS */
export function hasSeveralProviders(options: object): boolean {
  const choice = ['providers', 'resolveProvider'].some(name => Reflect.get(options, name) !== undefined)
  const stray = ['defaultProvider', 'chooseProvider'].find(name => Reflect.get(options, name) !== undefined)
  if (!choice && stray !== undefined) refuse(`${stray} needs providers or resolveProvider`)
  return choice
}

/** The variables that name the one provider of a site name none of several. */
export function withoutProvider(environment: Environment): Environment {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !VARIABLES.includes(name)))
}

/**
 * The options of the site itself. No sign-in uses them: in place of a provider they have the site, which has no endpoint of a provider.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS
 */
export function readSite(options: object, environment: Environment): ReadOptions {
  const stray = [...ONLY_OF_A_PROVIDER, 'profile'].find(name => Reflect.get(options, name) !== undefined)
  if (stray !== undefined)
    refuse(
      `${stray} and ${Reflect.get(options, 'providers') === undefined ? 'resolveProvider' : 'providers'} cannot both be given${stray === 'profile' ? '' : ': it belongs to one of the providers'}`,
    )
  const stub = { issuer: 'https://several.invalid', clientId: 'several' }
  const read = optionsRule.read({ ...options, ...stub }, { path: '', environment })
  return read
}

/** The options of the site without those that are of a provider: what checks them would miss the provider. */
export function siteAlone(site: ReadOptions): ReadOptions {
  const alone = Object.entries(site).filter(([name]) => !PROVIDER_OPTIONS.some(known => known === name))
  const { issuer, clientId, routes } = site
  const { jwks: _, ...others } = routes ?? {}
  return { ...Object.fromEntries(alone), issuer, clientId, responseType: 'code', routes: others } as ReadOptions
}

/** @throws {OidcError} ERR_OIDC_OPTIONS that names the provider */
export function readSeveral(options: object, site: ReadOptions, complete: Complete): SeveralProviders {
  const read = (name: string, given: ProviderOptions): ProviderConfiguration => {
    try {
      const { providers: _p, resolveProvider: _r, defaultProvider: _d, chooseProvider: _c, ...shared } = site
      // The secret has been read; the rest is read as it was given, so that it is read by the same rules.
      const own = optionsRule.read(
        { ...pick(options, PROVIDER_OPTIONS), ...given, baseUrl: site.baseUrl, secret: site.secret },
        { path: '' },
      )
      const { config, provider } = complete({ ...shared, ...own })
      return Object.freeze({ config: Object.freeze({ ...config, providerName: name }), provider })
    } catch (error) {
      if (!(error instanceof OidcError)) throw error
      return refuse(`providers.${name}: ${error.message}`, { cause: error })
    }
  }
  const { providers = {}, resolveProvider, defaultProvider, chooseProvider } = site
  const listed = new Map(Object.entries(providers).map(([name, given]) => [name, read(name, given)]))
  if (defaultProvider !== undefined && !listed.has(defaultProvider) && resolveProvider === undefined)
    refuse(`defaultProvider must be one of providers, but there is no "${defaultProvider}"`)
  return {
    listed,
    defaultName: defaultProvider,
    page: chooseProvider,
    ...(resolveProvider && {
      async resolve(name) {
        const returned: unknown = await callSite('resolveProvider', () => resolveProvider(name), timeoutOf(site))
        if (returned === undefined || returned === null) return undefined
        return { returned, read: () => read(name, providerRule.read(returned, { path: `resolveProvider("${name}")` })) }
      },
    }),
  }
}

function pick(options: object, names: readonly string[]): Record<string, unknown> {
  const members = names.map(name => [name, Reflect.get(options, name) as unknown] as const)
  return Object.fromEntries(members.filter(([, value]) => value !== undefined))
}
