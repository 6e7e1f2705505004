import type { SiteOptions } from '../registration/one-provider.js'
import type { Environment } from '../validation/place.js'
import { checkClient } from './check-client.js'
import { checkCookies, checkProcess } from './check-process.js'
import { checkProvider } from './check-provider.js'
import { checkRedirects } from './check-redirects.js'
import { checkRedis } from './check-redis.js'
import { checkSite } from './check-site.js'
import { type Finding, info, warning } from './finding.js'
import { describeRegistration, type RegistrationField } from './registration.js'
import { atListedHosts, readSetup, type Setup } from './setup.js'
import { listSetups, type OneSetup } from './setups.js'

/** What the doctor is given. */
export interface Examination {
  readonly options: SiteOptions
  /** What options that are left out are read from. */
  readonly environment: Environment
  /** Version of Node: `22.11.0`. */
  readonly nodeVersion: string
  /** Whether the running site is opened. */
  readonly opensSite: boolean
  /** Which of several providers are looked at. Default: all that the options list. */
  readonly providers?: readonly string[]
}

/** Everything that was found. Nothing in it is secret. */
export interface Report {
  /** Whether there is no finding of the level `error`. */
  readonly ok: boolean
  readonly findings: readonly Finding[]
  /** What has to be registered at the provider. Empty while the options cannot be read. */
  readonly registration: readonly RegistrationField[]
}

/** Nothing can be asked about hosts that are not known here. */
const UNLISTED = info('hosts.unlisted', 'Addresses of this site are not checked, because a function finds its hosts.', {
  remedy: 'Run the doctor with one address, or a list, as baseUrl, to check the client and the redirect URIs of that.',
})

/** Looks at a set-up from outside, as a sign-in would meet it, and changes nothing. */
export async function examine({
  options,
  environment,
  nodeVersion,
  opensSite,
  providers: names = [],
}: Examination): Promise<Report> {
  const processFindings = checkProcess(nodeVersion, environment)
  const { setup, findings } = readSetup(options, environment)
  if (setup === undefined) return buildReport([...processFindings, ...findings], [])
  const setups = await listSetups(setup, { options, environment, names })
  const [redis, ...providers] = await Promise.all([
    finish('redis', checkRedis(setup)),
    ...setups.map(one => examineOne(one, opensSite)),
  ])
  const hosts = atListedHosts(setup)
  const cookies = hosts.length === 0 ? [UNLISTED] : hosts.flatMap(({ config }) => checkCookies(config))
  const all = [...processFindings, ...findings, ...cookies, ...redis, ...providers.flat()]
  return buildReport(
    all,
    setups.flatMap(one => (one.setup === undefined ? [] : describeRegistration(atListedHosts(one.setup)))),
  )
}

/** The checks of one provider; of several, each finding says which it is about. */
async function examineOne({ name, setup, findings }: OneSetup, opensSite: boolean): Promise<readonly Finding[]> {
  const found = setup === undefined ? [] : await finish('provider', examineProvider(setup, opensSite))
  return [...findings, ...found].map(finding => (name === undefined ? finding : { ...finding, provider: name }))
}

function examineProvider(setup: Setup, opensSite: boolean): Promise<readonly Finding[]> {
  const hosts = atListedHosts(setup)
  const [first] = hosts
  return checkProvider(setup, async known => {
    const found = first === undefined ? [] : [...(await checkClient(first, known))]
    for (const host of hosts) {
      found.push(...(await checkRedirects(host, known)))
      if (opensSite) found.push(...(await checkSite(host, known.metadata)))
    }
    return found
  })
}

function buildReport(findings: readonly Finding[], registration: Report['registration']): Report {
  return { ok: findings.every(({ level }) => level !== 'error'), findings, registration }
}

/** A check that fails in an unexpected way says so, and the others go on. */
async function finish(area: string, check: Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  try {
    return await check
  } catch (error) {
    const cause = error instanceof Error ? error.name : 'unknown'
    return [warning(`${area}.unfinished`, `The checks of the area "${area}" did not finish.`, { cause })]
  }
}
