import { OidcError } from '../errors.js'
import { atHost, type Config } from '../options/config.js'
import { addressesOf } from '../options/hosts.js'
import type { OidcOptions } from '../options/options.js'
import { type Configuration, parseOptions } from '../options/parse-options.js'
import type { SiteOptions } from '../registration/one-provider.js'
import type { Environment } from '../validation/place.js'
import { type Finding, failure, good, warning } from './finding.js'

/** The options of a site as its middleware would read them. */
export interface Setup extends Configuration {
  /** Takes what the middleware would log, and returns it once. */
  takeLines(): readonly string[]
}

/** The same at one of the hosts of the site. */
export interface HostSetup extends Setup {
  readonly config: Config
}

/** One for each address that the options list. A site whose function finds its hosts has none. */
export function atListedHosts(setup: Setup): readonly HostSetup[] {
  return addressesOf(setup.hosts).map(({ baseUrl }) => ({ ...setup, config: atHost(setup.config, baseUrl) }))
}

/** Reads the options. Without a setup, the findings say which option is wrong. */
export function readSetup(
  options: SiteOptions,
  environment: Environment,
): { readonly findings: readonly Finding[]; readonly setup?: Setup } {
  let lines: string[] = []
  const takeLines = () => {
    const taken = lines
    lines = []
    return taken
  }
  const read = (filled: SiteOptions) =>
    parseOptions({ ...filled, log: (line: string) => void lines.push(line) } as SiteOptions, environment)
  try {
    const configuration = read(options)
    const findings = takeLines().map(line => warning('options.doubt', line))
    return {
      findings: [good('options', 'The options are complete and consistent.'), ...findings],
      setup: { ...configuration, takeLines },
    }
  } catch (error) {
    if (!(error instanceof OidcError)) throw error
    return { findings: findRefusals(read, options, error).map(describeRefusal) }
  }
}

/** Stands in for options that every site has to set, so that the rest can be read. */
const PLACEHOLDERS = {
  issuer: 'https://issuer.invalid',
  clientId: 'placeholder',
  baseUrl: 'https://site.invalid',
  secret: 'a placeholder for the session secret',
} as const satisfies OidcOptions

/** The options that are missing, and the first one that is wrong: what comes after it cannot be read. */
function findRefusals(
  read: (options: SiteOptions) => unknown,
  options: SiteOptions,
  first: OidcError,
): readonly OidcError[] {
  const name = Object.keys(PLACEHOLDERS).find(each => first.message.startsWith(`${each} is missing`))
  if (name === undefined) return [first]
  const filled = { ...options, [name]: PLACEHOLDERS[name as keyof typeof PLACEHOLDERS] } as SiteOptions
  try {
    read(filled)
    return [first]
  } catch (error) {
    if (!(error instanceof OidcError)) throw error
    return [first, ...findRefusals(read, filled, error)]
  }
}

function describeRefusal({ message }: OidcError): Finding {
  const remedy = 'docs/options.md describes each option. The other checks run when the options are correct.'
  return failure('options.refused', `${message}.`, { remedy })
}
