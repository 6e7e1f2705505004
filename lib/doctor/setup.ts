import { OidcError } from '../errors.js'
import type { OidcOptions } from '../options/options.js'
import { type Configuration, parseOptions } from '../options/parse-options.js'
import type { Environment } from '../validation/place.js'
import { type Finding, failure, good, warning } from './finding.js'

/** The options of a site as its middleware would read them. */
export interface Setup extends Configuration {
  /** Takes what the middleware would log, and returns it once. */
  takeLines(): readonly string[]
}

/** Reads the options. Without a setup, the findings say which option is wrong. */
export function readSetup(
  options: OidcOptions,
  environment: Environment,
): { readonly findings: readonly Finding[]; readonly setup?: Setup } {
  let lines: string[] = []
  const takeLines = () => {
    const taken = lines
    lines = []
    return taken
  }
  try {
    const configuration = parseOptions({ ...options, log: line => void lines.push(line) }, environment)
    const findings = takeLines().map(line => warning('options.doubt', line))
    return {
      findings: [good('options', 'The options are complete and consistent.'), ...findings],
      setup: { ...configuration, takeLines },
    }
  } catch (error) {
    if (!(error instanceof OidcError)) throw error
    const remedy = 'Set this option. docs/options.md says what it takes; the rest is checked after that.'
    return { findings: [failure('options.refused', `${error.message}.`, { remedy })] }
  }
}
