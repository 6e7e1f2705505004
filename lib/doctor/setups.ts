import { OidcError } from '../errors.js'
import { configureOne, type SiteOptions } from '../registration/one-provider.js'
import type { Environment } from '../validation/place.js'
import { type Finding, failure, info } from './finding.js'
import type { Setup } from './setup.js'

/** One provider of a site, as its sign-ins would meet it. */
export interface OneSetup {
  /** Which of several. */
  readonly name?: string
  readonly setup?: Setup
  /** Why there is no setup. */
  readonly findings: readonly Finding[]
}

/** What several providers are found out from. */
export interface SetupsOf {
  readonly options: SiteOptions
  readonly environment: Environment
  /** Those that the caller has named. Empty: all that the options list. */
  readonly names: readonly string[]
}

/** A setup for each provider that is to be looked at. */
export async function listSetups(site: Setup, { options, environment, names }: SetupsOf): Promise<readonly OneSetup[]> {
  const { several } = site
  if (several === undefined) {
    if (names.length === 0) return [{ setup: site, findings: [] }]
    const sentence = 'A provider is named, but the options have one only.'
    return [{ setup: site, findings: [failure('providers.single', sentence, { remedy: 'Leave --provider out.' })] }]
  }
  const chosen = names.length > 0 ? names : [...several.listed.keys()]
  const setups = await Promise.all(chosen.map(name => readOne(site, name, { options, environment })))
  if (several.resolve === undefined || names.length > 0) return setups
  const sentence = 'The providers of resolveProvider were not checked, because their names are not known.'
  return [...setups, { findings: [info('providers.unnamed', sentence, { remedy: 'Name some: --provider acme.' })] }]
}

async function readOne(
  site: Setup,
  name: string,
  { options, environment }: Pick<SetupsOf, 'options' | 'environment'>,
): Promise<OneSetup> {
  // What is logged about the options of the site has been said once.
  const lines: string[] = []
  const log = (line: string) => void lines.push(line)
  try {
    const { config, provider } = await configureOne({ ...options, log } as SiteOptions, name, environment)
    lines.splice(0)
    return { name, setup: { ...site, config, provider, takeLines: () => lines.splice(0) }, findings: [] }
  } catch (error) {
    if (!(error instanceof OidcError)) throw error
    const isUnknown = error.code === 'ERR_OIDC_PROVIDER_UNKNOWN'
    const sentence = isUnknown ? `The site knows no provider "${name}".` : `${error.message}.`
    return { name, findings: [failure(isUnknown ? 'providers.unknown' : 'options.refused', sentence)] }
  }
}
